"""The tables, as migrations/ make them (a test compares the two).

Every id is a UUIDv7 made by the application: sorted by time, so that inserts touch the same pages.
`seq` orders the words of one person about one thing (domain/events.py); a withdrawn like or follow
stays as a row with `active = false`, or a late copy of the older word would bring it back.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_NOW = text("now()")
_Id = UUID(as_uuid=False)


def _id() -> Column[str]:
    # Our code always brings its own (UUIDv7); PostgreSQL 18's is for hands at psql.
    return Column("id", _Id, primary_key=True, server_default=text("uuidv7()"))


def _time(name: str, default: bool = True) -> Column[object]:
    stamp = DateTime(timezone=True)
    if default:
        return Column(name, stamp, nullable=False, server_default=_NOW)
    return Column(name, stamp)


def _ref(name: str, target: str, **more: object) -> Column[str]:
    """A row that goes when what it points to goes."""
    return Column(name, _Id, ForeignKey(f"{target}.id", ondelete="CASCADE"), nullable=False, **more)  # type: ignore[arg-type]


def _flag(name: str, default: bool) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text(str(default).lower()))


def _number(name: str, kind: type[Integer] = Integer) -> Column[int]:
    return Column(name, kind, nullable=False, server_default=text("0"))


users = Table(
    "users",
    metadata,
    _id(),
    Column("email", Text, nullable=False),
    Column("username", String(60), nullable=False),
    Column("name", String(120)),
    # User name and name as searches compare them: domain/text.py, search_key().
    Column("search_key", Text, nullable=False, server_default=text("''")),
    Column("bio", Text),
    Column("avatar_url", Text),
    # Empty: nobody can log in with it (no hash equals the empty text).
    Column("password_hash", Text, nullable=False, server_default=text("''")),
    Column("role", String(20), nullable=False, server_default=text("'user'")),
    _flag("is_verified", False),
    _flag("is_simulated", False),
    _number("follower_count"),
    # The recipient's own counters, raised under this row's lock: without gaps, in order of commit.
    _number("frame_seq", BigInteger),
    _number("badge_version", BigInteger),
    _time("created_at"),
    _time("updated_at"),
    UniqueConstraint("email"),
    UniqueConstraint("username"),
    # Search: prefix and similarity by trigrams.
    Index(
        "ix_users_search_key",
        "search_key",
        postgresql_using="gin",
        postgresql_ops={"search_key": "gin_trgm_ops"},
    ),
    CheckConstraint("role in ('user', 'admin')", name="role"),
)

posts = Table(
    "posts",
    metadata,
    _id(),
    _ref("user_id", "users"),
    Column("caption", Text),
    Column("image_url", Text),
    _number("like_count"),
    _number("comment_count"),
    _time("created_at"),
    _time("updated_at"),
    Index("ix_posts_created_at_id", text("created_at desc"), text("id desc")),
    Index("ix_posts_user_id_created_at", "user_id", text("created_at desc")),
)

comments = Table(
    "comments",
    metadata,
    _id(),
    _ref("post_id", "posts"),
    _ref("user_id", "users"),
    Column("content", Text, nullable=False),
    Column("gif_url", Text),
    # No foreign key: a reply can be written before its parent, whose window may close later.
    Column("parent_id", _Id),
    Column("seq", BigInteger, nullable=False, server_default=text("0")),
    _flag("active", True),
    _time("created_at"),
    _time("updated_at"),
    Index("ix_comments_post_id_created_at", "post_id", "created_at"),
    Index("ix_comments_parent_id", "parent_id"),
    Index("ix_comments_user_id", "user_id"),
)

likes = Table(
    "likes",
    metadata,
    _ref("post_id", "posts", primary_key=True),
    _ref("user_id", "users", primary_key=True),
    Column("seq", BigInteger, nullable=False, server_default=text("0")),
    _flag("active", True),
    _time("created_at"),
    _time("updated_at"),
    Index("ix_likes_user_id", "user_id"),
)

follows = Table(
    "follows",
    metadata,
    _ref("follower_id", "users", primary_key=True),
    _ref("following_id", "users", primary_key=True),
    Column("seq", BigInteger, nullable=False, server_default=text("0")),
    _flag("active", True),
    _time("created_at"),
    _time("updated_at"),
    CheckConstraint("follower_id <> following_id", name="not_oneself"),
    Index("ix_follows_following_id", "following_id"),
)

bell_subscriptions = Table(
    "bell_subscriptions",
    metadata,
    _ref("subscriber_id", "users", primary_key=True),
    _ref("target_user_id", "users", primary_key=True),
    _time("created_at"),
    Index("ix_bell_subscriptions_target_user_id", "target_user_id"),
)

bookmarks = Table(
    "bookmarks",
    metadata,
    _ref("user_id", "users", primary_key=True),
    _ref("post_id", "posts", primary_key=True),
    _time("created_at"),
    Index("ix_bookmarks_post_id", "post_id"),
)

notification_preferences = Table(
    "notification_preferences",
    metadata,
    _ref("user_id", "users", primary_key=True),
    _flag("email_enabled", True),
    _flag("sms_enabled", False),
    _flag("push_enabled", True),
    _flag("marketing", False),
    _flag("activity", True),
    _flag("social", True),
    _flag("dnd_enabled", False),
    # Null: emptied by the person, which means no quiet hours.
    Column("dnd_start_time", Time, server_default=text("'22:00'")),
    Column("dnd_end_time", Time, server_default=text("'08:00'")),
    Column("timezone", Text, nullable=False, server_default=text("'UTC'")),
    Column("matrix", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _time("updated_at"),
)

mutes = Table(
    "mutes",
    metadata,
    _id(),
    _ref("user_id", "users"),
    Column("muted_user_id", _Id, ForeignKey("users.id", ondelete="CASCADE")),
    Column("muted_post_id", _Id, ForeignKey("posts.id", ondelete="CASCADE")),
    _time("created_at"),
    CheckConstraint("num_nonnulls(muted_user_id, muted_post_id) = 1", name="one_of_two"),
    UniqueConstraint("user_id", "muted_user_id"),
    UniqueConstraint("user_id", "muted_post_id"),
)

blocks = Table(
    "blocks",
    metadata,
    _ref("user_id", "users", primary_key=True),
    _ref("blocked_user_id", "users", primary_key=True),
    _time("created_at"),
)

notifications = Table(
    "notifications",
    metadata,
    _id(),
    _ref("user_id", "users"),
    Column("type", String(20), nullable=False),
    Column("priority", String(10), nullable=False),
    # What the group is about; for critical kinds the event itself, so that each stands alone.
    Column("object_id", _Id, nullable=False),
    Column("generation", Integer, nullable=False, server_default=text("1")),
    # Raised with each frame that tells about the row; 0: nothing was told yet, so nobody sees it.
    _number("version"),
    _number("seq", BigInteger),
    Column("target_type", String(20)),
    Column("target_id", _Id),
    # The one named first. Names are looked up when the row is shown (stores/serializer.py).
    Column("actor_id", _Id),
    _number("actor_count"),
    _number("owed_count"),
    Column("title", Text, nullable=False, server_default=text("''")),
    # The text of a notice, which has no actors.
    Column("message", Text, nullable=False, server_default=text("''")),
    # The comment, mention or post of a single actor, cut to the length of a quotation.
    Column("quote", Text),
    Column("image_url", Text),
    Column("channels", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _flag("is_read", False),
    _time("read_at", default=False),
    _time("seen_at", default=False),
    _time("archived_at", default=False),
    _time("removed_at", default=False),
    # Quiet hours: in the list at once, rings when they end.
    _time("held_until", default=False),
    _time("created_at"),
    _time("updated_at"),
    UniqueConstraint("user_id", "type", "object_id", "generation"),
    Index(
        "ix_notifications_user_id_updated_at", "user_id", text("updated_at desc"), text("id desc")
    ),
    Index(
        "ix_notifications_unread",
        "user_id",
        postgresql_where=text(
            "not is_read and removed_at is null and archived_at is null and version > 0"
        ),
    ),
    # What is about a post, when the post goes.
    Index("ix_notifications_object_id", "object_id"),
    Index(
        "ix_notifications_post_url",
        text("(metadata ->> 'postUrl')"),
        postgresql_where=text("type in ('MENTION', 'COMMENT_REPLY')"),
    ),
    Index("ix_notifications_held", "held_until", postgresql_where=text("held_until is not null")),
)

notification_actors = Table(
    "notification_actors",
    metadata,
    _ref("notification_id", "notifications", primary_key=True),
    _ref("actor_id", "users", primary_key=True),
    Column("event_id", _Id),
    _number("seq", BigInteger),
    _flag("active", True),
    _flag("is_follower", False),
    _flag("announced", False),
    _time("created_at"),
    Index(
        "ix_notification_actors_order",
        "notification_id",
        text("is_follower desc"),
        text("seq desc"),
        postgresql_where=text("active"),
    ),
    # By person, in pages from the newest row to the oldest (ids rise with time).
    Index("ix_notification_actors_actor_id_notification_id", "actor_id", "notification_id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    _ref("user_id", "users"),
    # The recipient's frame counter; null for what is no frame of the list (a badge alone).
    Column("seq", BigInteger),
    Column("frame", String(30), nullable=False),
    Column("payload", JSONB, nullable=False),
    # A code or a reset token, sealed (app/seals.py); null once it is used or replaced.
    Column("letter", Text),
    _time("created_at"),
    # Kept after publishing: the history from which a client that was away catches up.
    _time("published_at", default=False),
    Index("ix_outbox_unpublished", "id", postgresql_where=text("published_at is null")),
    Index("ix_outbox_user_id_seq", "user_id", "seq"),
    Index("ix_outbox_published_at", "published_at"),
    Index("ix_outbox_letter", "user_id", postgresql_where=text("letter is not null")),
    # An ack of the same version is recorded once, however many screens send it.
    Index(
        "uq_outbox_seen",
        text("(payload->>'id')"),
        text("(payload->>'version')"),
        unique=True,
        postgresql_where=text("frame = 'seen'"),
    ),
)

profile_changes = Table(
    "profile_changes",
    metadata,
    # People with a new name or picture, while pages that show them are being corrected
    # (stores/profile_changes.py): how far that is, from the newest row to the oldest.
    _ref("user_id", "users", primary_key=True),
    _time("changed_at"),
    Column("below", _Id),
    _number("rows_looked_at"),
    Index("ix_profile_changes_changed_at", "changed_at"),
)

kafka_fallback_queue = Table(
    "kafka_fallback_queue",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("event_id", _Id, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    _flag("processed", False),
    _number("retry_count"),
    Column("last_error", Text),
    _time("created_at"),
    _time("processed_at", default=False),
    # The same batch enqueued twice (its acknowledgement was lost) is one row per event.
    UniqueConstraint("shard", "seq", "event_id"),
    Index("ix_kafka_fallback_queue_backlog", "shard", "id", postgresql_where=text("not processed")),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    _id(),
    Column("origin", Text, nullable=False),
    Column("position", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("payload", Text),
    Column("status", String(20), nullable=False, server_default=text("'waiting'")),
    _time("created_at"),
    _time("settled_at", default=False),
    # One row per record, however often it was read.
    UniqueConstraint("origin", "position"),
)

service_keys = Table(
    "service_keys",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    # SHA-256 of the key: it is random and long, so a slow hash would add nothing.
    Column("key_hash", Text, nullable=False),
    _time("created_at"),
    _time("revoked_at", default=False),
    UniqueConstraint("key_hash"),
)

epochs = Table(
    "epochs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", _Id, nullable=False, server_default=text("uuidv7()")),
)

fences = Table(
    "fences",
    metadata,
    # Events with a seq up to this one are expired, wherever they still are (stores/fences.py).
    Column("name", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    # One log-in on one device: the family of its refresh tokens, the `sid` of its access ones.
    _id(),
    _ref("user_id", "users"),
    Column("user_agent", Text),
    Column("address", Text),
    _time("created_at"),
    _time("revoked_at", default=False),
    Index("ix_sessions_user_id", "user_id"),
    # What web processes look at every few seconds: who was revoked lately.
    Index("ix_sessions_revoked_at", "revoked_at", postgresql_where=text("revoked_at is not null")),
)

removed_accounts = Table(
    "removed_accounts",
    metadata,
    # Written by a trigger of users, whoever deletes there: their tokens must die with them.
    Column("user_id", _Id, primary_key=True),
    _time("removed_at"),
    Index("ix_removed_accounts_removed_at", "removed_at"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    # SHA-256: a token is random and long, so a slow hash would add nothing.
    Column("token_hash", Text, primary_key=True),
    _ref("session_id", "sessions"),
    _time("created_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    _time("used_at", default=False),
    Index("ix_refresh_tokens_session_id", "session_id"),
)

known_places = Table(
    "known_places",
    metadata,
    _ref("user_id", "users", primary_key=True),
    # Families without versions, and a /24 or /48: what a new log-in is compared with.
    Column("browser", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("network", Text, primary_key=True),
    _time("created_at"),
)

one_time_secrets = Table(
    "one_time_secrets",
    metadata,
    _id(),
    _ref("user_id", "users"),
    Column("purpose", String(20), nullable=False),
    Column("secret_hash", Text, nullable=False),
    _number("attempts"),
    _time("created_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    _time("used_at", default=False),
    CheckConstraint("purpose in ('password_reset', 'otp')", name="purpose"),
    Index("ix_one_time_secrets_user_id_purpose", "user_id", "purpose"),
    Index("ix_one_time_secrets_secret_hash", "secret_hash"),
)

audit = Table(
    "audit",
    metadata,
    _id(),
    # No foreign key: what somebody did outlives the account.
    Column("actor_id", _Id),
    Column("action", String(60), nullable=False),
    Column("subject", Text),
    _time("created_at"),
    Index("ix_audit_created_at", "created_at"),
)

leases = Table(
    "leases",
    metadata,
    # What only one worker does at a time, and what must go on while Redis is away.
    Column("name", Text, primary_key=True),
    Column("token", Text, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
)

gates = Table(
    "gates",
    metadata,
    # Whether words may go by way of Redis (stores/gate.py); `kept`: what a Redis that was not
    # emptied still knows; `lost`: what the last emptying cost.
    Column("name", Text, primary_key=True),
    Column("state", String(10), nullable=False),
    Column("reason", Text, nullable=False),
    Column("kept", Text),
    Column("lost", JSONB),
    _time("changed_at"),
    CheckConstraint("state in ('open', 'closed', 'holding')", name="state"),
)

direct_words = Table(
    "direct_words",
    metadata,
    # Likes, follows and comments that went past Redis, until the gate opens again. No foreign keys:
    # who goes meanwhile must not be held up by them.
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("event_id", _Id, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("subject_id", _Id, nullable=False),
    Column("actor_id", _Id, nullable=False),
    # The comment, or the actor again: with the subject it names the row.
    Column("member_id", _Id, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("said", JSONB),
    _time("created_at"),
    Index("ix_direct_words_subject_id_member_id", "subject_id", "member_id", "seq"),
    Index("ix_direct_words_member_id", "member_id"),
)

redis_updates = Table(
    "redis_updates",
    metadata,
    # What Redis must learn of a deletion that is committed (stores/redis_updates.py).
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("data", JSONB, nullable=False),
    _time("created_at"),
)

comment_deletions = Table(
    "comment_deletions",
    metadata,
    # Asked for while nobody but Redis knew the comment, and Redis was away
    # (stores/comment_deletions.py). No foreign keys: the comment has no row yet.
    Column("comment_id", _Id, primary_key=True),
    Column("actor_id", _Id, primary_key=True),
    _time("created_at"),
)

kept_keys = Table(
    "kept_keys",
    metadata,
    # Idempotency keys that were used while Redis was away (stores/idempotency.py).
    Column("name", Text, primary_key=True),
    Column("kept", JSONB, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    Index("ix_kept_keys_until", "until"),
)

outgoing_messages = Table(
    "outgoing_messages",
    metadata,
    # One row per e-mail or text message. What it says stands in the outbox, under user_id and seq.
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    _ref("user_id", "users"),
    Column("seq", BigInteger, nullable=False),
    Column("notification_id", _Id, nullable=False),
    Column("version", Integer, nullable=False),
    Column("channel", String(10), nullable=False),
    Column("type", String(20), nullable=False),
    Column("critical", Boolean, nullable=False),
    Column("status", String(20), nullable=False, server_default=text("'waiting'")),
    _number("attempts"),
    Column("last_error", Text),
    # The next attempt. While one is under way: when it may be taken for dead.
    Column("due_at", DateTime(timezone=True), nullable=False),
    # No attempt is made after it: a code is no longer valid, or a day has passed.
    Column("expires_at", DateTime(timezone=True), nullable=False),
    # Who makes the present attempt; a new value for each.
    Column("claim", _Id),
    _time("created_at"),
    _time("ended_at", default=False),
    CheckConstraint(
        "status in ('waiting', 'delivered', 'expired', 'preference', 'failed')", name="status"
    ),
    # The ready topic may bring a frame twice.
    UniqueConstraint("notification_id", "version", "channel"),
    Index(
        "ix_outgoing_messages_due",
        "channel",
        "critical",
        "due_at",
        postgresql_where=text("status = 'waiting'"),
    ),
    Index(
        "ix_outgoing_messages_recipient",
        "user_id",
        "channel",
        "critical",
        "id",
        postgresql_where=text("status = 'waiting'"),
    ),
    Index("ix_outgoing_messages_user_id_seq", "user_id", "seq"),
    Index("ix_outgoing_messages_ended_at", "ended_at"),
)
