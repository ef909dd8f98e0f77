"""Marks: what its owner has seen, read, put away or thrown away, told to the owner's other screens
in the same transaction.

In    blueprints/notifications.py
Out   PostgreSQL: notifications; stores/telling.py: frames and the badge
Next  streams/relay.py
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, func, select, text, update

from app.domain.errors import Rejected
from app.domain.events import UNGROUPED_KINDS
from app.domain.ledger import Frame
from app.stores.groups import lock_recipients
from app.stores.notifications import MISSING, VISIBLE
from app.stores.postgres import speaking
from app.stores.tables import notifications
from app.stores.telling import Line, tell_rows

FOREIGN = Rejected("Forbidden: Cannot modify another user's notification", "forbidden", 403)
MAX_SEQ = 2**63 - 1
_N = notifications.c
_NOW = text("now()")
_SEEN = text("coalesce(seen_at, now())")


@dataclass(frozen=True, slots=True)
class Mark:
    """What a mark makes of a row, which rows it changes at all, and how it is told."""

    values: dict[str, object]
    changes: ColumnElement[bool]
    frame: Frame = Frame.UPDATED


READ = Mark({"is_read": True, "read_at": _NOW, "seen_at": _SEEN}, ~_N.is_read)
UNREAD = Mark({"is_read": False, "read_at": None}, _N.is_read)
SEEN = Mark({"seen_at": _NOW}, _N.seen_at.is_(None))
# To a list it is gone. The rows stay, so that a late copy of an event finds them.
ARCHIVED = Mark({"archived_at": _NOW, "seen_at": _SEEN}, _N.archived_at.is_(None), Frame.REMOVED)
# Undo. A row whose last actor left meanwhile stays where it is: it would say nothing.
UNARCHIVED = Mark(
    {"archived_at": None},
    _N.archived_at.is_not(None) & ((_N.actor_count > 0) | _N.type.in_(sorted(UNGROUPED_KINDS))),
)
DELETED = Mark(
    {"removed_at": _NOW, "archived_at": text("coalesce(archived_at, now())")},
    _N.removed_at.is_(None),
    Frame.REMOVED,
)


@dataclass(frozen=True, slots=True)
class Changed:
    """How many rows one mark changed, and when: the moment that stands in each of them."""

    count: int
    at: datetime


class Marks:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, owner_id: str, notification_id: str) -> RowMapping:
        return self.mark(owner_id, notification_id, READ)

    def mark(
        self, owner_id: str, notification_id: str, mark: Mark, foreign: Rejected = FOREIGN
    ) -> RowMapping:
        """The row as it reads afterwards; again is no change. Raises Rejected (404, 403)."""
        with speaking("mark it"), self._engine.begin() as sql:
            lock_recipients(sql, [owner_id])
            row = _find(sql, notification_id)
            if row is None or row["removed_at"] is not None:
                raise MISSING
            if row["user_id"] != owner_id:
                raise foreign
            _mark(sql, owner_id, [notification_id], mark)
            return _find(sql, notification_id) or row

    def read_all(self, owner_id: str, up_to: int | None) -> Changed:
        """What arrives after `up_to` stays unread."""
        return self._mark_all(owner_id, _up_to(up_to), READ)

    def see_all(self, owner_id: str, up_to: int | None) -> int:
        return self._mark_all(owner_id, _up_to(up_to), SEEN).count

    def unread_all(self, owner_id: str, read_at: datetime) -> int:
        """Takes back a `read_all` by its moment: rows read before or since keep their mark."""
        moment = func.date_trunc("milliseconds", _N.read_at) == read_at
        return self._mark_all(owner_id, moment, UNREAD).count

    def _mark_all(self, owner_id: str, which: ColumnElement[bool], mark: Mark) -> Changed:
        with speaking("mark all"), self._engine.begin() as sql:
            lock_recipients(sql, [owner_id])
            query = (
                select(_N.id)
                .where(_N.user_id == owner_id, VISIBLE, mark.changes, which)
                .order_by(_N.seq, _N.id)
            )
            count = _mark(sql, owner_id, list(sql.execute(query).scalars()), mark)
            return Changed(count, sql.execute(text("select now()")).scalar_one())


def _up_to(seq: int | None) -> ColumnElement[bool]:
    return _N.seq <= min(MAX_SEQ if seq is None else seq, MAX_SEQ)


def _find(sql: Connection, notification_id: str) -> RowMapping | None:
    query = select(notifications).where(_N.id == notification_id, _N.version > 0)
    return sql.execute(query).mappings().first()


def _mark(sql: Connection, owner_id: str, ids: Sequence[str], mark: Mark) -> int:
    """How many it changed; those are told, in the order of `ids`."""
    statement = update(notifications).where(_N.id.in_(ids), mark.changes).values(mark.values)
    changed = set(sql.execute(statement.returning(_N.id)).scalars())
    lines = [Line(owner_id, one, mark.frame) for one in ids if one in changed]
    tell_rows(sql, lines)
    return len(lines)
