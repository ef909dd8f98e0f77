"""The two kinds of membership, likes of a post and follows of a user: their Redis keys and queries.

Constants for app/ingest/cache_loader.py, app/ingest/memberships.py and app/ingest/failover_writes.py.
"""

from dataclasses import dataclass

from app.domain.errors import FixedRejection, define_rejection
from app.domain.events import Kind
from app.persistence import membership_keys


@dataclass(frozen=True, slots=True)
class MembershipKind:
    event_kind: Kind
    key_prefix: str
    not_found_error: type[FixedRejection]
    select_object_sql: str
    """Owner, count, and the members, or null if they are more than `max_members`. One more may be returned.
    One statement, so that the parts agree."""
    select_state_sql: str
    """Whether `actor` is a member."""
    select_counts_sql: str
    """Id, the counts of `count_keys()`, and whether `viewer` is a member: null without a row."""

    def count_key(self, object_id: str) -> str:
        return membership_keys.count_key(self.event_kind, object_id)

    def count_keys(self, object_id: str) -> list[str]:
        """Of all its counts; the first is the number of members."""
        count_keys = [self.count_key(object_id)]
        if self.event_kind is Kind.LIKE:
            count_keys.append(membership_keys.comment_key("count", object_id))
        return count_keys

    def members_key(self, object_id: str) -> str:
        return membership_keys.members_key(self.event_kind, object_id)

    def unwritten_key(self, object_id: str) -> str:
        return membership_keys.unwritten_key(self.event_kind, object_id)

    def large_key(self, object_id: str) -> str:
        return membership_keys.large_key(self.event_kind, object_id)

    def idle_set_entry(self, object_id: str) -> str:
        return membership_keys.idle_set_entry(self.event_kind, object_id)


def _counts_sql(
    object_table: str,
    count_columns: tuple[str, ...],
    membership_table: str,
    object_column: str,
    actor_column: str,
) -> str:
    counts = ", ".join(f"s.{column}" for column in count_columns)
    return (
        f"select s.id::text, {counts}, r.active "  # noqa: S608 - constants only
        f"from {object_table} s left join {membership_table} r "
        f"on r.{object_column} = s.id and r.{actor_column} = cast(:viewer as uuid) "
        "where s.id = any(cast(:ids as uuid[]))"
    )


POST_LIKES = MembershipKind(
    Kind.LIKE,
    "like",
    define_rejection("Post not found", "post_not_found", 404),
    "select p.user_id::text, p.like_count, case when p.like_count <= :max_members then array("
    "select l.user_id::text from likes l where l.post_id = p.id and l.active limit :max_members + 1) end "
    "from posts p where p.id = :id",
    "select active from likes where post_id = :id and user_id = :actor",
    _counts_sql("posts", ("like_count", "comment_count"), "likes", "post_id", "user_id"),
)
USER_FOLLOWS = MembershipKind(
    Kind.FOLLOW,
    "follow",
    define_rejection("User not found", "user_not_found", 404),
    "select u.id::text, u.follower_count, case when u.follower_count <= :max_members then array("
    "select f.follower_id::text from follows f where f.following_id = u.id and f.active "
    "limit :max_members + 1) end from users u where u.id = :id",
    "select active from follows where following_id = :id and follower_id = :actor",
    _counts_sql("users", ("follower_count",), "follows", "following_id", "follower_id"),
)
