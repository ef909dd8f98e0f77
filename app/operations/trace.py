"""Traces: the steps of events with times, from the traces of the workers and from the tables.

Input: Redis trace:{eventId} (24 hours, the newest hundred thousand) and windows:due; notifications, outbox,
kafka_fallback_queue, dead_letters. Output: all steps of one event (GET /api/admin/trace/:eventId), and the
progress of several (GET /api/admin/events, GET /api/test/progress), which shows no ids of other objects.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import redis
from sqlalchemy import Engine, text

from app.aggregation.windows import DUE_INDEX_KEY
from app.clients import stale_reads
from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import redis_key, translate_errors
from app.domain.errors import Poisoned
from app.domain.event_codec import event_from_wire
from app.domain.event_status import (
    BYPASSED_REDIS_OUTCOME,
    GATHERED_OUTCOME,
    EventStatus,
    status_from_step_outcomes,
)
from app.domain.events import SEQ_PER_MS
from app.domain.grouping import ClientEventType
from app.domain.routing import PRIORITY_TOPICS
from app.persistence.seen_receipts import SEEN_EVENT_NAME

TraceStep = dict[str, Any]
"""Its name, the time ("at"), and details that depend on the step."""
MAX_CLIENT_EVENTS = 20
STEP_ORDER = {
    name: position
    for position, name in enumerate(
        (
            "accepted",
            "sent_to_fallback",
            "queued",
            "sent from the queue",
            "published",
            "aggregated",
            "closed",
            "written",
            "announced",
            "relayed",
            "emitted",
            "shown",
        )
    )
}


@dataclass(slots=True)
class EventProgress:
    """One event: its steps, and when its window is due."""

    event_id: str
    steps: Sequence[TraceStep]
    due_at: datetime | None = None
    step_by_name: dict[str, TraceStep] = field(init=False)

    def __post_init__(self) -> None:
        """Later client events of the same notification concern other events."""
        self.step_by_name = {}
        for step in self.steps:
            if step.get("clientEvent", "notification") == "notification":
                self.step_by_name.setdefault(step["name"], step)

    @property
    def status(self) -> EventStatus:
        return status_from_step_outcomes({name: self._outcome(name) for name in self.step_by_name})

    def _outcome(self, step_name: str) -> str:
        return str(self.step_by_name.get(step_name, {}).get("outcome", ""))

    def to_dict(self) -> dict[str, Any]:
        aggregated = self.step_by_name.get("aggregated")
        return {
            "eventId": self.event_id,
            "type": aggregated["type"] if aggregated else None,
            "status": self.status.value,
            "outcome": self._outcome("closed") or self._outcome("aggregated") or None,
            "instant": None if aggregated is None else aggregated["outcome"] != GATHERED_OUTCOME,
            "dueAt": self.due_at,
            "steps": [{"name": name, "at": step["at"]} for name, step in self.step_by_name.items()],
        }


class EventTraceReader:
    def __init__(self, connection: redis.Redis, engine: Engine) -> None:
        self._redis = connection
        self._engine = engine

    def list_steps(self, event_id: str) -> Sequence[TraceStep]:
        """Ordered by time; empty for an unknown event. Raises Unavailable."""
        return self._read_steps([event_id])[event_id]

    def read_progress(self, event_ids: Sequence[str]) -> list[EventProgress]:
        """In the given order. An unknown event counts as not moved yet. Raises Unavailable."""
        steps_by_event = self._read_steps(event_ids)
        events = [EventProgress(event_id, steps_by_event[event_id]) for event_id in event_ids]
        with stale_reads.mark_stale_if_redis_unavailable():
            self._add_due_times([event for event in events if event.status is EventStatus.WINDOWED])
        return events

    def _read_steps(self, event_ids: Sequence[str]) -> dict[str, list[TraceStep]]:
        """By event, ordered by time. Raises Unavailable."""
        steps_by_event: dict[str, list[TraceStep]] = {event_id: [] for event_id in event_ids}
        with stale_reads.mark_stale_if_redis_unavailable():
            traces = self._read_hashes([redis_key("trace", event_id) for event_id in event_ids])
            for event_id, trace in zip(event_ids, traces, strict=True):
                steps_by_event[event_id] += _parse_trace(trace)
        for event_id, step in self._read_steps_of_tables(steps_by_event):
            steps_by_event[event_id].append(step)
        for steps in steps_by_event.values():
            # Clocks of the stores differ slightly, so equal times are ordered by step.
            steps.sort(key=lambda step: (step["at"], STEP_ORDER.get(step["name"], 9)))
        return steps_by_event

    def _read_steps_of_tables(
        self, steps_by_event: Mapping[str, Sequence[TraceStep]]
    ) -> Iterator[tuple[str, TraceStep]]:
        params = {
            # An event that was published at once is not in the queue.
            "unpublished": [
                event_id
                for event_id, steps in steps_by_event.items()
                if not any(step["name"] == "published" for step in steps)
            ],
            "origins": sorted(PRIORITY_TOPICS),
            "positions": [f"event:{event_id}" for event_id in steps_by_event],
            "limit": MAX_CLIENT_EVENTS,
        }
        with translate_postgres_errors("read a trace"), self._engine.connect() as conn:
            dead_letters = conn.execute(_DEAD_LETTERS, params).all()
            fallback_rows = conn.execute(_FALLBACK_ROWS, params).all()
            group_params = _group_params(
                steps_by_event, {row.event_id: _details_of_queued_event(row.value) for row in fallback_rows}
            )
            client_events = (
                conn.execute(_CLIENT_EVENTS, params | group_params).all() if group_params["ids"] else []
            )
        for position, created_at, reason, status in dead_letters:
            step = {"name": "dead letter", "at": created_at, "reason": reason, "status": status}
            yield position.removeprefix("event:"), step
        for event_id, created_at, processed_at, error, value in fallback_rows:
            group = _details_of_queued_event(value)
            yield event_id, {"name": "queued", "at": created_at, "error": error} | group
            if processed_at is not None:
                yield event_id, {"name": "sent from the queue", "at": processed_at}
        yield from self._client_event_steps(client_events)

    def _client_event_steps(self, rows: Sequence[Any]) -> Iterator[tuple[str, TraceStep]]:
        """The notification row of each event, and later client events of that row. It was shown when the
        recipient's browser confirmed the version that announced it, or a later one."""
        traces: Sequence[Mapping[str, str]] = ()
        with stale_reads.mark_stale_if_redis_unavailable():
            traces = self._read_hashes([redis_key("trace", f"client-event-{row.outbox_id}") for row in rows])
        written: set[str] = set()
        announced_version_by_event = _announced_versions(rows)
        for row, trace in zip(rows, traces or [{}] * len(rows), strict=True):
            ids = {"notificationId": row.notification_id}
            if row.event_id not in written:
                written.add(row.event_id)
                yield row.event_id, {"name": "written", "at": row.written_at, "active": row.active} | ids
            if row.client_event == SEEN_EVENT_NAME:
                # A receipt for an earlier version may arrive after the actor joined the row.
                announced_version = announced_version_by_event.get(row.event_id)
                if announced_version is not None and row.version >= announced_version:
                    yield row.event_id, {"name": "shown", "at": row.created_at} | ids
            elif row.client_event is not None:
                details = {"clientEvent": row.client_event, "seq": row.client_seq} | ids
                yield row.event_id, {"name": "announced", "at": row.created_at} | details
                if row.published_at is not None:
                    yield row.event_id, {"name": "relayed", "at": row.published_at} | details
                if "emitted" in trace:
                    yield row.event_id, {"name": "emitted", "at": _parse_time(trace["emitted"])} | details

    def _add_due_times(self, events: Sequence[EventProgress]) -> None:
        with translate_errors("read due times"):
            pipeline = self._redis.pipeline(transaction=False)
            for event in events:
                group = next(step for step in event.steps if step["name"] == "aggregated")
                pipeline.zscore(DUE_INDEX_KEY, f"{group['recipient']}:{group['type']}:{group['object']}")
            for event, due_ms in zip(events, pipeline.execute(), strict=True):
                event.due_at = None if due_ms is None else datetime.fromtimestamp(due_ms / 1000, UTC)

    def _read_hashes(self, keys: Sequence[str]) -> list[dict[str, str]]:
        with translate_errors("read traces"):
            pipeline = self._redis.pipeline(transaction=False)
            for key in keys:
                pipeline.hgetall(key)
            return pipeline.execute()


def _announced_versions(rows: Sequence[Any]) -> dict[str, int]:
    """By event: the version of its notification that announced it, if one did."""
    versions: dict[str, int] = {}
    for row in rows:
        if row.client_event == ClientEventType.ANNOUNCED.value:
            versions.setdefault(row.event_id, row.version)
    return versions


def _group_params(
    steps_by_event: Mapping[str, Sequence[TraceStep]], queued_groups: Mapping[str, Mapping[str, str]]
) -> dict[str, list[str | None]]:
    """The groups of the events that an aggregator has read, or that are in the fallback queue. Rows have an
    index on these, not on event ids."""
    group_by_event: dict[str, Mapping[str, Any]] = {
        event_id: group for event_id, group in queued_groups.items() if group
    }
    for event_id, steps in steps_by_event.items():
        for step in steps:
            if step["name"] == "aggregated":
                group_by_event[event_id] = step
    return {
        "ids": list(group_by_event),
        **{
            name: [group.get(name) for group in group_by_event.values()]
            for name in ("recipient", "type", "object", "actor")
        },
    }


def _details_of_queued_event(value: object) -> dict[str, str]:
    """Recipient, type, object and actor of an event in the fallback queue, and whether it bypassed Redis;
    empty if it is unreadable or has no actor."""
    try:
        event = event_from_wire(value)
    except Poisoned:
        return {}
    if event.actor_id is None:
        return {}
    names = ("recipient", "type", "object", "actor")
    group = (event.recipient_id, event.kind.value, event.group_object_id, event.actor_id)
    outcome = {"outcome": BYPASSED_REDIS_OUTCOME} if event.bypassed_redis else {}
    return dict(zip(names, group, strict=True)) | outcome


def _parse_trace(trace: Mapping[str, str]) -> Iterable[TraceStep]:
    """trace:{id} maps step -> "ms detail"; the details of the aggregator contain the group."""
    for name, value in trace.items():
        details = value.split(" ")[1:]
        step: TraceStep = {"name": name, "at": _parse_time(value)}
        if name == "aggregated":
            field_names = ("outcome", "seq", "recipient", "type", "object", "actor")
            pairs = zip(field_names, details, strict=True)
            yield step | {field_name: detail for field_name, detail in pairs if detail != "-"}
        elif name in ("published", "sent_to_fallback"):
            pairs = zip(("seq", "actor"), details, strict=False)
            yield step | {field_name: detail for field_name, detail in pairs if detail != "-"}
        else:
            yield step | {"outcome": details[0]}
    for name in trace.keys() & {"published", "sent_to_fallback"}:
        seq = int(trace[name].split(" ")[1])
        yield {"name": "accepted", "at": datetime.fromtimestamp(seq / SEQ_PER_MS / 1000, UTC), "seq": seq}
        return


def _parse_time(value: str) -> datetime:
    return datetime.fromtimestamp(int(value.partition(" ")[0]) / 1000, UTC)


_DEAD_LETTERS = text(
    "select position, created_at, reason, status from dead_letters "
    "where origin = any(:origins) and position = any(:positions)"
)
_FALLBACK_ROWS = text(
    "select event_id::text, created_at, processed_at, last_error, payload->'value' as value "
    "from kafka_fallback_queue "
    "where event_id = any(cast(:unpublished as uuid[])) order by id limit 100"
)
# Row and client events of one transaction have the same time; earlier ones concern other events.
_CLIENT_EVENTS = text("""
    select e.id::text as event_id, n.id::text as notification_id, n.written_at, n.active,
        o.id as outbox_id, o.client_seq, o.client_event, o.created_at, o.published_at,
        cast(o.payload->>'version' as int) as version
    from unnest(cast(:ids as uuid[]), cast(:recipient as uuid[]), cast(:type as text[]),
        cast(:object as uuid[]), cast(:actor as uuid[])) as e (id, user_id, kind, object_id, actor_id)
    cross join lateral (
        select n.id, coalesce(a.created_at, n.created_at) as written_at, coalesce(a.active, true) as active,
            -- A standalone row has the time of the event writer, slightly after that of the transaction.
            coalesce(a.created_at, n.created_at - interval '1 minute') as joined_at
        from notifications n left join notification_actors a
            on a.notification_id = n.id and a.actor_id = e.actor_id
        where n.user_id = e.user_id and n.type = e.kind and n.object_id = e.object_id
            and (a.event_id = e.id or n.object_id = e.id)
        order by n.generation desc limit 1
    ) n left join lateral (
        select * from outbox o where o.user_id = e.user_id and o.payload->>'id' = n.id::text
            and (o.client_seq is not null or o.client_event = 'seen') and o.created_at >= n.joined_at
        order by o.id limit :limit
    ) o on true
    order by o.id
""")
