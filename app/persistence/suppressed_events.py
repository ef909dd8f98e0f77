"""Suppressed events: events that end without an announcement, for the recipient's delivery log.

In: events of app/persistence/event_writer.py and app/persistence/fan_out_pages.py, in their transactions.
Out: one outbox row per recipient, kind, object and reason, with the number of events. For the log
app/messaging/outbox_relay.py publishes the rows and workers/delivery_log_writer.py appends them, so that an
unavailable DynamoDB delays and loses nothing. app/social/suppressed_events.py shows the rows to the
recipient.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, text

from app.clients.pg_notify import NOTIFY
from app.domain.events import Event, Kind, occurred_at_from_seq, to_iso_utc
from app.domain.routing import priority_of
from app.persistence.outbox_writer import OUTBOX_CHANNEL

SUPPRESSED_EVENT_NAME = "ended"
"""Name of the outbox event, which goes to the delivery log only."""
MAX_NAMED_ACTORS = 100
"""A row names this many of the actors of its events. A viral post has more, and a record must stay small."""
_STATUS_BY_OUTCOME = {"preference": "FILTERED_PREFS"}
"""The seed's name. The status of any other outcome is its name in capitals."""
_OUTCOME_BY_STATUS = {status: outcome for outcome, status in _STATUS_BY_OUTCOME.items()}
_SuppressedKey = tuple[str, Kind, str, str]


@dataclass(frozen=True, slots=True)
class SuppressedEvent:
    event: Event
    outcome: str
    """The coded outcome: self, muted, blocked, preference, expired, retracted or failed."""


def status_of_outcome(outcome: str) -> str:
    """The status in the delivery log of an event with this outcome."""
    return _STATUS_BY_OUTCOME.get(outcome, outcome.upper())


def outcome_of_status(status: str) -> str:
    """The outcome of an event with this status in the delivery log."""
    return _OUTCOME_BY_STATUS.get(status, status.lower())


def insert_suppressed_outbox_rows(
    conn: Connection, suppressed_events: Iterable[SuppressedEvent], is_logged: bool = False
) -> None:
    """Inserts outbox rows. Events whose recipient does not exist are skipped. `is_logged`: the delivery log
    gets the events in another way, so nobody relays these rows."""
    events_by_key: dict[_SuppressedKey, list[Event]] = {}
    for suppressed_event in suppressed_events:
        event = suppressed_event.event
        suppressed_key = (
            event.recipient_id,
            event.kind,
            event.group_object_id,
            suppressed_event.outcome,
        )
        events_by_key.setdefault(suppressed_key, []).append(event)
    if not events_by_key:
        return
    rows = [_suppressed_outbox_row(outcome, events) for (*_, outcome), events in events_by_key.items()]
    conn.execute(_INSERT_OUTBOX, {"rows": orjson.dumps(rows).decode(), "is_logged": is_logged})
    if not is_logged:
        conn.execute(NOTIFY, {"channel": OUTBOX_CHANNEL})


def _suppressed_outbox_row(outcome: str, events: list[Event]) -> dict[str, object]:
    first_event = min(events, key=lambda event: (event.seq, event.event_id))
    is_follower = any(event.is_follower for event in events)
    payload: dict[str, object] = {
        "id": first_event.event_id,
        "type": first_event.kind.value,
        "priority": priority_of(first_event.kind, is_follower).value,
        "status": status_of_outcome(outcome),
        "count": len(events),
        # The time of the event, not of this row, so that a repeated event is the same log item.
        "at": to_iso_utc(occurred_at_from_seq(first_event.seq)),
        "postId": _post_id(first_event),
        "actorIds": list(dict.fromkeys(event.actor_id for event in events if event.actor_id))[
            :MAX_NAMED_ACTORS
        ],
        "metadata": {"channels": []},
    }
    return {"userId": first_event.recipient_id, "payload": payload}


def _post_id(event: Event) -> str | None:
    """The post that the event is about, or that its comment belongs to."""
    post_id = event.metadata.get("postId")
    if isinstance(post_id, str):
        return post_id
    return event.object_id if event.object_type_or_default == "POST" else None


_INSERT_OUTBOX = text("""
    insert into outbox (user_id, client_seq, client_event, payload, published_at)
    select u.id, null, 'ended', r.row->'payload', case when :is_logged then now() end
    from jsonb_array_elements(cast(:rows as jsonb)) with ordinality as r (row, position)
    join users u on u.id = (r.row->>'userId')::uuid
    order by r.position
""")
