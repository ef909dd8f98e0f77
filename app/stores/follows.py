"""Lists of followers, and bells: who wants to hear of each new post of whom.

In    blueprints/follows.py, blueprints/users.py
Out   the tables follows (reads; the flusher writes it) and bell_subscriptions

Whether somebody follows somebody is asked of stores/memberships.py, which knows it first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Engine, text

from app.stores.postgres import speaking
from app.stores.users import Mini

Side = Literal["followers", "following"]
_SIDES: dict[Side, tuple[str, str]] = {
    "followers": ("follower_id", "following_id"),
    "following": ("following_id", "follower_id"),
}


@dataclass(frozen=True, slots=True)
class Tie:
    """One line of a list: the person, and since when."""

    person: Mini
    since: datetime


class Follows:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def people(
        self, side: Side, user_id: str, limit: int, after: tuple[datetime, str] | None
    ) -> list[Tie]:
        """Newest first, at most `limit`."""
        other, own = _SIDES[side]
        older = f"and (f.created_at, f.{other}) < (:moment, cast(:last as uuid))" if after else ""
        moment, last = after or (None, None)
        statement = (
            f"select u.id::text, u.username, u.name, u.avatar_url, f.created_at "  # noqa: S608 - constants
            f"from follows f join users u on u.id = f.{other} "
            f"where f.{own} = :user and f.active {older} "
            f"order by f.created_at desc, f.{other} desc limit :limit"
        )
        values = {"user": user_id, "limit": limit, "moment": moment, "last": last}
        with speaking("list people"), self._engine.connect() as sql:
            return [Tie(Mini(*row[:4]), row[4]) for row in sql.execute(text(statement), values)]

    def is_written(self, follower_id: str, following_id: str) -> bool:
        """Whether the row is there already; it follows its acceptance by moments."""
        with speaking("find a follow"), self._engine.connect() as sql:
            found = sql.execute(_WRITTEN, {"follower": follower_id, "following": following_id})
            return found.first() is not None

    def set_bell(self, subscriber_id: str, target_id: str, on: bool) -> None:
        values = {"subscriber": subscriber_id, "target": target_id}
        with speaking("set the bell"), self._engine.begin() as sql:
            sql.execute(_RING if on else _UNRING, values)

    def bells(self, subscriber_id: str | None, target_ids: Sequence[str]) -> set[str]:
        """For which of them the bell is on."""
        if subscriber_id is None or not target_ids:
            return set()
        values = {"subscriber": subscriber_id, "targets": list(target_ids)}
        with speaking("look at the bells"), self._engine.connect() as sql:
            return set(sql.execute(_BELLS, values).scalars())


_WRITTEN = text(
    "select 1 from follows where follower_id = :follower and following_id = :following and active"
)
# Selected from users, so that a target who is gone is no fault but no bell.
_RING = text(
    "insert into bell_subscriptions (subscriber_id, target_user_id) "
    "select s.id, t.id from users s, users t where s.id = :subscriber and t.id = :target "
    "on conflict do nothing"
)
_UNRING = text(
    "delete from bell_subscriptions where subscriber_id = :subscriber and target_user_id = :target"
)
_BELLS = text(
    "select target_user_id::text from bell_subscriptions "
    "where subscriber_id = :subscriber and target_user_id = any(cast(:targets as uuid[]))"
)
