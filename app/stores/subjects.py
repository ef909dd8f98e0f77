"""What can be liked or followed, a post or a person; how Redis and PostgreSQL name its members.

In    nothing: constants
Out   stores/warming.py and stores/memberships.py, which ask by them
"""

from dataclasses import dataclass

from app.domain.errors import Rejected
from app.domain.events import Kind
from app.stores.redis import key


@dataclass(frozen=True, slots=True)
class Subject:
    kind: Kind
    prefix: str
    missing: Rejected
    owner_sql: str
    members_sql: str
    counts_sql: str

    def count_key(self, subject_id: str) -> str:
        return key(self.prefix, "count", subject_id)

    def members_key(self, subject_id: str) -> str:
        return key(self.prefix, "users", subject_id)


def _counted(kind: str, table: str, column: str, rows: str, subject: str, actor: str) -> str:
    """Count and the viewer's own standing, by the rows and by the words that went past Redis and
    that the rows do not have yet (stores/direct_words.py)."""
    return (
        "with w as (select distinct on (subject_id, member_id) subject_id, member_id, active, seq "  # noqa: S608 - constants only
        f"from direct_words where kind = '{kind}' and subject_id = any(cast(:ids as uuid[])) "
        "order by subject_id, member_id, seq desc), "
        "d as (select w.subject_id, w.member_id, w.active, "
        "w.active::int - coalesce(r.active, false)::int as delta "
        f"from w left join {rows} r on r.{subject} = w.subject_id and r.{actor} = w.member_id "
        "where coalesce(r.seq, 0) < w.seq) "
        f"select s.id::text, s.{column} + "
        "coalesce((select sum(delta) from d where subject_id = s.id), 0)::int, "
        "coalesce((select active from d where subject_id = s.id "
        "and member_id = cast(:viewer as uuid)), r.active) "
        f"from {table} s left join {rows} r "
        f"on r.{subject} = s.id and r.{actor} = cast(:viewer as uuid) "
        "where s.id = any(cast(:ids as uuid[]))"
    )


POST = Subject(
    Kind.LIKE,
    "like",
    Rejected("Post not found", "post_not_found", 404),
    "select user_id::text from posts where id = :id",
    "select user_id::text from likes where post_id = :id and active",
    _counted("LIKE", "posts", "like_count", "likes", "post_id", "user_id"),
)
PERSON = Subject(
    Kind.FOLLOW,
    "follow",
    Rejected("User not found", "user_not_found", 404),
    "select id::text from users where id = :id",
    "select follower_id::text from follows where following_id = :id and active",
    _counted("FOLLOW", "users", "follower_count", "follows", "following_id", "follower_id"),
)
