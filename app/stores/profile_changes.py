"""Corrects open pages after somebody changed their name or picture.

In    table profile_changes: stores/users.py notes a change in its own transaction
Out   a `notification_updated` frame for each row whose text or faces show that person
Next  streams/relay.py

Names are looked up when a row is shown, so only pages that are open, or were cut off, need to hear
of a change. The work is bounded: PAGE rows a transaction, MAX_ROWS a change, the newest first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, text

from app.domain.ledger import Frame
from app.stores.groups import lock_recipients, samples
from app.stores.postgres import speaking
from app.stores.telling import Line, tell_rows

PAGE = 100
MAX_ROWS = 5_000
"""Of one person. An older row shows the new name when it is next loaded."""


@dataclass(frozen=True, slots=True)
class Change:
    """Whose profile changed when, and how far the correction is: `below` is the last row looked at,
    `rows` how many were."""

    user_id: str
    changed_at: datetime
    below: str | None
    rows: int

    @property
    def limit(self) -> int:
        return min(PAGE, MAX_ROWS - self.rows)


def note_change(sql: Connection, user_id: str) -> None:
    """In the transaction that changes the profile. A second change begins again at the newest."""
    sql.execute(_NOTE, {"user": user_id})


class ProfileChanges:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def step(self) -> int:
        """One page of the change that waits longest. 0: nothing waits.

        The page and how far it is are one transaction, so no row is told twice, not by two workers
        either.
        """
        with speaking("correct a name"), self._engine.begin() as sql:
            found = sql.execute(_OLDEST).first()
            if found is None:
                return 0
            change = Change(*found)
            values = {"user": change.user_id, "below": change.below, "limit": change.limit}
            page = [(row[0], row[1]) for row in sql.execute(_PAGE, values)]
            # Owners before the change itself: an account that goes locks them in this order.
            lock_recipients(sql, {owner for _, owner in page})
            if _advance(sql, change, page):
                tell_rows(sql, _lines(sql, change.user_id, [row for row, _ in page]))
        return max(1, len(page))


def _advance(sql: Connection, change: Change, page: Sequence[tuple[str, str]]) -> bool:
    """False: it changed again, or another worker has done this page."""
    statement = _MOVE if len(page) == PAGE else _END
    values = {
        "user": change.user_id,
        "changed": change.changed_at,
        "below": change.below,
        "last": page[-1][0] if page else None,
        "rows": len(page),
    }
    return sql.execute(statement, values).rowcount > 0


def _lines(sql: Connection, user_id: str, ids: Sequence[str]) -> list[Line]:
    """Of these rows those that somebody sees and that show this person."""
    owners = {row[0]: row[1] for row in sql.execute(_SEEN, {"ids": list(ids)})}
    shown = samples(sql, sorted(owners))
    return [
        Line(owners[one], one, Frame.UPDATED)
        for one in reversed(ids)
        if any(person.id == user_id for person, _ in shown.get(one, ()))
    ]


_NOTE = text("""
    insert into profile_changes (user_id) values (:user)
    on conflict (user_id) do update set changed_at = now(), below = null, rows_looked_at = 0
""")
_OLDEST = text(
    "select user_id::text, changed_at, below::text, rows_looked_at from profile_changes "
    "order by changed_at limit 1"
)
_PAGE = text("""
    select n.id::text, n.user_id::text from notification_actors a
    join notifications n on n.id = a.notification_id
    where a.actor_id = :user and a.active
        and (cast(:below as uuid) is null or a.notification_id < cast(:below as uuid))
    order by a.notification_id desc limit :limit
""")
_SEEN = text(
    "select id::text, user_id::text from notifications where id = any(cast(:ids as uuid[])) "
    "and version > 0 and removed_at is null and archived_at is null"
)
_WHERE = (
    "where user_id = :user and changed_at = :changed and below is not distinct from "
    "cast(:below as uuid)"
)
_MOVE = text(
    "update profile_changes set below = cast(:last as uuid), "  # noqa: S608 - constants only
    f"rows_looked_at = rows_looked_at + :rows {_WHERE}"
)
_END = text(f"delete from profile_changes {_WHERE}")  # noqa: S608 - constants only
