"""Writes announcements: notification rows and numbered client events in the outbox, in one transaction.

In: group plans of app/persistence/event_writer.py. Out: tables notifications, outbox and
outgoing_messages; critical events also go to NOTIFY.

client_seq is raised under the recipient's lock. Client events of a recipient therefore have no gaps, and
their outbox ids rise in the order of client_seq. An unread count has the number of the last client event
before it as its version.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count

import orjson
from sqlalchemy import Connection, text

from app.domain.events import CRITICAL_KINDS, Event, occurred_at_from_seq
from app.domain.grouping import GroupKey, GroupPlan, PlannedClientEvent
from app.persistence.bounded_counts import unread_count_sql
from app.persistence.client_event_payloads import build_event_name_and_payload
from app.persistence.critical_notify import (
    CriticalClientEvent,
    build_critical_client_event,
    pg_notify_client_events,
)
from app.persistence.notification_rows import NotificationRow, build_notification_rows
from app.persistence.outgoing_messages import INSERT_MESSAGES_SQL
from app.persistence.recipients import AnnouncementContext

OUTBOX_CHANNEL = "outbox"
"""NOTIFY channel of new outbox rows."""


@dataclass(frozen=True, slots=True)
class AnnouncementBatch:
    """The plans of a transaction, with the events and the recipients that they are about.
    `pushes_by_notify`: NOTIFY is sent for all client events, not only for critical ones."""

    plan_by_group: dict[GroupKey, GroupPlan]
    events: Sequence[Event]
    announcement_context: AnnouncementContext
    pushes_by_notify: bool = False


@dataclass(frozen=True, slots=True)
class AnnouncementWriteResult:
    """The number of client events in the outbox, and the critical ones, which do not wait for the relay."""

    client_event_count: int = 0
    critical_events: tuple[CriticalClientEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """A client event to insert. `valid_from`: when the validity of its e-mail and text message starts, if
    that is not the time of the client event."""

    recipient_id: str
    client_seq: int
    name: str
    payload: dict[str, object]
    encrypted_body: str | None = None
    valid_from: datetime | None = None


def write_announcements(conn: Connection, batch: AnnouncementBatch) -> AnnouncementWriteResult:
    """Updates the notification rows, inserts the client events and sends NOTIFY for critical ones."""
    built_rows = build_notification_rows(conn, batch.plan_by_group, batch.events, batch.announcement_context)
    rows = {row.generation.id: row for row in built_rows}
    if not rows:
        return AnnouncementWriteResult()
    announcements = [
        (rows[announcement.generation_id], announcement)
        for plan in batch.plan_by_group.values()
        for announcement in plan.planned_client_events
    ]
    client_seqs = reserve_client_seqs(conn, [row.group_key.recipient_id for row, _ in announcements])
    client_events = [
        _build_client_event(row, announcement, client_seq)
        for (row, announcement), client_seq in zip(announcements, client_seqs, strict=True)
    ]
    rows_json = orjson.dumps([row.columns() for row in rows.values()]).decode()
    conn.execute(_UPDATE_NOTIFICATIONS, {"rows": rows_json})
    if client_events:
        insert_client_events(conn, client_events)
    critical_events = [
        build_critical_client_event(
            row.group_key.recipient_id, client_event.name, client_event.payload, row.encrypted_body
        )
        for (row, _), client_event in zip(announcements, client_events, strict=True)
        if row.kind in CRITICAL_KINDS
    ]
    pg_notify_client_events(
        conn,
        [
            (client_event.recipient_id, client_event.client_seq)
            for (row, _), client_event in zip(announcements, client_events, strict=True)
            if batch.pushes_by_notify or row.kind in CRITICAL_KINDS
        ],
    )
    return AnnouncementWriteResult(len(client_events), tuple(critical_events))


def reserve_client_seqs(conn: Connection, recipient_ids: Sequence[str]) -> list[int]:
    """One client_seq for each item of `recipient_ids`, which may repeat. The recipients must be locked."""
    event_counts = Counter(recipient_ids)
    ids = sorted(event_counts)
    params = {"ids": ids, "event_counts": [event_counts[recipient_id] for recipient_id in ids]}
    reserved = {row[0]: count(row[1] + 1) for row in conn.execute(_RESERVE_CLIENT_SEQS, params)}
    return [next(reserved[recipient_id]) for recipient_id in recipient_ids]


def insert_client_events(conn: Connection, client_events: Sequence[ClientEvent]) -> None:
    """Inserts the client events in order, then one unread count per recipient, and the e-mails and text
    messages of announcements. NOTIFY follows at commit."""
    events_json = orjson.dumps(client_events).decode()
    conn.execute(_INSERT_CLIENT_EVENTS, {"client_events": events_json, "channel": OUTBOX_CHANNEL})


def _build_client_event(
    row: NotificationRow, announcement: PlannedClientEvent, client_seq: int
) -> ClientEvent:
    """The client event with this number, which becomes the number of the row."""
    row.client_seq = client_seq
    name, payload = build_event_name_and_payload(row, announcement, client_seq)
    # A code expires a fixed time after it was made, however late it is written.
    critical_event = row.newest_event if row.kind in CRITICAL_KINDS else None
    valid_from = occurred_at_from_seq(critical_event.seq) if critical_event else None
    return ClientEvent(row.group_key.recipient_id, client_seq, name, payload, row.encrypted_body, valid_from)


_RESERVE_CLIENT_SEQS = text("""
    update users set client_seq = client_seq + n.event_count
    from unnest(cast(:ids as uuid[]), cast(:event_counts as int[])) as n (id, event_count)
    where users.id = n.id
    returning users.id::text, users.client_seq - n.event_count
""")
_UPDATE_NOTIFICATIONS = text("""
    update notifications set version = n.version,
        client_seq = greatest(notifications.client_seq, n.client_seq),
        priority = n.priority, actor_id = n.actor_id, actor_count = n.actor_count,
        unannounced_count = n.unannounced_count, title = n.title, message = n.message, quote = n.quote,
        image_url = coalesce(n.image_url, notifications.image_url),
        target_type = coalesce(n.target_type, notifications.target_type),
        target_id = coalesce(n.target_id, notifications.target_id),
        channels = n.channels, metadata = notifications.metadata || n.metadata,
        deferred_until = coalesce(n.deferred_until, notifications.deferred_until),
        removed_at = case when notifications.archived_at is not null then notifications.removed_at
            else n.removed_at end,
        updated_at = n.updated_at
    from jsonb_populate_recordset(null::notifications, cast(:rows as jsonb)) n
    where notifications.id = n.id
""")
_INSERT_CLIENT_EVENTS = text(f"""
    with client_events as (
        select (e.row->>'recipient_id')::uuid as user_id, (e.row->>'client_seq')::bigint as client_seq,
            e.row->>'name' as client_event, e.row->'payload' as payload,
            e.row->>'encrypted_body' as encrypted_body, position,
            coalesce(e.row->>'valid_from', e.row->'payload'->>'timestamp')::timestamptz as created_at
        from jsonb_array_elements(cast(:client_events as jsonb)) with ordinality as e (row, position)
    ), announced as (
        select user_id, client_seq, (payload->>'id')::uuid as notification_id,
            (payload->>'version')::int as version, payload->>'type' as type,
            payload->'metadata'->'channels' as channels, created_at
        from client_events where client_event = 'notification'
    ), messages as ({INSERT_MESSAGES_SQL})
    insert into outbox (user_id, client_seq, client_event, payload, encrypted_body)
    select user_id, client_seq, client_event, payload, encrypted_body
    from (
        select user_id, client_seq, client_event, payload, encrypted_body, position from client_events
        union all
        select u.id, null, 'unread_count',
            jsonb_build_object('count', {unread_count_sql("u.id")}, 'version', u.client_seq), null, null
        from users u where u.id in (select user_id from client_events)
    ) events_then_counts
    order by position, user_id;
    select pg_notify(:channel, '')
""")  # noqa: S608 - constants only
