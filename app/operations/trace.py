"""Trace: the steps of one event with times, from the traces of the workers and from the tables.

Input: Redis trace:{eventId} (24 hours, the newest hundred thousand); notifications, outbox,
kafka_fallback_queue, dead_letters. Output: GET /api/admin/trace/:eventId.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import redis
from sqlalchemy import Connection, Engine, text

from app.clients import stale_reads
from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import redis_key, translate_errors
from app.domain.events import SEQ_PER_MS
from app.persistence.seen_receipts import SEEN_EVENT_NAME

TraceStep = dict[str, Any]
MAX_CLIENT_EVENTS = 20
PRIORITY_TOPICS = (
    "critical-notifications",
    "high-priority-notifications",
    "low-priority-notifications",
)


class EventTraces:
    def __init__(self, connection: redis.Redis, engine: Engine) -> None:
        self._redis = connection
        self._engine = engine

    def list_steps(self, event_id: str) -> list[TraceStep]:
        """Ordered by time; empty for an unknown event. Raises Unavailable."""
        trace: dict[str, str] = {}
        with stale_reads.mark_stale_if_redis_unavailable():
            trace = self._read_trace(event_id)
        steps = [_parse_trace_step(name, value) for name, value in trace.items()]
        seq = next((int(step["seq"]) for step in steps if "seq" in step), None)
        if seq is not None:
            accepted_at = datetime.fromtimestamp(seq / SEQ_PER_MS / 1000, UTC)
            steps.append({"name": "accepted", "at": accepted_at, "seq": seq})
        with translate_postgres_errors("read a trace"), self._engine.connect() as conn:
            steps += self._fallback_and_dead_letter_steps(conn, event_id)
            for group_step in [step for step in steps if "object" in step]:
                steps += self._notification_and_outbox_steps(conn, group_step, event_id)
        # Clocks of the stores differ slightly, so equal times are ordered by step.
        return sorted(steps, key=lambda step: (step["at"], STEP_ORDER.get(step["name"], 9)))

    def _read_trace(self, event_id: str) -> dict[str, str]:
        with translate_errors("read a trace"):
            trace = self._redis.hgetall(redis_key("trace", event_id))
        return {str(name): str(value) for name, value in trace.items()}

    def _fallback_and_dead_letter_steps(self, conn: Connection, event_id: str) -> Iterator[TraceStep]:
        params = {"position": f"event:{event_id}", "origins": list(PRIORITY_TOPICS)}
        for created_at, reason, status in conn.execute(_DEAD_LETTERS, params):
            yield {"name": "dead letter", "at": created_at, "reason": reason, "status": status}
        for created_at, processed_at, error in conn.execute(_FALLBACK_ROWS, {"event": event_id}):
            yield {"name": "queued", "at": created_at, "error": error}
            if processed_at is not None:
                yield {"name": "sent from the queue", "at": processed_at}

    def _notification_and_outbox_steps(
        self, conn: Connection, group_step: TraceStep, event_id: str
    ) -> Iterator[TraceStep]:
        """The notification row of the event, and later client events of that row."""
        params = {
            "user": group_step["recipient"],
            "type": group_step["type"],
            "object": group_step["object"],
            "actor": group_step.get("actor"),
            "event": event_id,
        }
        row = conn.execute(_NOTIFICATION_ROW, params).first()
        if row is None:
            return
        notification_id, written_at, active, joined_at = row
        yield {
            "name": "written",
            "at": written_at,
            "notificationId": notification_id,
            "active": active,
        }
        # Row and client events of one transaction have the same time; earlier ones concern other events.
        client_event_params = {
            "user": group_step["recipient"],
            "row": notification_id,
            "since": joined_at,
        }
        client_events = conn.execute(_CLIENT_EVENTS, client_event_params | {"limit": MAX_CLIENT_EVENTS}).all()
        for outbox_id, client_seq, client_event_type, created_at, published_at in client_events:
            event_fields = {
                "clientEvent": client_event_type,
                "seq": client_seq,
                "notificationId": notification_id,
            }
            if client_event_type == SEEN_EVENT_NAME:
                yield {"name": "shown", "at": created_at, "notificationId": notification_id}
                continue
            yield {"name": "announced", "at": created_at, **event_fields}
            if published_at is not None:
                yield {"name": "relayed", "at": published_at, **event_fields}
            emitted_trace = self._redis.hget(redis_key("trace", f"client-event-{outbox_id}"), "emitted")
            if emitted_trace:
                yield {"name": "emitted", "at": _parse_trace_time(str(emitted_trace)), **event_fields}


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


def _parse_trace_time(value: str) -> datetime:
    return datetime.fromtimestamp(int(value.partition(" ")[0]) / 1000, UTC)


def _parse_trace_step(name: str, raw: str) -> TraceStep:
    step: TraceStep = {"name": name, "at": _parse_trace_time(raw)}
    details = raw.split(" ")[1:]
    if name == "aggregated":
        field_names = ("outcome", "seq", "recipient", "type", "object", "actor")
        return step | {
            field_name: detail
            for field_name, detail in zip(field_names, details, strict=True)
            if detail != "-"
        }
    if name in ("published", "sent_to_fallback"):
        return step | {"seq": details[0]}
    return step | {"outcome": details[0]}


_DEAD_LETTERS = text(
    "select created_at, reason, status from dead_letters "
    "where origin = any(:origins) and position = :position"
)
_FALLBACK_ROWS = text(
    "select created_at, processed_at, last_error from kafka_fallback_queue "
    "where event_id = cast(:event as uuid) order by id limit 5"
)
_NOTIFICATION_ROW = text("""
    select n.id::text, coalesce(a.created_at, n.created_at), coalesce(a.active, true),
        -- A standalone row has the time of the event writer, slightly after that of the transaction.
        coalesce(a.created_at, n.created_at - interval '1 minute')
    from notifications n left join notification_actors a
        on a.notification_id = n.id and a.actor_id = cast(:actor as uuid)
    where n.user_id = cast(:user as uuid) and n.type = :type
        and n.object_id = cast(:object as uuid)
        and (a.event_id = cast(:event as uuid) or n.object_id = cast(:event as uuid))
    order by n.generation desc limit 1
""")
_CLIENT_EVENTS = text("""
    select id, client_seq, client_event, created_at, published_at from outbox
    where user_id = cast(:user as uuid) and payload->>'id' = :row
        and (client_seq is not null or client_event = 'seen') and created_at >= cast(:since as
        timestamptz)
    order by id limit :limit
""")
