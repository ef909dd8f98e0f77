"""Sends NOTIFY for client events in the transaction that writes them: critical ones, and those of failover
writes.

In: client events of app/persistence/outbox_writer.py. Out: NOTIFY on channel "critical" with recipient and
client_seq, never with text. app/delivery/socket_dispatcher.py in each web process listens to it, so that
these events reach sockets without Redis and Kafka.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from app.domain.events import Event, occurred_at_from_seq
from app.domain.redaction import get_encrypted_body, with_encrypted_login_code
from app.persistence.client_event_payloads import build_first_announcement
from app.persistence.recipients import AnnouncementContext
from app.persistence.serializer import Json, RenderContext, render_payload

CRITICAL_NOTIFY_CHANNEL = "critical"


@dataclass(frozen=True, slots=True)
class CriticalClientEvent:
    """A critical client event of one recipient. `client_seq` is None for a preview notification."""

    user_id: str
    client_seq: int | None
    payload: Json
    event_name: str


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


def build_critical_client_event(
    recipient_id: str, event_name: str, stored_payload: Json, encrypted_body: str | None
) -> CriticalClientEvent:
    """The client event of a stored payload, which names no users."""
    payload = with_encrypted_login_code(render_payload(stored_payload, RenderContext()), encrypted_body)
    return CriticalClientEvent(recipient_id, payload.get("seq"), payload, event_name)


def build_preview_client_event(event: Event) -> CriticalClientEvent:
    """The client event that the event will have once it can be written: same id and version, but no
    client_seq."""
    context = AnnouncementContext(occurred_at_from_seq(event.seq))
    announcement = build_first_announcement(event, event.event_id, context)
    del announcement.payload["seq"]
    return build_critical_client_event(
        event.recipient_id,
        announcement.event_name,
        announcement.payload,
        get_encrypted_body(event.metadata),
    )


_NOTIFY_CRITICAL = text("""
    select pg_notify(:channel, who || ' ' || seq)
    from unnest(cast(:users as uuid[]), cast(:seqs as bigint[])) as recipients (who, seq)
""")
