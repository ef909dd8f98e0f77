"""Blocks: whom a reader must not see, and who must not see them (docs/adr/0021).

In    the blueprints and stores that read; stores/mutes.py makes and ends blocks
Out   the table blocks (reads)

A block works both ways: it does not matter here who blocked whom.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, Engine, text

from app.domain.errors import Rejected
from app.domain.events import Event, Kind
from app.stores.postgres import speaking


def unblocked(other: str, viewer: str = "cast(:viewer as uuid)") -> str:
    """SQL: no block stands between the viewer and the person in that column. Without a viewer
    (null) nobody is blocked."""
    return (
        "not exists (select 1 from blocks x where "  # noqa: S608 - names of columns
        f"(x.user_id = {viewer} and x.blocked_user_id = {other}) or "
        f"(x.user_id = {other} and x.blocked_user_id = {viewer}))"
    )


def unblocked_for(viewer_id: str | None, other: str) -> ColumnElement[bool]:
    """The same as a condition of a composed query."""
    return text(unblocked(other)).bindparams(viewer=viewer_id)  # type: ignore[return-value]


class Blocks:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def check(self, viewer_id: str | None, other_id: str, missing: Rejected) -> None:
        """Raises `missing` while a block stands between them: what it hides does not exist."""
        if viewer_id is not None and self.among(viewer_id, [other_id]):
            raise missing

    def hides_post(self, viewer_id: str | None, post_id: str) -> bool:
        """Whether it exists and a block stands between its author and the viewer."""
        if viewer_id is None:
            return False
        with speaking("look for blocks"), self._engine.connect() as sql:
            values = {"viewer": viewer_id, "post": post_id}
            return sql.execute(_HIDES_POST, values).first() is not None

    def among(self, viewer_id: str | None, other_ids: Iterable[str]) -> set[str]:
        """Those of them whom a block hides from the viewer."""
        ids = sorted(set(other_ids) - {viewer_id})
        if viewer_id is None or not ids:
            return set()
        with speaking("look for blocks"), self._engine.connect() as sql:
            values = {"viewer": viewer_id, "ids": ids}
            return set(sql.execute(_AMONG, values).scalars())


_HIDES_POST = text(
    f"select 1 from posts where id = :post and not ({unblocked('posts.user_id')})"  # noqa: S608
)


def refused_follows(sql: Connection, events: Sequence[Event]) -> set[str]:
    """The ids of those follows among the events that a block refuses. Whoever asks has locked the
    recipients, as whoever blocks does: a follow and a block at the same time come one after the
    other."""
    follows = [one for one in events if one.kind is Kind.FOLLOW and one.active]
    if not follows:
        return set()
    values = {
        "ids": [one.event_id for one in follows],
        "followers": [one.actor_id for one in follows],
        "followed": [one.recipient_id for one in follows],
    }
    return set(sql.execute(_REFUSED, values).scalars())


_REFUSED = text("""
    select n.id::text from unnest(cast(:ids as uuid[]), cast(:followers as uuid[]),
        cast(:followed as uuid[])) as n (id, follower, followed)
    where exists (select 1 from blocks b
        where (b.user_id = n.follower and b.blocked_user_id = n.followed)
            or (b.user_id = n.followed and b.blocked_user_id = n.follower))
""")
_AMONG = text("""
    select blocked_user_id::text from blocks
        where user_id = :viewer and blocked_user_id = any(cast(:ids as uuid[]))
    union select user_id::text from blocks
        where blocked_user_id = :viewer and user_id = any(cast(:ids as uuid[]))
""")
