"""Event tracker: the progress of several events through the pipeline, read together.

Input: Redis trace:{eventId} and windows:due; notification_actors, notifications, outbox,
kafka_fallback_queue. Output: GET /api/test/progress. It shows less than a trace (app/operations/trace.py):
no ids of other objects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import redis
from sqlalchemy import Engine, text

from app.aggregation.windows import DUE_INDEX_KEY
from app.clients import stale_reads
from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import redis_key, translate_errors
from app.domain.event_status import GATHERED_OUTCOME, EventStatus, status_from_step_outcomes
from app.domain.events import SEQ_PER_MS

StepTimes = dict[str, datetime]


@dataclass(slots=True)
class EventProgress:
    """One event: time of each step, outcomes, and when its window is due."""

    event_id: str
    step_times: StepTimes = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    group_key: tuple[str, str, str] | None = None
    """(recipient_id, kind, object_id), once an aggregator has read it."""
    due_at: datetime | None = None

    @property
    def status(self) -> EventStatus:
        return status_from_step_outcomes({name: self.outcomes.get(name, "") for name in self.step_times})

    def to_dict(self) -> dict[str, Any]:
        steps = sorted(self.step_times.items(), key=lambda pair: pair[1])
        outcome = self.outcomes.get("closed") or self.outcomes.get("aggregated")
        is_gathered = self.outcomes.get("aggregated") == GATHERED_OUTCOME
        return {
            "eventId": self.event_id,
            "type": self.group_key[1] if self.group_key else None,
            "status": self.status.value,
            "outcome": outcome,
            "instant": None if "aggregated" not in self.step_times else not is_gathered,
            "dueAt": self.due_at,
            "steps": [{"name": name, "at": reached_at} for name, reached_at in steps],
        }


class EventTracker:
    def __init__(self, connection: redis.Redis, engine: Engine) -> None:
        self._redis = connection
        self._engine = engine

    def read_progress(self, event_ids: Sequence[str]) -> list[EventProgress]:
        """In the given order. An unknown event counts as not moved yet."""
        events = [EventProgress(event_id) for event_id in event_ids]
        with stale_reads.mark_stale_if_redis_unavailable():
            self._add_steps_from_traces(events)
        self._add_steps_from_tables(events)
        return events

    def list_recently_moved(self, limit: int) -> list[EventProgress]:
        """The most recently moved events, newest first. Traces of client events are left out."""
        recent_names: list[str] = []
        with stale_reads.mark_stale_if_redis_unavailable():
            recent_names = self._read_recent_trace_names(5 * limit)
        event_ids = [name for name in reversed(recent_names) if not name.startswith("client-event-")]
        return self.read_progress(event_ids[:limit])

    def _read_recent_trace_names(self, limit: int) -> list[str]:
        with translate_errors("list traces"):
            names: Any = self._redis.lrange("trace:recent", -limit, -1)
        return [str(name) for name in names]

    def _add_steps_from_traces(self, events: Sequence[EventProgress]) -> None:
        with translate_errors("read traces"):
            pipeline = self._redis.pipeline(transaction=False)
            for event in events:
                pipeline.hgetall(redis_key("trace", event.event_id))
            for event, trace in zip(events, pipeline.execute(), strict=True):
                _apply_trace(event, trace)
            windowed_events = [
                event for event in events if event.status is EventStatus.WINDOWED and event.group_key
            ]
            for event in windowed_events:
                pipeline.zscore(DUE_INDEX_KEY, ":".join(event.group_key or ()))
            for event, due_ms in zip(
                windowed_events, pipeline.execute() if windowed_events else (), strict=True
            ):
                event.due_at = None if due_ms is None else _datetime_from_ms(int(due_ms))

    def _add_steps_from_tables(self, events: Sequence[EventProgress]) -> None:
        """Adds steps from the fallback queue, notifications and outbox."""
        by_id = {event.event_id: event for event in events}
        group_keys = [event.group_key for event in events if event.group_key]
        params = {
            "ids": list(by_id),
            "users": [recipient_id for recipient_id, _, _ in group_keys],
            "kinds": [kind for _, kind, _ in group_keys],
            "objects": [object_id for _, _, object_id in group_keys],
        }
        with translate_postgres_errors("read written rows"), self._engine.connect() as conn:
            for event_id, queued_at, sent_at in conn.execute(_FALLBACK_TIMES, params):
                by_id[event_id].step_times |= _drop_missing_times(
                    queued=queued_at, **{"sent from the queue": sent_at}
                )
            written_rows = conn.execute(_WRITTEN_TIMES, params).all() if group_keys else []
        for event_id, written_at, relayed_at, _ in written_rows:
            by_id[event_id].step_times |= _drop_missing_times(written=written_at, relayed=relayed_at)
        outbox_id_by_event = {row[0]: row[3] for row in written_rows if row[3] is not None}
        with stale_reads.mark_stale_if_redis_unavailable():
            self._add_emitted_times(by_id, outbox_id_by_event)

    def _add_emitted_times(
        self, by_id: Mapping[str, EventProgress], outbox_id_by_event: Mapping[str, int]
    ) -> None:
        with translate_errors("read traces of client events"):
            pipeline = self._redis.pipeline(transaction=False)
            for outbox_id in outbox_id_by_event.values():
                pipeline.hget(redis_key("trace", f"client-event-{outbox_id}"), "emitted")
            emitted = pipeline.execute() if outbox_id_by_event else []
        for event_id, trace_value in zip(outbox_id_by_event, emitted, strict=True):
            if trace_value:
                by_id[event_id].step_times["emitted"] = _datetime_from_ms(int(trace_value.partition(" ")[0]))


def _apply_trace(event: EventProgress, trace: Mapping[str, str]) -> None:
    """trace:{id} maps step -> "ms detail"; the detail of the aggregator contains the group."""
    for step, value in trace.items():
        time_ms, *details = value.split(" ")
        event.step_times[step] = _datetime_from_ms(int(time_ms))
        if step in ("published", "sent_to_fallback"):
            event.step_times["accepted"] = _datetime_from_ms(int(details[0]) // SEQ_PER_MS)
        else:
            event.outcomes[step] = details[0]
        if step == "aggregated":
            event.group_key = (details[2], details[3], details[4])


def _datetime_from_ms(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)


def _drop_missing_times(**step_times: datetime | None) -> StepTimes:
    return {name: reached_at for name, reached_at in step_times.items() if reached_at is not None}


_FALLBACK_TIMES = text(
    "select event_id::text, created_at, processed_at from kafka_fallback_queue "
    "where event_id = any(cast(:ids as uuid[]))"
)
# Selected by recipient, kind and object, which have an index; event ids have none.
_WRITTEN_TIMES = text("""
    with wanted as (
        select distinct * from unnest(cast(:users as uuid[]), cast(:kinds as text[]),
            cast(:objects as uuid[])) as a (user_id, kind, object_id)
    ), rows as (
        select coalesce(a.event_id, n.object_id) as event_id, n.id, n.user_id,
            coalesce(a.created_at, n.created_at) as written_at,
            a.created_at as joined_at
        from wanted join notifications n on n.user_id = wanted.user_id
            and n.type = wanted.kind and n.object_id = wanted.object_id
        left join notification_actors a on a.notification_id = n.id
    )
    select rows.event_id::text, rows.written_at, f.published_at, f.id
    from rows left join lateral (
        select o.id, o.published_at from outbox o where o.user_id = rows.user_id
            and o.client_seq is not null and o.payload->>'id' = rows.id::text
            and o.client_event = 'notification'
            and (rows.joined_at is null or o.created_at >= rows.joined_at)
        order by o.client_seq limit 1
    ) f on true
    where rows.event_id = any(cast(:ids as uuid[]))
""")
