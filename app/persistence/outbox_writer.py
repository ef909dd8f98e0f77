"""Writes announcements: notification rows and numbered client events in the outbox, in one transaction.

In: group plans of app/persistence/event_writer.py. Out: tables notifications and outbox; critical events also
go to NOTIFY and to outgoing_messages.

client_seq is raised under the recipient's lock. Client events of a recipient therefore have no gaps, and
their outbox ids rise in the order of client_seq.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, text

from app.domain.events import CRITICAL_KINDS, Event, Kind, occurred_at_from_seq
from app.domain.grouping import GroupKey, GroupPlan
from app.domain.preferences import Channel
from app.domain.redaction import get_encrypted_body, with_encrypted_login_code
from app.persistence.bounded_counts import bounded_count_sql, unread_rows_sql
from app.persistence.client_event_payloads import build_event_name_and_payload
from app.persistence.critical_notify import CriticalClientEvent, pg_notify_client_events
from app.persistence.message_enqueue import NewOutgoingMessage, enqueue_emails_and_texts
from app.persistence.notification_rows import NotificationRow, build_notification_rows
from app.persistence.recipients import RecipientContext
from app.persistence.serializer import RenderContext, render_payload

OUTBOX_CHANNEL = "outbox"
"""NOTIFY channel of new outbox rows."""


@dataclass(frozen=True, slots=True)
class AnnouncementBatch:
    """The plans of a transaction, with the events and the recipients that they are about.
    `pushes_by_notify`: NOTIFY is sent for all client events, not only for critical ones."""

    plan_by_group: dict[GroupKey, GroupPlan]
    event_by_id: dict[str, Event]
    recipient_context: RecipientContext
    pushes_by_notify: bool = False


@dataclass(slots=True)
class RecipientCounters:
    """Counters reserved for one recipient: the last client_seq used, and the new version of the unread
    count."""

    client_seq: int
    unread_count_version: int

    def take_next_client_seq(self) -> int:
        self.client_seq += 1
        return self.client_seq


@dataclass(frozen=True, slots=True)
class AnnouncementWriteResult:
    """The number of client events in the outbox, and the critical ones, which do not wait for the relay."""

    client_event_count: int = 0
    critical_events: tuple[CriticalClientEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class _ClientEvent:
    recipient_id: str
    kind: Kind
    client_seq: int
    event_name: str
    payload: dict[str, object]

    @property
    def notification_id(self) -> str:
        return str(self.payload["id"])


def write_announcements(conn: Connection, batch: AnnouncementBatch) -> AnnouncementWriteResult:
    """Updates the notification rows, inserts the client events and sends NOTIFY for critical ones."""
    built_rows = build_notification_rows(
        conn, batch.plan_by_group, batch.event_by_id.values(), batch.recipient_context
    )
    rows = {row.generation.id: row for row in built_rows}
    if not rows:
        return AnnouncementWriteResult()
    announcements = [
        (key, announcement)
        for key, plan in batch.plan_by_group.items()
        for announcement in plan.planned_client_events
    ]
    counters_by_recipient = reserve_client_seqs(conn, [key.recipient_id for key, _ in announcements])
    client_events: list[_ClientEvent] = []
    for key, announcement in announcements:
        row = rows[announcement.generation_id]
        row.client_seq = client_seq = counters_by_recipient[key.recipient_id].take_next_client_seq()
        event_name, payload = build_event_name_and_payload(row, announcement, client_seq)
        client_events.append(_ClientEvent(key.recipient_id, key.kind, client_seq, event_name, payload))
    rows_json = orjson.dumps([row.column_values() for row in rows.values()]).decode()
    unread_counts = conn.execute(
        _UPDATE_NOTIFICATIONS, {"rows": rows_json, "ids": sorted(counters_by_recipient)}
    ).all()
    encrypted_bodies = _encrypted_bodies_by_notification(rows.values())
    if client_events:
        outbox_rows = [_outbox_row(event, encrypted_bodies) for event in client_events]
        insert_client_events(conn, outbox_rows, counters_by_recipient, unread_counts)
    critical_events = [
        _to_critical_client_event(event, encrypted_bodies)
        for event in client_events
        if event.kind in CRITICAL_KINDS
    ]
    pg_notify_client_events(
        conn,
        [
            (event.recipient_id, event.client_seq)
            for event in client_events
            if batch.pushes_by_notify or event.kind in CRITICAL_KINDS
        ],
    )
    enqueue_emails_and_texts(
        conn,
        (
            _build_outgoing_message(critical_event, rows[str(critical_event.payload["id"])])
            for critical_event in critical_events
            if critical_event.is_announcement
        ),
    )
    return AnnouncementWriteResult(len(client_events), tuple(critical_events))


def reserve_client_seqs(conn: Connection, recipient_ids: Iterable[str]) -> dict[str, RecipientCounters]:
    """Reserves one client_seq per item of `recipient_ids`, which may repeat. The recipients must be
    locked."""
    event_counts = Counter(recipient_ids)
    ids = sorted(event_counts)
    params = {"ids": ids, "event_counts": [event_counts[recipient_id] for recipient_id in ids]}
    rows = conn.execute(_RESERVE_CLIENT_SEQS, params)
    return {row[0]: RecipientCounters(row[1], row[2]) for row in rows}


def count_unread_by_recipient(conn: Connection, recipient_ids: Iterable[str]) -> Sequence[Sequence[Any]]:
    """(recipient id, number of unread rows, at most MAX_COUNTED_ROWS)."""
    return conn.execute(_COUNT_UNREAD, {"ids": sorted(recipient_ids)}).all()


def insert_client_events(
    conn: Connection,
    client_events: Sequence[dict[str, object]],
    counters_by_recipient: Mapping[str, RecipientCounters],
    unread_counts: Iterable[Sequence[Any]],
) -> None:
    """Inserts the client events in order, then one unread count per recipient. NOTIFY follows at commit."""
    unread_by_recipient = {row[0]: row[1] for row in unread_counts}
    unread_count_events = [
        {
            "userId": recipient_id,
            "clientSeq": None,
            "clientEvent": "unread_count",
            "payload": {
                "count": unread_by_recipient.get(recipient_id, 0),
                "version": counters_by_recipient[recipient_id].unread_count_version,
            },
        }
        for recipient_id in sorted(counters_by_recipient)
    ]
    events_json = orjson.dumps([*client_events, *unread_count_events]).decode()
    conn.execute(_INSERT_OUTBOX, {"client_events": events_json, "channel": OUTBOX_CHANNEL})


def _outbox_row(event: _ClientEvent, encrypted_bodies: Mapping[str, str]) -> dict[str, object]:
    return {
        "userId": event.recipient_id,
        "clientSeq": event.client_seq,
        "clientEvent": event.event_name,
        "payload": event.payload,
        "encryptedBody": encrypted_bodies.get(event.notification_id),
    }


def _to_critical_client_event(
    event: _ClientEvent, encrypted_bodies: Mapping[str, str]
) -> CriticalClientEvent:
    rendered = render_payload(event.payload, RenderContext())
    payload = with_encrypted_login_code(rendered, encrypted_bodies.get(event.notification_id))
    return CriticalClientEvent(event.recipient_id, event.client_seq, payload, event.event_name)


def _build_outgoing_message(critical_event: CriticalClientEvent, row: NotificationRow) -> NewOutgoingMessage:
    """The e-mail and the text message of a critical event. Its validity starts with the original event."""
    return NewOutgoingMessage(
        user_id=critical_event.user_id,
        client_seq=row.client_seq,
        notification_id=row.generation.id,
        version=row.generation.version,
        kind=row.kind,
        channels=tuple(channel for channel in row.delivery_decision.channels if channel is not Channel.PUSH),
        created_at=occurred_at_from_seq(row.newest_event.seq)
        if row.newest_event
        else row.recipient_context.now,
    )


def _encrypted_bodies_by_notification(rows: Iterable[NotificationRow]) -> dict[str, str]:
    """Encrypted codes and reset tokens by notification id. They are stored in the outbox only."""
    body_by_row_id = {
        row.generation.id: row.newest_event and get_encrypted_body(row.newest_event.metadata) for row in rows
    }
    return {row_id: encrypted_body for row_id, encrypted_body in body_by_row_id.items() if encrypted_body}


_RESERVE_CLIENT_SEQS = text("""
    update users set client_seq = client_seq + n.event_count,
        unread_count_version = unread_count_version + 1
    from unnest(cast(:ids as uuid[]), cast(:event_counts as int[])) as n (id, event_count)
    where users.id = n.id
    returning users.id::text, users.client_seq - n.event_count, users.unread_count_version
""")
_COUNT_UNREAD_SQL = (
    f"select u.id::text, {bounded_count_sql(unread_rows_sql('u.id'))} "  # noqa: S608 - constants only
    "from unnest(cast(:ids as uuid[])) as u (id)"
)
_COUNT_UNREAD = text(_COUNT_UNREAD_SQL)
# The rows are updated and their recipients' unread rows counted in one round trip.
_UPDATE_NOTIFICATIONS = text(f"""
    update notifications set version = (n.row->>'version')::int,
        client_seq = greatest(notifications.client_seq, (n.row->>'clientSeq')::bigint),
        priority = n.row->>'priority', actor_id = (n.row->>'actorId')::uuid,
        actor_count = (n.row->>'actorCount')::int, unannounced_count = (n.row->>'unannouncedCount')::int,
        title = n.row->>'title', message = n.row->>'message', quote = n.row->>'quote',
        image_url = coalesce(n.row->>'imageUrl', notifications.image_url),
        target_type = coalesce(n.row->>'targetType', notifications.target_type),
        target_id = coalesce((n.row->>'targetId')::uuid, notifications.target_id),
        channels = array(select jsonb_array_elements_text(n.row->'channels')),
        metadata = notifications.metadata || (n.row->'metadata'),
        deferred_until = case when (n.row->>'deferredUntil') is not null
            then (n.row->>'deferredUntil')::timestamptz else notifications.deferred_until end,
        removed_at = case when notifications.archived_at is not null then notifications.removed_at
            when (n.row->>'isRemoved')::boolean then now() else null end,
        updated_at = (n.row->>'updatedAt')::timestamptz
    from (select jsonb_array_elements(cast(:rows as jsonb)) as row) n
    where notifications.id = (n.row->>'id')::uuid;
    {_COUNT_UNREAD_SQL}
""")  # noqa: S608 - constants only
_INSERT_OUTBOX = text("""
    insert into outbox (user_id, client_seq, client_event, payload, encrypted_body)
    select (e.row->>'userId')::uuid, (e.row->>'clientSeq')::bigint, e.row->>'clientEvent',
        e.row->'payload', e.row->>'encryptedBody'
    from jsonb_array_elements(cast(:client_events as jsonb)) with ordinality as e (row, position)
    order by e.position;
    select pg_notify(:channel, '')
""")
