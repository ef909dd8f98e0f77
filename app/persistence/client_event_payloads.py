"""Client events about the rows of a plan: which event a recipient gets, and its payload for the outbox.

In: a NotificationRow and an announcement of its plan. Out: the name of the client event and its payload
without names, built by app/persistence/serializer.py.
"""

from dataclasses import dataclass

from app.domain.events import UNGROUPED_KINDS, Event
from app.domain.grouping import ClientEventType, GroupGeneration, GroupKey, PlannedClientEvent
from app.domain.messages import default_notification_title
from app.domain.preferences import SendAfterQuietHours
from app.domain.text import truncate_graphemes
from app.persistence.notification_rows import NotificationRow
from app.persistence.recipients import AnnouncementContext
from app.persistence.serializer import Json, build_payload


@dataclass(frozen=True, slots=True)
class FirstAnnouncement:
    """A new row and its client event, whose `seq` is still to be set."""

    row: NotificationRow
    event_name: str
    payload: Json


def build_event_name_and_payload(
    row: NotificationRow, announcement: PlannedClientEvent, client_seq: int
) -> tuple[str, Json]:
    """The name of the client event, and its payload."""
    event_type = announcement.client_event_type
    if event_type is ClientEventType.ANNOUNCED and isinstance(row.delivery_decision, SendAfterQuietHours):
        # In quiet hours the list and the unread count change now; the announcement follows at their end.
        event_type = ClientEventType.UPDATED
    payload = build_payload(
        event_type,
        row.columns() | {"version": announcement.version, "client_seq": client_seq},
        [actor.id for actor, _ in row.latest_actors],
        announcement.actor_count,
        announcement.newly_announced_count,
    )
    if announcement.actor_id and announcement.actor_id in row.announcement_context.actors_by_id:
        payload |= _instant_announcement_fields(row, announcement)
    return event_type.value, payload


def build_first_announcement(
    event: Event, notification_id: str, context: AnnouncementContext
) -> FirstAnnouncement:
    """The announcement of an event that is the first of its group."""
    is_grouped = event.kind not in UNGROUPED_KINDS
    actor_ids = list(context.actors_by_id) if is_grouped else []
    row = NotificationRow(
        group_key=GroupKey(event.recipient_id, event.kind, event.group_object_id),
        generation=GroupGeneration(
            notification_id, 1, context.now, version=1, actor_count=len(actor_ids), is_new=True
        ),
        latest_actors=[(context.actors_by_id[actor_id], event.is_follower) for actor_id in actor_ids],
        event_text=event.message if is_grouped else None,
        newest_event=event,
        announcement_context=context,
    )
    announcement = PlannedClientEvent(
        ClientEventType.ANNOUNCED,
        notification_id,
        version=1,
        newly_announced_count=1,
        actor_count=len(actor_ids),
        actor_id=event.actor_id if is_grouped else None,
        text=row.event_text,
        event_id=event.event_id,
    )
    return FirstAnnouncement(row, *build_event_name_and_payload(row, announcement, client_seq=0))


def _instant_announcement_fields(row: NotificationRow, announcement: PlannedClientEvent) -> Json:
    """An instant announcement names its one actor. The text of the whole row stays in
    `group`, for the list."""
    return {
        "title": default_notification_title(row.kind, 1),
        "quote": truncate_graphemes(announcement.text) if announcement.text else None,
        "actorId": announcement.actor_id,
        "instant": True,
    }
