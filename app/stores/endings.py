"""Endings: events that nobody is told of, on their way to the delivery log.

In    stores/ledger.py, in its transaction
Out   the outbox, one row per recipient, kind, object and reason
Next  streams/relay.py carries them to the ready topic, workers/deliverer.py into the log

By way of PostgreSQL and Kafka, so that a DynamoDB that is away delays nobody and misses nothing.
However many events of a transaction end alike, they are one item with their number.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, text

from app.domain.events import Event, Kind, iso, occurred_at
from app.domain.routing import priority_of
from app.stores.bell import WAKE

ENDED = "ended"
"""The frame that goes to the log alone."""
OUTBOX_CHANNEL = "outbox"
_STATUSES = {"preference": "FILTERED_PREFS"}
"""The seed's name (seed-notes 4.2); any other outcome is its own."""
Group = tuple[str, Kind, str, str]


@dataclass(frozen=True, slots=True)
class Ending:
    event: Event
    outcome: str
    """The coded outcome: self, muted, blocked, preference, expired, retracted or failed."""


def log_endings(sql: Connection, endings: Iterable[Ending]) -> None:
    """Those whose recipient exists."""
    groups: dict[Group, list[Event]] = {}
    for one in endings:
        event = one.event
        group = (event.recipient_id, event.kind, event.group_object, one.outcome)
        groups.setdefault(group, []).append(event)
    if not groups:
        return
    rows = [_row(outcome, events) for (*_, outcome), events in groups.items()]
    sql.execute(_LOG, {"rows": orjson.dumps(rows).decode()})
    sql.execute(WAKE, {"channel": OUTBOX_CHANNEL})


def _row(outcome: str, events: list[Event]) -> dict[str, object]:
    first = min(events, key=lambda event: (event.seq, event.event_id))
    follower = any(event.follower for event in events)
    payload: dict[str, object] = {
        "id": first.event_id,
        "type": first.kind.value,
        "priority": priority_of(first.kind, follower).value,
        "status": _STATUSES.get(outcome, outcome.upper()),
        "count": len(events),
        # Of the event, not of this row: recorded twice, it is one item.
        "at": iso(occurred_at(first.seq)),
        "metadata": {"channels": []},
    }
    return {"userId": first.recipient_id, "payload": payload}


_LOG = text("""
    insert into outbox (user_id, seq, frame, payload)
    select u.id, null, 'ended', r.row->'payload'
    from jsonb_array_elements(cast(:rows as jsonb)) with ordinality as r (row, place)
    join users u on u.id = (r.row->>'userId')::uuid
    order by r.place
""")
