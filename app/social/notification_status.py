"""Changes the status of notifications: seen, read, archived, deleted, snoozed.

In: requests of blueprints/api/notification_status.py. Out: updated rows, and in the same transaction client
events and the unread count for the recipient's other clients (app/persistence/row_updates.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, func, select, text, update

from app.clients.postgres import translate_errors
from app.domain.errors import Rejected, define_rejection
from app.domain.events import UNGROUPED_KINDS
from app.domain.grouping import ClientEventType
from app.persistence.groups import lock_recipients
from app.persistence.row_updates import NotificationRowUpdate, publish_row_updates
from app.persistence.snoozes import cancel_snooze
from app.persistence.tables import notifications
from app.social.notifications import NOT_FOUND

NOT_OWNER = define_rejection("Forbidden: Cannot modify another user's notification", "forbidden", 403)
INVALID_SNOOZE = define_rejection(
    "`until` must be at least a minute and at most a year ahead", "invalid", 400
)
MIN_SNOOZE, MAX_SNOOZE = timedelta(minutes=1), timedelta(days=366)
MAX_SEQ = 2**63 - 1
_COLUMNS = notifications.c
_SQL_NOW = text("now()")
_SQL_SEEN_AT = text("coalesce(seen_at, now())")


@dataclass(frozen=True, slots=True)
class StatusTransition:
    """The new column values, the rows that the change applies to, and the client event that it causes."""

    values: dict[str, object]
    applies_to: ColumnElement[bool]
    client_event_type: ClientEventType = ClientEventType.UPDATED


MARK_READ = StatusTransition(
    {"is_read": True, "read_at": _SQL_NOW, "seen_at": _SQL_SEEN_AT}, ~_COLUMNS.is_read
)
MARK_UNREAD = StatusTransition({"is_read": False, "read_at": None}, _COLUMNS.is_read)
MARK_SEEN = StatusTransition({"seen_at": _SQL_NOW}, _COLUMNS.seen_at.is_(None))
# Archived rows are hidden from lists but kept, so that a late copy of an event finds them.
ARCHIVE = StatusTransition(
    {"archived_at": _SQL_NOW, "seen_at": _SQL_SEEN_AT, "snoozed_until": None},
    _COLUMNS.archived_at.is_(None),
    ClientEventType.REMOVED,
)
# A row whose last actor left meanwhile stays archived, because it would have no text.
UNARCHIVE = StatusTransition(
    {"archived_at": None},
    _COLUMNS.archived_at.is_not(None)
    & ((_COLUMNS.actor_count > 0) | _COLUMNS.type.in_(sorted(UNGROUPED_KINDS))),
)
DELETE = StatusTransition(
    {"removed_at": _SQL_NOW, "archived_at": text("coalesce(archived_at, now())"), "snoozed_until": None},
    _COLUMNS.removed_at.is_(None),
    ClientEventType.REMOVED,
)


@dataclass(frozen=True, slots=True)
class BulkStatusChangeResult:
    """The number of rows changed, and the time stored in each of them."""

    changed_count: int
    changed_at: datetime


class NotificationStatusStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def mark_read(self, recipient_id: str, notification_id: str) -> RowMapping:
        return self.apply_status_change(recipient_id, notification_id, MARK_READ)

    def apply_status_change(
        self,
        recipient_id: str,
        notification_id: str,
        change: StatusTransition,
        not_owner_error: type[Rejected] = NOT_OWNER,
    ) -> RowMapping:
        """Returns the row after the change. Repeating a change has no effect. Raises Rejected (404, 403)."""
        with translate_errors("change a notification"), self._engine.begin() as conn:
            row = _lock_and_find_own(conn, recipient_id, notification_id, not_owner_error)
            _apply_and_publish_change(conn, recipient_id, [notification_id], change)
            return _find_notification(conn, notification_id) or row

    def snooze(self, recipient_id: str, notification_id: str, until: datetime, now: datetime) -> RowMapping:
        """Takes the row out of the list and the unread count until then; an archived row stays as it is.
        Raises Rejected (400, 404, 403)."""
        if not now + MIN_SNOOZE <= until <= now + MAX_SNOOZE:
            raise INVALID_SNOOZE
        return self.apply_status_change(recipient_id, notification_id, _snooze_change(until))

    def cancel_snooze(self, recipient_id: str, notification_id: str) -> RowMapping:
        """Raises Rejected (404, 403)."""
        with translate_errors("cancel a snooze"), self._engine.begin() as conn:
            row = _lock_and_find_own(conn, recipient_id, notification_id, NOT_OWNER)
            cancel_snooze(conn, notification_id)
            return _find_notification(conn, notification_id) or row

    def mark_all_read(self, recipient_id: str, max_seq: int | None) -> BulkStatusChangeResult:
        """Notifications with a client_seq above `max_seq` stay unread."""
        return self._apply_to_all(recipient_id, _up_to_seq_condition(max_seq), MARK_READ)

    def mark_all_seen(self, recipient_id: str, max_seq: int | None) -> int:
        return self._apply_to_all(recipient_id, _up_to_seq_condition(max_seq), MARK_SEEN).changed_count

    def undo_mark_all_read(self, recipient_id: str, read_at: datetime) -> int:
        """Reverts a mark_all_read by its time (`read_at`, to the millisecond). Rows read at other times stay
        read."""
        is_read_at = func.date_trunc("milliseconds", _COLUMNS.read_at) == read_at
        return self._apply_to_all(recipient_id, is_read_at, MARK_UNREAD).changed_count

    def _apply_to_all(
        self, recipient_id: str, condition: ColumnElement[bool], change: StatusTransition
    ) -> BulkStatusChangeResult:
        with translate_errors("change all notifications"), self._engine.begin() as conn:
            lock_recipients(conn, [recipient_id])
            query = (
                select(_COLUMNS.id)
                .where(_COLUMNS.user_id == recipient_id, _COLUMNS.is_visible, change.applies_to, condition)
                .order_by(_COLUMNS.client_seq, _COLUMNS.id)
            )
            count = _apply_and_publish_change(conn, recipient_id, list(conn.execute(query).scalars()), change)
            return BulkStatusChangeResult(count, conn.execute(text("select now()")).scalar_one())


def _up_to_seq_condition(max_seq: int | None) -> ColumnElement[bool]:
    return _COLUMNS.client_seq <= min(MAX_SEQ if max_seq is None else max_seq, MAX_SEQ)


def _snooze_change(until: datetime) -> StatusTransition:
    return StatusTransition(
        {"snoozed_until": until, "seen_at": _SQL_SEEN_AT},
        _COLUMNS.archived_at.is_(None) & _COLUMNS.snoozed_until.is_distinct_from(until),
        ClientEventType.REMOVED,
    )


def _lock_and_find_own(
    conn: Connection, recipient_id: str, notification_id: str, not_owner_error: type[Rejected]
) -> RowMapping:
    """Locks the recipient. Raises Rejected (404, 403)."""
    lock_recipients(conn, [recipient_id])
    row = _find_notification(conn, notification_id)
    if row is None or row["removed_at"] is not None:
        raise NOT_FOUND
    if row["user_id"] != recipient_id:
        raise not_owner_error
    return row


def _find_notification(conn: Connection, notification_id: str) -> RowMapping | None:
    query = select(notifications).where(_COLUMNS.id == notification_id, _COLUMNS.version > 0)
    return conn.execute(query).mappings().first()


def _apply_and_publish_change(
    conn: Connection, recipient_id: str, ids: Sequence[str], change: StatusTransition
) -> int:
    """Returns the number of rows changed. Their client events are in the order of `ids`."""
    statement = update(notifications).where(_COLUMNS.id.in_(ids), change.applies_to).values(change.values)
    changed_ids = set(conn.execute(statement.returning(_COLUMNS.id)).scalars())
    row_updates = [
        NotificationRowUpdate(recipient_id, notification_id, change.client_event_type)
        for notification_id in ids
        if notification_id in changed_ids
    ]
    publish_row_updates(conn, row_updates)
    return len(row_updates)
