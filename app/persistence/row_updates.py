"""Client events about whole rows that do not come from the event writer.

In: status changes, the end of quiet hours, changed names and removals; each caller has locked the recipients.
Out: new versions of the notifications, client events and unread counts in the outbox.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from app.domain.grouping import ClientEventType
from app.persistence.groups import load_first_actors
from app.persistence.outbox_writer import ClientEvent, insert_client_events, reserve_client_seqs
from app.persistence.serializer import build_payload
from app.persistence.tables import notifications

ROW_ERRORS = (DBAPIError, ValueError, TypeError, LookupError, AttributeError)
"""What a row with unexpected content raises; the same call for other rows may succeed. An unavailable
PostgreSQL is Unavailable (app/clients/postgres.py)."""
FAILED_ROW_DELAY = timedelta(minutes=5)
"""Until a row that failed is tried again, so that it does not stay in front of the others."""


@dataclass(frozen=True, slots=True)
class NotificationRowUpdate:
    """A changed row that its recipient gets a client event about. `newly_announced_count`: the number of
    actors that this event announces."""

    recipient_id: str
    notification_id: str
    client_event_type: ClientEventType
    newly_announced_count: int = 0


def publish_row_updates(conn: Connection, row_updates: Sequence[NotificationRowUpdate]) -> None:
    """Gives each row a new version and one client event, in the order of `row_updates`, with its current
    content; then one unread count per recipient. A row that is not in the list is published as removed. The
    recipients must be locked."""
    if not row_updates:
        return
    client_seqs = reserve_client_seqs(conn, [row_update.recipient_id for row_update in row_updates])
    ids = [row_update.notification_id for row_update in row_updates]
    conn.execute(_BUMP_VERSIONS, {"ids": ids, "seqs": client_seqs})
    result = conn.execute(select(notifications).where(notifications.c.id.in_(ids))).mappings()
    rows = {row["id"]: row for row in result}
    actors_by_notification = load_first_actors(
        conn,
        [
            row_update.notification_id
            for row_update in row_updates
            if row_update.client_event_type is not ClientEventType.REMOVED
        ],
    )
    client_events: list[ClientEvent] = []
    for row_update, client_seq in zip(row_updates, client_seqs, strict=True):
        row = rows[row_update.notification_id]
        actors = actors_by_notification.get(row_update.notification_id, [])
        event_type = row_update.client_event_type if row["is_visible"] else ClientEventType.REMOVED
        payload = build_payload(
            event_type,
            row,
            [actor.id for actor, _ in actors],
            row["actor_count"],
            row_update.newly_announced_count,
        )
        client_events.append(ClientEvent(row_update.recipient_id, client_seq, event_type.value, payload))
    insert_client_events(conn, client_events)


_BUMP_VERSIONS = text("""
    update notifications set version = version + 1, client_seq = n.client_seq
    from unnest(cast(:ids as uuid[]), cast(:seqs as bigint[])) as n (id, client_seq)
    where notifications.id = n.id
""")
