"""Returns snoozed notifications to the list when their time has come.

In: rows of notifications whose `snoozed_until`, set by app/social/notification_status.py, has passed. Out:
one `notification_updated` client event per row and one unread count per recipient, in the same transaction.

A snoozed row is not in the list (`is_visible`). New actors join it without an announcement
(app/persistence/groups.py). It returns without a toast, an e-mail or a text message: the recipient chose the
time, and knows what it is about.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from app.clients.postgres import translate_errors
from app.domain.grouping import ClientEventType
from app.persistence.groups import lock_recipients, write_group_changes
from app.persistence.row_updates import (
    FAILED_ROW_DELAY,
    ROW_ERRORS,
    NotificationRowUpdate,
    publish_row_updates,
)

log = logging.getLogger(__name__)
MAX_ROWS = 200
"""Rows per call of return_due_rows."""


@dataclass(frozen=True, slots=True)
class DueRow:
    id: str
    recipient_id: str


@dataclass(frozen=True, slots=True)
class ReturnedRow:
    """A row that is not snoozed any more. Not visible: all its actors left meanwhile. `unannounced_count`:
    the actors who joined it without an announcement."""

    id: str
    recipient_id: str
    is_visible: bool
    unannounced_count: int


class SnoozedNotifications:
    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now

    def return_due_rows(self) -> int:
        """Returns the number of rows that returned, unread and at the top, those due first. A crash before
        the commit changes nothing, and a row that another worker returned meanwhile is not due any more.

        The rows are one transaction. If one of them makes it fail, each has a transaction of its own, and
        the one that fails is due again after FAILED_ROW_DELAY, behind the others. Raises Unavailable."""
        now = datetime.fromtimestamp(self._now(), UTC)
        with translate_errors("find snoozed notifications"), self._engine.connect() as conn:
            due = [DueRow(*row) for row in conn.execute(_SELECT_DUE, {"now": now, "limit": MAX_ROWS})]
        try:
            return self._return_rows(due, now)
        except ROW_ERRORS:
            return sum(self._return_or_postpone(row, now) for row in due)

    def _return_or_postpone(self, row: DueRow, now: datetime) -> int:
        try:
            return self._return_rows([row], now)
        except ROW_ERRORS:
            log.exception(
                "Snoozed notification %s cannot be returned", row.id, extra={"event": "snooze_return_failed"}
            )
        with translate_errors("postpone a snoozed notification"), self._engine.begin() as conn:
            conn.execute(_POSTPONE, {"id": row.id, "now": now, "until": now + FAILED_ROW_DELAY})
        return 0

    def _return_rows(self, due: Sequence[DueRow], now: datetime) -> int:
        if not due:
            return 0
        ids = [row.id for row in due]
        with translate_errors("return snoozed notifications"), self._engine.begin() as conn:
            lock_recipients(conn, {row.recipient_id for row in due})
            rows = [ReturnedRow(*row) for row in conn.execute(_RETURN_DUE, {"ids": ids, "now": now})]
            # Their owner sees them now: actors who joined meanwhile are not announced later.
            write_group_changes(conn, {}, [row.id for row in rows if row.unannounced_count])
            _publish_returned_rows(conn, sorted(rows, key=lambda row: ids.index(row.id)))
            return len(rows)


def cancel_snooze(conn: Connection, notification_id: str) -> None:
    """Returns one row before its time, as read and as old as it was. Actors who were not announced yet are
    announced with the next window that closes. The recipient must be locked."""
    rows = conn.execute(_CANCEL, {"id": notification_id})
    _publish_returned_rows(conn, [ReturnedRow(*row) for row in rows])


def _publish_returned_rows(conn: Connection, rows: Sequence[ReturnedRow]) -> None:
    """The client events announce no actors: a silent one that does is one that quiet hours hold."""
    row_updates = [
        NotificationRowUpdate(row.recipient_id, row.id, ClientEventType.UPDATED)
        for row in rows
        if row.is_visible
    ]
    publish_row_updates(conn, row_updates)


_RETURNED_COLUMNS = "id::text, user_id::text, is_visible, old.unannounced_count"
_SELECT_DUE = text(
    "select n.id::text, n.user_id::text from notifications n where n.snoozed_until <= :now "
    "order by n.snoozed_until, n.id limit :limit"
)
_RETURN_DUE = text(
    "update notifications set snoozed_until = null, unannounced_count = 0, is_read = false, "  # noqa: S608 - constants only
    "read_at = null, seen_at = null, updated_at = :now "
    f"where id = any(cast(:ids as uuid[])) and snoozed_until <= :now returning {_RETURNED_COLUMNS}"
)
_POSTPONE = text("update notifications set snoozed_until = :until where id = :id and snoozed_until <= :now")
_CANCEL = text(
    "update notifications set snoozed_until = null "  # noqa: S608 - constants only
    f"where id = :id and snoozed_until is not null returning {_RETURNED_COLUMNS}"
)
