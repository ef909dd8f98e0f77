"""Notifications as their owner sees them: the list, the badge, who is in a group.

In    blueprints/notifications.py, blueprints/pages.py
Out   the tables notifications and notification_actors (reads; stores/ledger.py writes them)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, RowMapping, func, select, text, tuple_

from app.domain.errors import Rejected
from app.domain.events import Priority
from app.stores import groups
from app.stores.groups import ACTOR_ORDER, SHOWN_NAME, Person
from app.stores.postgres import speaking
from app.stores.posts import Slice
from app.stores.tables import notifications
from app.stores.users import Mini

MISSING = Rejected("Notification not found", "notification_not_found", 404)
GROUPED = 100
_N = notifications.c
# Version 0: not told yet, so it is nobody's to see (the window of a comment is still open).
VISIBLE = (_N.version > 0) & _N.removed_at.is_(None) & _N.archived_at.is_(None)


@dataclass(frozen=True, slots=True)
class Filter:
    unread_only: bool = False
    priority: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Badge:
    """Unread groups. A lower version never follows a higher one (contract 4)."""

    count: int
    by_priority: dict[str, int]
    version: int


@dataclass(frozen=True, slots=True)
class Actor:
    """One of a group; its place in the list is (follower, seq, id)."""

    person: Mini
    follower: bool
    seq: int


@dataclass(frozen=True, slots=True)
class Why:
    """A row, its first actors with how each came in, and what was told about it, oldest first."""

    row: RowMapping
    actors: list[RowMapping]
    frames: list[RowMapping]


class Notifications:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def newest(self, user_id: str, wanted: Filter, part: Slice) -> list[RowMapping]:
        """By last change, newest first."""
        query = select(notifications).where(*_where(user_id, wanted))
        if part.after is not None:
            query = query.where(tuple_(_N.updated_at, _N.id) < part.after)
        query = query.order_by(_N.updated_at.desc(), _N.id.desc())
        with speaking("read notifications"), self._engine.connect() as sql:
            found = sql.execute(query.limit(part.limit).offset(part.offset))
            return list(found.mappings())

    def total(self, user_id: str, wanted: Filter) -> int:
        query = select(func.count()).select_from(notifications).where(*_where(user_id, wanted))
        with speaking("count notifications"), self._engine.connect() as sql:
            return int(sql.execute(query).scalar_one())

    def badge(self, user_id: str) -> Badge:
        with speaking("count what is unread"), self._engine.connect() as sql:
            # The version first: a change in between makes the count newer than it says, which the
            # next frame corrects; the other way round an old count would look new.
            version = sql.execute(_BADGE_VERSION, {"user": user_id}).scalar()
            rows = sql.execute(_UNREAD, {"user": user_id})
            counts = {row[0]: int(row[1]) for row in rows}
        by_priority = {one.value: counts.get(one.value, 0) for one in Priority}
        return Badge(sum(by_priority.values()), by_priority, int(version or 0))

    def grouped(self, user_id: str) -> list[RowMapping]:
        """The last few, whatever their kind."""
        return self.newest(user_id, Filter(), Slice(GROUPED))

    def stats(self, user_id: str) -> list[RowMapping]:
        """Per kind: how many rows, how many of them unread, the latest."""
        with speaking("count notifications"), self._engine.connect() as sql:
            return list(sql.execute(_STATS, {"user": user_id}).mappings())

    def why(self, notification_id: str) -> Why | None:
        """What the tables know of how a row came about; None when there is none to see."""
        query = select(notifications).where(_N.id == notification_id, _N.version > 0)
        with speaking("tell why it came"), self._engine.connect() as sql:
            row = sql.execute(query.where(_N.removed_at.is_(None))).mappings().first()
            if row is None:
                return None
            values = {"id": notification_id, "user": row["user_id"], "limit": GROUPED}
            actors = list(sql.execute(_WHY_ACTORS, values).mappings())
            frames = list(sql.execute(_WHY_FRAMES, values).mappings())
        return Why(row, actors, frames[::-1])

    def owner_of(self, notification_id: str) -> str:
        """Whose it is. Raises Rejected (404)."""
        query = select(_N.user_id).where(_N.id == notification_id, _N.version > 0)
        with speaking("find a notification"), self._engine.connect() as sql:
            owner = sql.execute(query.where(_N.removed_at.is_(None))).scalar()
        if owner is None:
            raise MISSING
        return str(owner)

    def samples(self, ids: Sequence[str]) -> dict[str, list[Person]]:
        """The first few actors of each."""
        if not ids:
            return {}
        with speaking("tell who it was"), self._engine.connect() as sql:
            found = groups.samples(sql, ids)
        return {one: [person for person, _ in people] for one, people in found.items()}

    def actors(
        self, notification_id: str, limit: int, after: tuple[bool, int, str] | None
    ) -> list[Actor]:
        """All of a group, followers first, then the newest."""
        older = "and (a.is_follower, a.seq, a.actor_id) < (:follower, :seq, cast(:last as uuid))"
        follower, seq, last = after or (None, None, None)
        values: dict[str, Any] = {"id": notification_id, "limit": limit}
        values |= {"follower": follower, "seq": seq, "last": last}
        statement = text(_ACTORS.format(older=older if after else ""))
        with speaking("tell who it was"), self._engine.connect() as sql:
            return [Actor(Mini(*row[:4]), row[4], row[5]) for row in sql.execute(statement, values)]


def _where(user_id: str, wanted: Filter) -> list[ColumnElement[bool]]:
    terms = [_N.user_id == user_id, VISIBLE]
    if wanted.unread_only:
        terms.append(~_N.is_read)
    if wanted.priority is not None:
        terms.append(_N.priority == wanted.priority)
    if wanted.kind is not None:
        terms.append(_N.type == wanted.kind)
    return terms


_STATS = text(
    "select type, count(*) as count, count(*) filter (where not is_read) as unread, "
    "max(updated_at) as latest from notifications where user_id = :user and version > 0 "
    "and removed_at is null and archived_at is null group by type order by latest desc"
)
_WHY_ACTORS = text(
    f"select a.actor_id::text, {SHOWN_NAME} as name, u.username, a.event_id::text, a.seq, "  # noqa: S608 - constants only
    "a.active, a.is_follower, a.announced, a.created_at from notification_actors a "
    "join users u on u.id = a.actor_id "
    f"where a.notification_id = :id order by a.active desc, {ACTOR_ORDER} limit :limit"
)
_WHY_FRAMES = text(
    "select frame, seq, created_at, published_at, payload->'metadata'->>'newCount' as new_count, "
    "payload->>'version' as version from outbox where user_id = :user and payload->>'id' = :id "
    "order by id desc limit :limit"
)
_BADGE_VERSION = text("select badge_version from users where id = :user")
_UNREAD = text(
    "select priority, count(*) from notifications where user_id = :user and not is_read "
    "and removed_at is null and archived_at is null and version > 0 group by priority"
)
_ACTORS = (
    "select u.id::text, u.username, u.name, u.avatar_url, a.is_follower, a.seq "  # noqa: S608 - constants only
    "from notification_actors a join users u on u.id = a.actor_id "
    "where a.notification_id = :id and a.active {older} "
    f"order by {ACTOR_ORDER} limit :limit"
)
