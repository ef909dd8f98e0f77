"""Returns snoozed notifications to the list when their time has come.

In: rows of notifications whose `snoozed_until`, set by app/social/notification_status.py, has passed. Out:
one `notification_updated` client event per row and one unread count per recipient, in the same transaction.

A snoozed row is not in the list (`is_visible`). New actors join it without an announcement
(app/persistence/groups.py). It returns without a toast, an e-mail or a text message: the recipient chose the
time, and knows what it is about.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from app.clients.postgres import translate_errors
from app.domain.grouping import ClientEventType
from app.persistence.groups import lock_recipients, write_group_changes
from app.persistence.row_updates import NotificationRowUpdate, publish_row_updates

MAX_ROWS = 200
"""Rows per call of return_due_rows."""


@dataclass(frozen=True, slots=True)
class ReturnedRow:
    """A row that is not snoozed any more. `joined_count`: the actors who joined it without an announcement.
    Not visible: all its actors left meanwhile."""

    id: str
    recipient_id: str
    joined_count: int
    is_visible: bool


class SnoozedNotifications:
    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now

    def return_due_rows(self) -> int:
        """Returns the number of rows that returned, unread and at the top, those due first. A crash before
        the commit changes nothing, and a row that another worker returned meanwhile is not due any more."""
        now = datetime.fromtimestamp(self._now(), UTC)
        with translate_errors("return snoozed notifications"), self._engine.begin() as conn:
            due = conn.execute(_SELECT_DUE, {"now": now, "limit": MAX_ROWS}).all()
            if not due:
                return 0
            ids = [row[0] for row in due]
            lock_recipients(conn, {row[1] for row in due})
            returned = {
                row[0]: ReturnedRow(*row) for row in conn.execute(_RETURN_DUE, {"ids": ids, "now": now})
            }
            _publish_returned_rows(conn, [returned[row_id] for row_id in ids if row_id in returned])
            return len(returned)


def cancel_snooze(conn: Connection, notification_id: str) -> None:
    """Returns one row before its time, as read and as old as it was. The recipient must be locked."""
    rows = conn.execute(_CANCEL, {"id": notification_id})
    _publish_returned_rows(conn, [ReturnedRow(*row) for row in rows])


def _publish_returned_rows(conn: Connection, rows: Sequence[ReturnedRow]) -> None:
    write_group_changes(conn, {}, [row.id for row in rows if row.joined_count])
    row_updates = [
        NotificationRowUpdate(row.recipient_id, row.id, ClientEventType.UPDATED, row.joined_count)
        for row in rows
        if row.is_visible
    ]
    publish_row_updates(conn, row_updates)


_RETURNED_COLUMNS = "id::text, user_id::text, old.unannounced_count, is_visible"
_SELECT_DUE = text(
    "select id::text, user_id::text from notifications where snoozed_until <= :now "
    "order by snoozed_until, notifications.id limit :limit"
)
_RETURN_DUE = text(
    "update notifications set snoozed_until = null, unannounced_count = 0, is_read = false, "  # noqa: S608 - constants only
    "read_at = null, seen_at = null, updated_at = :now "
    f"where id = any(cast(:ids as uuid[])) and snoozed_until <= :now returning {_RETURNED_COLUMNS}"
)
_CANCEL = text(
    "update notifications set snoozed_until = null, unannounced_count = 0 "  # noqa: S608 - constants only
    f"where id = :id and snoozed_until is not null returning {_RETURNED_COLUMNS}"
)
