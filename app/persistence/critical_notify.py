"""Sends NOTIFY for client events in the transaction that writes them: critical ones, and those of failover
writes.

In: client events of app/persistence/outbox_writer.py. Out: NOTIFY on channel "critical" with recipient and
client_seq, never with text. app/delivery/socket_dispatcher.py in each web process listens to it, so that
these events reach sockets without Redis and Kafka.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from app.domain.events import Event, Priority, occurred_at_from_seq, to_iso_utc
from app.domain.grouping import ClientEventType
from app.domain.messages import actorless_notification_text, default_notification_title
from app.domain.preferences import NotificationPreferences, SendNow, decide_delivery
from app.domain.redaction import get_encrypted_body, with_encrypted_login_code

CRITICAL_NOTIFY_CHANNEL = "critical"


@dataclass(frozen=True, slots=True)
class CriticalClientEvent:
    """A critical client event of one recipient. `client_seq` is None for a preview notification."""

    user_id: str
    client_seq: int | None
    payload: dict[str, object]
    event_name: str = ClientEventType.ANNOUNCED.value

    @property
    def is_announcement(self) -> bool:
        """Whether the event is also sent by e-mail and text message."""
        return self.event_name == ClientEventType.ANNOUNCED.value


def pg_notify_client_events(conn: Connection, events: Sequence[tuple[str, int]]) -> None:
    """`events`: (recipient, client_seq). Web processes and the mailer receive the notification when the
    transaction commits."""
    if events:
        params = {
            "channel": CRITICAL_NOTIFY_CHANNEL,
            "users": [user_id for user_id, _ in events],
            "seqs": [client_seq for _, client_seq in events],
        }
        conn.execute(_NOTIFY_CRITICAL, params)


def build_preview_client_event(event: Event) -> CriticalClientEvent:
    """The client event that the event will have once it can be written: same id and version, but no
    client_seq."""
    decision = decide_delivery(event.kind, NotificationPreferences(), occurred_at_from_seq(event.seq))
    channels = decision.channels if isinstance(decision, SendNow) else ()
    texts = {
        "title": event.title or default_notification_title(event.kind, 1),
        "message": event.message or actorless_notification_text(event.kind),
    }
    payload: dict[str, object] = {
        "id": event.event_id,
        "type": event.kind.value,
        "priority": Priority.CRITICAL.value,
        **texts,
        "actorId": None,
        "actorName": None,
        "actorAvatar": None,
        "imageUrl": event.image_url,
        "targetType": event.object_type,
        "targetId": event.object_id,
        "timestamp": to_iso_utc(occurred_at_from_seq(event.seq)),
        "isRead": False,
        "seenAt": None,
        "version": 1,
        "generation": 1,
        "actors": [],
        "group": texts,
        "metadata": {
            "isAggregated": False,
            "aggregatedCount": 0,
            "newCount": 1,
            "aggregatedActors": [],
            "channels": [channel.value for channel in channels],
        },
    }
    return CriticalClientEvent(
        event.recipient_id, None, with_encrypted_login_code(payload, get_encrypted_body(event.metadata))
    )


_NOTIFY_CRITICAL = text("""
    select pg_notify(:channel, who || ' ' || seq)
    from unnest(cast(:users as uuid[]), cast(:seqs as bigint[])) as recipients (who, seq)
""")
