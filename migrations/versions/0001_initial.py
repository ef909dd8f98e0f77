"""Creates all tables, the view active_likes and the trigger record_removed_account."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create extension if not exists pg_trgm")
    op.execute("create extension if not exists fuzzystrmatch")
    op.create_table(
        "audit_log",
        sa.Column("id", sa.UUID(as_uuid=False), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("actor_id", sa.UUID(as_uuid=False), nullable=True),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_created_at", "audit_log", ["created_at"], unique=False)
    op.create_table(
        "clear_watermarks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_clear_watermarks")),
    )
    op.create_table(
        "comment_deletions",
        sa.Column("comment_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("actor_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("comment_id", "actor_id", name=op.f("pk_comment_deletions")),
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.UUID(as_uuid=False), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=20), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
        sa.UniqueConstraint("origin", "position", name=op.f("uq_dead_letters_origin_position")),
    )
    op.create_index(
        "ix_dead_letters_resolved_at",
        "dead_letters",
        ["resolved_at"],
        unique=False,
        postgresql_where=sa.text("resolved_at is not null"),
    )
    op.create_table(
        "epochs",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.UUID(as_uuid=False), server_default=sa.text("uuidv7()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_epochs")),
    )
    op.create_table(
        "failover_affected_objects",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("object_id", sa.UUID(as_uuid=False), nullable=False),
        sa.PrimaryKeyConstraint("kind", "object_id", name=op.f("pk_failover_affected_objects")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("id_seed", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("running_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_expires_at", "idempotency_keys", ["expires_at"], unique=False)
    op.create_table(
        "kafka_fallback_queue",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("event_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("processed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("retry_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kafka_fallback_queue")),
        sa.UniqueConstraint(
            "shard", "seq", "event_id", name=op.f("uq_kafka_fallback_queue_shard_seq_event_id")
        ),
    )
    op.create_index(
        "ix_kafka_fallback_queue_processed_at",
        "kafka_fallback_queue",
        ["processed_at"],
        unique=False,
        postgresql_where=sa.text("processed"),
    )
    op.create_index(
        "ix_kafka_fallback_queue_backlog",
        "kafka_fallback_queue",
        ["shard", "id"],
        unique=False,
        postgresql_where=sa.text("not processed"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "retention_progress",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("deleted_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("position_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("position_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_retention_progress")),
    )
    op.create_table(
        "redis_failover_state",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("instance_id", sa.Text(), nullable=True),
        sa.Column("data_loss", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "state in ('normal', 'failover', 'switching_back')",
            name=op.f("ck_redis_failover_state_state"),
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_redis_failover_state")),
    )
    op.create_table(
        "redis_updates",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redis_updates")),
    )
    op.create_table(
        "removed_accounts",
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column(
            "removed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_removed_accounts")),
    )
    op.create_index("ix_removed_accounts_removed_at", "removed_accounts", ["removed_at"], unique=False)
    op.create_table(
        "service_keys",
        sa.Column("id", sa.UUID(as_uuid=False), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_service_keys_key_hash")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.UUID(as_uuid=False), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("username", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=True),
        sa.Column("search_key", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("bio", sa.Text(), nullable=True),
        sa.Column("avatar_url", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("role", sa.String(length=20), server_default=sa.text("'user'"), nullable=False),
        sa.Column("is_verified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_simulated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("follower_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("client_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("role in ('user', 'admin')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
    )
    op.create_index(
        "ix_users_search_key",
        "users",
        ["search_key"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"search_key": "gin_trgm_ops"},
    )
    op.create_table(
        "bell_subscriptions",
        sa.Column("subscriber_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("target_user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["users.id"],
            name=op.f("fk_bell_subscriptions_subscriber_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["target_user_id"],
            ["users.id"],
            name=op.f("fk_bell_subscriptions_target_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "target_user_id", name=op.f("pk_bell_subscriptions")),
    )
    op.create_index(
        "ix_bell_subscriptions_target_user_id_subscriber_id",
        "bell_subscriptions",
        ["target_user_id", "subscriber_id"],
        unique=False,
    )
    op.create_table(
        "blocks",
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("blocked_user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["blocked_user_id"],
            ["users.id"],
            name=op.f("fk_blocks_blocked_user_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_blocks_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "blocked_user_id", name=op.f("pk_blocks")),
    )
    op.create_table(
        "follows",
        sa.Column("follower_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("following_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("follower_id <> following_id", name=op.f("ck_follows_not_self")),
        sa.ForeignKeyConstraint(
            ["follower_id"], ["users.id"], name=op.f("fk_follows_follower_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["following_id"], ["users.id"], name=op.f("fk_follows_following_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("follower_id", "following_id", name=op.f("pk_follows")),
    )
    op.create_index(
        "ix_follows_withdrawn",
        "follows",
        ["updated_at"],
        unique=False,
        postgresql_where=sa.text("not active"),
    )
    op.create_index("ix_follows_following_id", "follows", ["following_id"], unique=False)
    op.create_index(
        "ix_follows_created_at",
        "follows",
        ["created_at"],
        unique=False,
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )
    op.create_table(
        "known_devices",
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("operating_system", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_known_devices_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "user_id", "browser", "operating_system", "network", name=op.f("pk_known_devices")
        ),
    )
    op.create_table(
        "notification_preferences",
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("email_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("sms_enabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("push_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("marketing", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("activity", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("social", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("dnd_enabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("dnd_start_time", sa.Time(), server_default=sa.text("'22:00'"), nullable=True),
        sa.Column("dnd_end_time", sa.Time(), server_default=sa.text("'08:00'"), nullable=True),
        sa.Column("timezone", sa.Text(), server_default=sa.text("'UTC'"), nullable=False),
        sa.Column(
            "matrix",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_notification_preferences_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_notification_preferences")),
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.UUID(as_uuid=False), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("priority", sa.String(length=10), nullable=False),
        sa.Column("object_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("generation", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("client_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("target_type", sa.String(length=20), nullable=True),
        sa.Column("target_id", sa.UUID(as_uuid=False), nullable=True),
        sa.Column("actor_id", sa.UUID(as_uuid=False), nullable=True),
        sa.Column("actor_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("unannounced_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("title", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("quote", sa.Text(), nullable=True),
        sa.Column("image_url", sa.Text(), nullable=True),
        sa.Column("channels", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "metadata",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("is_read", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "is_visible",
            sa.Boolean(),
            sa.Computed("version > 0 and removed_at is null and archived_at is null", persisted=True),
            nullable=False,
        ),
        sa.Column("deferred_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_notifications_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint(
            "user_id",
            "type",
            "object_id",
            "generation",
            name=op.f("uq_notifications_user_id_type_object_id_generation"),
        ),
    )
    op.create_index(
        "ix_notifications_removed_at",
        "notifications",
        ["removed_at"],
        unique=False,
        postgresql_where=sa.text("removed_at is not null"),
    )
    op.create_index(
        "ix_notifications_archived_at",
        "notifications",
        ["archived_at"],
        unique=False,
        postgresql_where=sa.text("archived_at is not null"),
    )
    op.create_index(
        "ix_notifications_read_at",
        "notifications",
        ["read_at"],
        unique=False,
        postgresql_where=sa.text("read_at is not null"),
    )
    op.create_index(
        "ix_notifications_deferred_until",
        "notifications",
        ["deferred_until"],
        unique=False,
        postgresql_where=sa.text("deferred_until is not null"),
    )
    op.create_index(
        "ix_notifications_object_id_user_id", "notifications", ["object_id", "user_id"], unique=False
    )
    op.create_index(
        "ix_notifications_created_at",
        "notifications",
        ["created_at"],
        unique=False,
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )
    op.create_index(
        "ix_notifications_post_url",
        "notifications",
        [sa.literal_column("(metadata ->> 'postUrl')")],
        unique=False,
        postgresql_where=sa.text("type in ('MENTION', 'COMMENT_REPLY')"),
    )
    op.create_index(
        "ix_notifications_unread",
        "notifications",
        ["user_id"],
        unique=False,
        postgresql_where=sa.text("is_visible and not is_read"),
    )
    op.create_index(
        "ix_notifications_user_id_updated_at",
        "notifications",
        ["user_id", sa.literal_column("updated_at desc"), sa.literal_column("id desc")],
        unique=False,
    )
    op.create_table(
        "one_time_tokens",
        sa.Column("id", sa.UUID(as_uuid=False), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("purpose in ('password_reset', 'otp')", name=op.f("ck_one_time_tokens_purpose")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_one_time_tokens_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_tokens")),
    )
    op.create_index("ix_one_time_tokens_expires_at", "one_time_tokens", ["expires_at"], unique=False)
    op.create_index("ix_one_time_tokens_token_hash", "one_time_tokens", ["token_hash"], unique=False)
    op.create_index(
        "ix_one_time_tokens_user_id_purpose",
        "one_time_tokens",
        ["user_id", "purpose"],
        unique=False,
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("client_seq", sa.BigInteger(), nullable=True),
        sa.Column("client_event", sa.String(length=30), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("encrypted_body", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_outbox_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(
        "ix_outbox_encrypted_body",
        "outbox",
        ["user_id"],
        unique=False,
        postgresql_where=sa.text("encrypted_body is not null"),
    )
    op.create_index("ix_outbox_published_at", "outbox", ["published_at"], unique=False)
    op.create_index(
        "ix_outbox_unpublished",
        "outbox",
        ["id"],
        unique=False,
        postgresql_where=sa.text("published_at is null"),
    )
    op.create_index("ix_outbox_user_id_client_seq", "outbox", ["user_id", "client_seq"], unique=False)
    op.create_index(
        "uq_outbox_seen",
        "outbox",
        [sa.literal_column("(payload->>'id')"), sa.literal_column("(payload->>'version')")],
        unique=True,
        postgresql_where=sa.text("client_event = 'seen'"),
    )
    op.create_table(
        "outgoing_messages",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("client_seq", sa.BigInteger(), nullable=False),
        sa.Column("notification_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("critical", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=20), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claim", sa.UUID(as_uuid=False), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status in ('waiting', 'delivered', 'expired', 'preference', 'failed')",
            name=op.f("ck_outgoing_messages_status"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_outgoing_messages_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outgoing_messages")),
        sa.UniqueConstraint(
            "notification_id",
            "version",
            "channel",
            name=op.f("uq_outgoing_messages_notification_id_version_channel"),
        ),
    )
    op.create_index(
        "ix_outgoing_messages_due",
        "outgoing_messages",
        ["channel", "critical", "due_at"],
        unique=False,
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.create_index("ix_outgoing_messages_ended_at", "outgoing_messages", ["ended_at"], unique=False)
    op.create_index(
        "ix_outgoing_messages_recipient",
        "outgoing_messages",
        ["user_id", "channel", "critical", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.create_index(
        "ix_outgoing_messages_status_id",
        "outgoing_messages",
        ["status", "id"],
        unique=False,
        postgresql_where=sa.text("status <> 'delivered'"),
    )
    op.create_index(
        "ix_outgoing_messages_user_id_client_seq",
        "outgoing_messages",
        ["user_id", "client_seq"],
        unique=False,
    )
    op.create_table(
        "posts",
        sa.Column("id", sa.UUID(as_uuid=False), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("caption", sa.Text(), nullable=True),
        sa.Column("image_url", sa.Text(), nullable=True),
        sa.Column("like_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("comment_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_posts_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posts")),
    )
    op.create_index(
        "ix_posts_created_at_id",
        "posts",
        [sa.literal_column("created_at desc"), sa.literal_column("id desc")],
        unique=False,
    )
    op.create_index(
        "ix_posts_user_id_created_at",
        "posts",
        ["user_id", sa.literal_column("created_at desc")],
        unique=False,
    )
    op.create_table(
        "fan_outs",
        sa.Column("id", sa.UUID(as_uuid=False), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("audience", sa.String(length=20), nullable=False),
        sa.Column("actor_id", sa.UUID(as_uuid=False), nullable=True),
        sa.Column("object_id", sa.UUID(as_uuid=False), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("event", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "mentions",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("mentions_written", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("recipient_count", sa.Integer(), nullable=True),
        sa.Column("processed_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_recipient_id", sa.UUID(as_uuid=False), nullable=True),
        sa.Column(
            "outcomes",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "audience in ('subscribers', 'listed', 'notified')", name=op.f("ck_fan_outs_audience")
        ),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["users.id"], name=op.f("fk_fan_outs_actor_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fan_outs")),
    )
    op.create_index(
        "ix_fan_outs_unfinished",
        "fan_outs",
        ["updated_at"],
        unique=False,
        postgresql_where=sa.text("finished_at is null"),
    )
    op.create_index(
        "ix_fan_outs_finished_at",
        "fan_outs",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("finished_at is not null"),
    )
    op.create_index("ix_fan_outs_actor_id", "fan_outs", ["actor_id"], unique=False)
    op.create_table(
        "fan_out_recipients",
        sa.Column("fan_out_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("recipient_id", sa.UUID(as_uuid=False), nullable=False),
        sa.ForeignKeyConstraint(
            ["fan_out_id"],
            ["fan_outs.id"],
            name=op.f("fk_fan_out_recipients_fan_out_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("fan_out_id", "recipient_id", name=op.f("pk_fan_out_recipients")),
    )
    op.create_table(
        "profile_changes",
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("last_checked_id", sa.UUID(as_uuid=False), nullable=True),
        sa.Column("rows_checked", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_profile_changes_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_profile_changes")),
    )
    op.create_index("ix_profile_changes_changed_at", "profile_changes", ["changed_at"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", sa.UUID(as_uuid=False), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("ip_address", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(
        "ix_sessions_revoked_at",
        "sessions",
        ["revoked_at"],
        unique=False,
        postgresql_where=sa.text("revoked_at is not null"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], unique=False)
    op.create_table(
        "bookmarks",
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("post_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["post_id"], ["posts.id"], name=op.f("fk_bookmarks_post_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_bookmarks_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "post_id", name=op.f("pk_bookmarks")),
    )
    op.create_index("ix_bookmarks_post_id", "bookmarks", ["post_id"], unique=False)
    op.create_table(
        "comments",
        sa.Column("id", sa.UUID(as_uuid=False), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("post_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("gif_url", sa.Text(), nullable=True),
        sa.Column("parent_id", sa.UUID(as_uuid=False), nullable=True),
        sa.Column("seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["post_id"], ["posts.id"], name=op.f("fk_comments_post_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_comments_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    op.create_index(
        "ix_comments_deleted",
        "comments",
        ["updated_at"],
        unique=False,
        postgresql_where=sa.text("not active"),
    )
    op.create_index("ix_comments_parent_id", "comments", ["parent_id"], unique=False)
    op.create_index("ix_comments_post_id_created_at", "comments", ["post_id", "created_at"], unique=False)
    op.create_index("ix_comments_user_id", "comments", ["user_id"], unique=False)
    op.create_index(
        "ix_comments_created_at",
        "comments",
        ["created_at"],
        unique=False,
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )
    op.create_table(
        "likes",
        sa.Column("post_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_likes_post_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_likes_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("post_id", "user_id", name=op.f("pk_likes")),
    )
    op.create_index(
        "ix_likes_withdrawn",
        "likes",
        ["updated_at"],
        unique=False,
        postgresql_where=sa.text("not active"),
    )
    op.create_index("ix_likes_user_id", "likes", ["user_id"], unique=False)
    op.create_index(
        "ix_likes_created_at",
        "likes",
        ["created_at"],
        unique=False,
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )
    op.create_table(
        "mutes",
        sa.Column("id", sa.UUID(as_uuid=False), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("muted_user_id", sa.UUID(as_uuid=False), nullable=True),
        sa.Column("muted_post_id", sa.UUID(as_uuid=False), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "num_nonnulls(muted_user_id, muted_post_id) = 1",
            name=op.f("ck_mutes_exactly_one_target"),
        ),
        sa.ForeignKeyConstraint(
            ["muted_post_id"], ["posts.id"], name=op.f("fk_mutes_muted_post_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["muted_user_id"], ["users.id"], name=op.f("fk_mutes_muted_user_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_mutes_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mutes")),
        sa.UniqueConstraint("user_id", "muted_post_id", name=op.f("uq_mutes_user_id_muted_post_id")),
        sa.UniqueConstraint("user_id", "muted_user_id", name=op.f("uq_mutes_user_id_muted_user_id")),
    )
    op.create_table(
        "notification_actors",
        sa.Column("notification_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("actor_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("event_id", sa.UUID(as_uuid=False), nullable=True),
        sa.Column("seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("is_follower", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("announced", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["actor_id"],
            ["users.id"],
            name=op.f("fk_notification_actors_actor_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["notifications.id"],
            name=op.f("fk_notification_actors_notification_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("notification_id", "actor_id", name=op.f("pk_notification_actors")),
    )
    op.create_index(
        "ix_notification_actors_actor_id_notification_id",
        "notification_actors",
        ["actor_id", "notification_id"],
        unique=False,
    )
    op.create_index(
        "ix_notification_actors_order",
        "notification_actors",
        ["notification_id", sa.literal_column("is_follower desc"), sa.literal_column("seq desc")],
        unique=False,
        postgresql_where=sa.text("active"),
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("session_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name=op.f("fk_refresh_tokens_session_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_refresh_tokens")),
    )
    op.create_index("ix_refresh_tokens_expires_at", "refresh_tokens", ["expires_at"], unique=False)
    op.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"], unique=False)
    op.execute("create view active_likes as select post_id, user_id from likes where active")
    op.execute(
        "create view unread_notifications as select id, user_id, priority from notifications "
        "where is_visible and not is_read"
    )
    op.execute("insert into epochs (name) values ('client_events')")
    # A trigger, because accounts are deleted in several ways (cleanup, manual SQL), and the tokens of a
    # deleted account must be rejected in every case.
    op.execute(
        "create function record_removed_account() returns trigger language plpgsql as $$ begin "
        "insert into removed_accounts (user_id) values (old.id) on conflict do nothing; "
        "return null; end $$"
    )
    op.execute(
        "create trigger record_removed_account after delete on users "
        "for each row execute function record_removed_account()"
    )


def downgrade() -> None:
    op.execute("drop view unread_notifications")
    op.execute("drop view active_likes")
    op.execute("drop trigger record_removed_account on users")
    op.execute("drop function record_removed_account()")
    op.drop_index("ix_refresh_tokens_session_id", table_name="refresh_tokens")
    op.drop_index("ix_refresh_tokens_expires_at", table_name="refresh_tokens")
    op.drop_table("refresh_tokens")
    op.drop_index(
        "ix_notification_actors_order",
        table_name="notification_actors",
        postgresql_where=sa.text("active"),
    )
    op.drop_index("ix_notification_actors_actor_id_notification_id", table_name="notification_actors")
    op.drop_table("notification_actors")
    op.drop_table("mutes")
    op.drop_index("ix_likes_created_at", table_name="likes", postgresql_using="brin")
    op.drop_index("ix_likes_user_id", table_name="likes")
    op.drop_index(
        "ix_likes_withdrawn",
        table_name="likes",
        postgresql_where=sa.text("not active"),
    )
    op.drop_table("likes")
    op.drop_index("ix_comments_created_at", table_name="comments", postgresql_using="brin")
    op.drop_index("ix_comments_user_id", table_name="comments")
    op.drop_index("ix_comments_post_id_created_at", table_name="comments")
    op.drop_index("ix_comments_parent_id", table_name="comments")
    op.drop_index(
        "ix_comments_deleted",
        table_name="comments",
        postgresql_where=sa.text("not active"),
    )
    op.drop_table("comments")
    op.drop_index("ix_bookmarks_post_id", table_name="bookmarks")
    op.drop_table("bookmarks")
    op.drop_index("ix_sessions_user_id", table_name="sessions")
    op.drop_index(
        "ix_sessions_revoked_at",
        table_name="sessions",
        postgresql_where=sa.text("revoked_at is not null"),
    )
    op.drop_table("sessions")
    op.drop_table("fan_out_recipients")
    op.drop_table("fan_outs")
    op.drop_index("ix_profile_changes_changed_at", table_name="profile_changes")
    op.drop_table("profile_changes")
    op.drop_index("ix_posts_user_id_created_at", table_name="posts")
    op.drop_index("ix_posts_created_at_id", table_name="posts")
    op.drop_table("posts")
    op.drop_index("ix_outgoing_messages_user_id_client_seq", table_name="outgoing_messages")
    op.drop_index(
        "ix_outgoing_messages_status_id",
        table_name="outgoing_messages",
        postgresql_where=sa.text("status <> 'delivered'"),
    )
    op.drop_index(
        "ix_outgoing_messages_recipient",
        table_name="outgoing_messages",
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.drop_index("ix_outgoing_messages_ended_at", table_name="outgoing_messages")
    op.drop_index(
        "ix_outgoing_messages_due",
        table_name="outgoing_messages",
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.drop_table("outgoing_messages")
    op.drop_index("uq_outbox_seen", table_name="outbox", postgresql_where=sa.text("client_event = 'seen'"))
    op.drop_index("ix_outbox_user_id_client_seq", table_name="outbox")
    op.drop_index(
        "ix_outbox_unpublished",
        table_name="outbox",
        postgresql_where=sa.text("published_at is null"),
    )
    op.drop_index("ix_outbox_published_at", table_name="outbox")
    op.drop_index(
        "ix_outbox_encrypted_body",
        table_name="outbox",
        postgresql_where=sa.text("encrypted_body is not null"),
    )
    op.drop_table("outbox")
    op.drop_index("ix_one_time_tokens_user_id_purpose", table_name="one_time_tokens")
    op.drop_index("ix_one_time_tokens_token_hash", table_name="one_time_tokens")
    op.drop_index("ix_one_time_tokens_expires_at", table_name="one_time_tokens")
    op.drop_table("one_time_tokens")
    op.drop_index("ix_notifications_user_id_updated_at", table_name="notifications")
    op.drop_index(
        "ix_notifications_unread",
        table_name="notifications",
        postgresql_where=sa.text("is_visible and not is_read"),
    )
    op.drop_index(
        "ix_notifications_post_url",
        table_name="notifications",
        postgresql_where=sa.text("type in ('MENTION', 'COMMENT_REPLY')"),
    )
    op.drop_index("ix_notifications_created_at", table_name="notifications", postgresql_using="brin")
    op.drop_index("ix_notifications_object_id_user_id", table_name="notifications")
    op.drop_index(
        "ix_notifications_deferred_until",
        table_name="notifications",
        postgresql_where=sa.text("deferred_until is not null"),
    )
    op.drop_index(
        "ix_notifications_read_at",
        table_name="notifications",
        postgresql_where=sa.text("read_at is not null"),
    )
    op.drop_index(
        "ix_notifications_archived_at",
        table_name="notifications",
        postgresql_where=sa.text("archived_at is not null"),
    )
    op.drop_index(
        "ix_notifications_removed_at",
        table_name="notifications",
        postgresql_where=sa.text("removed_at is not null"),
    )
    op.drop_table("notifications")
    op.drop_table("notification_preferences")
    op.drop_table("known_devices")
    op.drop_index("ix_follows_created_at", table_name="follows", postgresql_using="brin")
    op.drop_index("ix_follows_following_id", table_name="follows")
    op.drop_index(
        "ix_follows_withdrawn",
        table_name="follows",
        postgresql_where=sa.text("not active"),
    )
    op.drop_table("follows")
    op.drop_table("blocks")
    op.drop_index("ix_bell_subscriptions_target_user_id_subscriber_id", table_name="bell_subscriptions")
    op.drop_table("bell_subscriptions")
    op.drop_index(
        "ix_users_search_key",
        table_name="users",
        postgresql_using="gin",
        postgresql_ops={"search_key": "gin_trgm_ops"},
    )
    op.drop_table("users")
    op.drop_table("service_keys")
    op.drop_index("ix_removed_accounts_removed_at", table_name="removed_accounts")
    op.drop_table("removed_accounts")
    op.drop_table("redis_updates")
    op.drop_table("redis_failover_state")
    op.drop_table("retention_progress")
    op.drop_table("leases")
    op.drop_index(
        "ix_kafka_fallback_queue_backlog",
        table_name="kafka_fallback_queue",
        postgresql_where=sa.text("not processed"),
    )
    op.drop_index(
        "ix_kafka_fallback_queue_processed_at",
        table_name="kafka_fallback_queue",
        postgresql_where=sa.text("processed"),
    )
    op.drop_table("kafka_fallback_queue")
    op.drop_index("ix_idempotency_keys_expires_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("failover_affected_objects")
    op.drop_table("epochs")
    op.drop_index(
        "ix_dead_letters_resolved_at",
        table_name="dead_letters",
        postgresql_where=sa.text("resolved_at is not null"),
    )
    op.drop_table("dead_letters")
    op.drop_table("comment_deletions")
    op.drop_table("clear_watermarks")
    op.drop_index("ix_audit_log_created_at", table_name="audit_log")
    op.drop_table("audit_log")
    op.execute("drop extension fuzzystrmatch")
    op.execute("drop extension pg_trgm")
