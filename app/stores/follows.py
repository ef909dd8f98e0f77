"""Lists of followers, and bells: who wants to hear of each new post of whom.

In    blueprints/follows.py, blueprints/users.py
Out   the tables follows (reads; the flusher writes it) and bell_subscriptions

Whether somebody follows somebody is asked of stores/memberships.py, which knows it first. A list
is the rows, and over them what is accepted and not written yet: the pending follows of
stores/pending_follows.py, and the words that went past Redis (stores/direct_words.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Engine, TextClause, text

from app.stores.blocks import unblocked
from app.stores.pending_follows import UNWRITTEN, Unwritten, unwritten_values
from app.stores.postgres import speaking
from app.stores.users import Mini

Side = Literal["followers", "following"]
_SIDES: dict[Side, tuple[str, str]] = {
    "followers": ("follower_id", "following_id"),
    "following": ("following_id", "follower_id"),
}
# The same two ends in direct_words.
_WORD_SIDES: dict[Side, tuple[str, str]] = {
    "followers": ("member_id", "subject_id"),
    "following": ("subject_id", "member_id"),
}


@dataclass(frozen=True, slots=True)
class Tie:
    """One line of a list: the person, and since when."""

    person: Mini
    since: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a list, and for whom: `after` is the place of the last line before it."""

    limit: int
    after: tuple[datetime, str] | None = None
    viewer_id: str | None = None


class Follows:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def people(
        self, side: Side, user_id: str, part: Part, unwritten: Sequence[Unwritten] = ()
    ) -> list[Tie]:
        """Newest first, at most `part.limit`; without those whom a block hides from the viewer."""
        moment, last = part.after or (None, None)
        values: dict[str, object] = {"user": user_id, "viewer": part.viewer_id}
        values |= {"limit": part.limit, "moment": moment, "last": last}
        values |= unwritten_values(unwritten)
        statement = _LISTS[side, part.after is not None]
        with speaking("list people"), self._engine.connect() as sql:
            return [Tie(Mini(*row[:4]), row[4]) for row in sql.execute(statement, values)]

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


# When an event was accepted, as domain/events.py `occurred_at` says it: the time of its row later.
_MOMENT = "timestamptz 'epoch' + (s.seq / 1024) * interval '1 millisecond'"


def _list(side: Side, goes_on: bool) -> TextClause:
    """Rows that nothing newer speaks of, and the newer events that say "follows". Both halves are
    cut before they are joined, so that a long list is not read as a whole for its first part."""
    (other, own), (word_other, word_own) = _SIDES[side], _WORD_SIDES[side]
    after = "where (since, other) < (:moment, cast(:last as uuid))" if goes_on else ""
    page = "order by since desc, other desc limit :limit"
    return text(f"""
        with said as (
            select distinct on (other) other, active, seq from (
                select {word_other} as other, active, seq from direct_words
                    where kind = 'FOLLOW' and {word_own} = :user
                union all select * from {UNWRITTEN}) w (other, active, seq)
            order by other, seq desc),
        newer as (
            select s.other, s.active,
                coalesce(f.created_at, {_MOMENT}) as since
            from said s left join follows f on f.{own} = :user and f.{other} = s.other
                and f.active
            where not exists (select 1 from follows r
                where r.{own} = :user and r.{other} = s.other and r.seq >= s.seq)),
        tie as (
            (select * from (select f.{other} as other, f.created_at as since from follows f
                where f.{own} = :user and f.active
                and not exists (select 1 from newer n where n.other = f.{other})
                and {unblocked(f"f.{other}")}) r {after} {page})
            union all
            (select * from (select n.other, n.since from newer n
                where n.active and {unblocked("n.other")}) r {after} {page}))
        select u.id::text, u.username, u.name, u.avatar_url, tie.since
        from tie join users u on u.id = tie.other {page}
    """)  # noqa: S608 - constants only


_LISTS = {(side, goes_on): _list(side, goes_on) for side in _SIDES for goes_on in (False, True)}
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
