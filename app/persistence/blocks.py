"""Reads blocks: which users, posts and follows a block hides or forbids (docs/adr/0021).

In: viewer ids and the users or posts to show. Out: hidden ids, conditions for queries. app/social/mutes.py
writes the table. A block hides both users from each other, whoever created it.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Engine, text

from app.clients.postgres import autocommit_engine, translate_errors
from app.domain.errors import Rejected
from app.domain.events import Event, Kind


def not_blocked_sql(other_column: str, viewer_expr: str = "cast(:viewer as uuid)") -> str:
    """SQL condition: no block exists between the viewer and the user in that column. True for everyone when
    the viewer is null."""
    return (
        "not exists (select 1 from blocks x where "  # noqa: S608 - names of columns
        f"(x.user_id = {viewer_expr} and x.blocked_user_id = {other_column}) or "
        f"(x.user_id = {other_column} and x.blocked_user_id = {viewer_expr}))"
    )


class Blocks:
    def __init__(self, engine: Engine) -> None:
        self._engine = autocommit_engine(engine)

    def raise_if_blocked(
        self, viewer_id: str | None, other_user_id: str, not_found_error: type[Rejected]
    ) -> None:
        """Raises `not_found_error` if a block exists between the two, as if the object did not exist."""
        if viewer_id is not None and self.filter_hidden_user_ids(viewer_id, [other_user_id]):
            raise not_found_error

    def is_post_hidden(self, viewer_id: str | None, post_id: str) -> bool:
        """Whether the post exists and a block exists between its author and the viewer."""
        if viewer_id is None:
            return False
        with translate_errors("read blocks"), self._engine.connect() as conn:
            values = {"viewer": viewer_id, "post": post_id}
            return conn.execute(_SELECT_HIDDEN_POST, values).first() is not None

    def filter_hidden_user_ids(self, viewer_id: str | None, other_user_ids: Iterable[str]) -> set[str]:
        """The given users whom a block hides from the viewer."""
        candidate_ids = sorted(set(other_user_ids) - {viewer_id})
        if viewer_id is None or not candidate_ids:
            return set()
        with translate_errors("read blocks"), self._engine.connect() as conn:
            values = {"viewer": viewer_id, "ids": candidate_ids}
            return set(conn.execute(_SELECT_HIDDEN_USERS, values).scalars())


_SELECT_HIDDEN_POST = text(
    f"select 1 from posts where id = :post and not ({not_blocked_sql('posts.user_id')})"  # noqa: S608
)


def find_blocked_follow_event_ids(conn: Connection, events: Sequence[Event]) -> set[str]:
    """The ids of the follow events that a block forbids. The caller has locked the recipients. Creating a
    block locks them too, so that a follow and a block never run at the same time."""
    follow_events = [event for event in events if event.kind is Kind.FOLLOW and event.active]
    if not follow_events:
        return set()
    values = {
        "ids": [event.event_id for event in follow_events],
        "followers": [event.actor_id for event in follow_events],
        "followed": [event.recipient_id for event in follow_events],
    }
    return set(conn.execute(_SELECT_BLOCKED_FOLLOWS, values).scalars())


_SELECT_BLOCKED_FOLLOWS = text("""
    select n.id::text from unnest(cast(:ids as uuid[]), cast(:followers as uuid[]),
        cast(:followed as uuid[])) as n (id, follower, followed)
    where exists (select 1 from blocks b
        where (b.user_id = n.follower and b.blocked_user_id = n.followed)
            or (b.user_id = n.followed and b.blocked_user_id = n.follower))
""")
_SELECT_HIDDEN_USERS = text("""
    select blocked_user_id::text from blocks
        where user_id = :viewer and blocked_user_id = any(cast(:ids as uuid[]))
    union select user_id::text from blocks
        where blocked_user_id = :viewer and user_id = any(cast(:ids as uuid[]))
""")
