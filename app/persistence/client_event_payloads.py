"""Payloads of client events about notification rows, as stored in the outbox (docs/socket-api.md).

In: a NotificationRow and an Announcement of its plan. Out: the client event's type and its payload without
names; app/persistence/serializer.py adds current names when the payload is read.
"""

from app.domain.events import to_iso_utc
from app.domain.grouping import ClientEventType, PlannedClientEvent
from app.domain.messages import default_notification_title
from app.domain.preferences import SendAfterQuietHours
from app.domain.text import truncate_graphemes
from app.persistence.notification_rows import NotificationRow


def build_event_name_and_payload(
    row: NotificationRow, announcement: PlannedClientEvent, client_seq: int
) -> tuple[str, dict[str, object]]:
    """The name of the client event, and its payload."""
    event_type = announcement.client_event_type
    if event_type is ClientEventType.REMOVED:
        return event_type.value, {
            "id": row.generation.id,
            "version": announcement.version,
            "seq": client_seq,
        }
    if event_type is ClientEventType.ANNOUNCED and isinstance(row.delivery_decision, SendAfterQuietHours):
        # In quiet hours the list and the unread count change now; the announcement follows at their end.
        event_type = ClientEventType.UPDATED
    payload = _build_whole_row_payload(row, announcement, client_seq)
    if event_type is not ClientEventType.ANNOUNCED and row.generation.stored_fields.seen_at:
        payload["seenAt"] = to_iso_utc(row.generation.stored_fields.seen_at)
    if announcement.actor_id and announcement.actor_id in row.recipient_context.actors_by_id:
        payload |= _instant_announcement_fields(row, announcement)
    return event_type.value, payload


def _build_whole_row_payload(
    row: NotificationRow, announcement: PlannedClientEvent, client_seq: int
) -> dict[str, object]:
    """The seed's fields and those of docs/socket-api.md."""
    column_values = row.column_values()
    return {
        "id": row.generation.id,
        "type": row.kind.value,
        "priority": row.priority,
        "title": row.title,
        "message": row.standalone_message,
        "actorId": column_values["actorId"],
        "imageUrl": column_values["imageUrl"],
        "targetType": column_values["targetType"],
        "targetId": column_values["targetId"],
        "timestamp": column_values["updatedAt"],
        "isRead": row.generation.is_closed,
        "seenAt": None,
        "version": announcement.version,
        "seq": client_seq,
        "generation": row.generation.generation_number,
        "group": {"title": row.title, "count": row.generation.actor_count, "quote": row.quote},
        "metadata": {
            **row.metadata,
            "isAggregated": announcement.actor_count > 1,
            "aggregatedCount": announcement.actor_count,
            "newCount": announcement.newly_announced_count,
            "aggregatedActors": [actor.id for actor, _ in row.latest_actors],
            "channels": column_values["channels"],
        },
    }


def _instant_announcement_fields(row: NotificationRow, announcement: PlannedClientEvent) -> dict[str, object]:
    """An instant announcement names its one actor. The text of the whole row stays in
    `group`, for the list."""
    return {
        "title": default_notification_title(row.kind, 1),
        "quote": truncate_graphemes(announcement.text) if announcement.text else None,
        "actorId": announcement.actor_id,
        "instant": True,
    }
