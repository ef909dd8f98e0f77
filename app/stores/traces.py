"""The way of one event, step by step with times: what the workers noted and what the tables know.

In    Redis trace:{eventId} (24 hours, the newest hundred thousand); notifications, outbox,
      kafka_fallback_queue, dead_letters
Out   GET /api/admin/trace/:eventId
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import redis
from sqlalchemy import Connection, Engine, text

from app import stale
from app.domain.events import SEQ_PER_MS
from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import key, speaking
from app.stores.seen import SEEN

Step = dict[str, Any]
FRAMES = 20
LANES = ("critical-notifications", "high-priority-notifications", "low-priority-notifications")


class Traces:
    def __init__(self, connection: redis.Redis, engine: Engine) -> None:
        self._redis = connection
        self._engine = engine

    def of(self, event_id: str) -> list[Step]:
        """In order of time; empty for an unknown event. Raises Unavailable."""
        noted: dict[str, str] = {}
        with stale.unless_away():
            noted = self._noted(event_id)
        steps = [_step(name, value) for name, value in noted.items()]
        seq = next((int(one["seq"]) for one in steps if "seq" in one), None)
        if seq is not None:
            at = datetime.fromtimestamp(seq / SEQ_PER_MS / 1000, UTC)
            steps.append({"name": "accepted", "at": at, "seq": seq})
        with asking_postgres("tell a trace"), self._engine.connect() as sql:
            steps += self._asides(sql, event_id)
            for about in [one for one in steps if "object" in one]:
                steps += self._told(sql, about, event_id)
        # Clocks differ by a hair between the stores; the way itself does not.
        return sorted(steps, key=lambda one: (one["at"], ORDER.get(one["name"], 9)))

    def _noted(self, event_id: str) -> dict[str, str]:
        with speaking("tell a trace"):
            noted = self._redis.hgetall(key("trace", event_id))
        return {str(name): str(value) for name, value in noted.items()}

    def _asides(self, sql: Connection, event_id: str) -> Iterator[Step]:
        positions = {"position": f"event:{event_id}", "origins": list(LANES)}
        for at, reason, status in sql.execute(_LETTERS, positions):
            yield {"name": "dead letter", "at": at, "reason": reason, "status": status}
        for created, processed, error in sql.execute(_QUEUED, {"event": event_id}):
            yield {"name": "queued", "at": created, "error": error}
            if processed is not None:
                yield {"name": "sent from the queue", "at": processed}

    def _told(self, sql: Connection, about: Step, event_id: str) -> Iterator[Step]:
        """The row it is in, and the frames of that row since."""
        values = {
            "user": about["recipient"],
            "type": about["type"],
            "object": about["object"],
            "actor": about.get("actor"),
            "event": event_id,
        }
        row = sql.execute(_ROW, values).first()
        if row is None:
            return
        notification, written_at, active, since = row
        yield {
            "name": "written",
            "at": written_at,
            "notificationId": notification,
            "active": active,
        }
        # Row and frames of one transaction have one time, so earlier frames are about others.
        frames = {"user": about["recipient"], "row": notification, "since": since}
        found = sql.execute(_FRAMES, frames | {"limit": FRAMES}).all()
        for place, seq, frame, created, published in found:
            shown = {"frame": frame, "seq": seq, "notificationId": notification}
            if frame == SEEN:
                yield {"name": "shown", "at": created, "notificationId": notification}
                continue
            yield {"name": "announced", "at": created, **shown}
            if published is not None:
                yield {"name": "relayed", "at": published, **shown}
            emitted = self._redis.hget(key("trace", f"frame-{place}"), "emitted")
            if emitted:
                yield {"name": "emitted", "at": _moment(str(emitted)), **shown}


ORDER = {
    name: place
    for place, name in enumerate(
        (
            "accepted",
            "spilled",
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


def _moment(value: str) -> datetime:
    return datetime.fromtimestamp(int(value.partition(" ")[0]) / 1000, UTC)


def _step(name: str, value: str) -> Step:
    step: Step = {"name": name, "at": _moment(value)}
    words = value.split(" ")[1:]
    if name == "aggregated":
        names = ("outcome", "seq", "recipient", "type", "object", "actor")
        return step | {n: w for n, w in zip(names, words, strict=True) if w != "-"}
    if name in ("published", "spilled"):
        return step | {"seq": words[0]}
    return step | {"outcome": words[0]}


_LETTERS = text(
    "select created_at, reason, status from dead_letters "
    "where origin = any(:origins) and position = :position"
)
_QUEUED = text(
    "select created_at, processed_at, last_error from kafka_fallback_queue "
    "where event_id = cast(:event as uuid) order by id limit 5"
)
_ROW = text("""
    select n.id::text, coalesce(a.created_at, n.created_at), coalesce(a.active, true),
        -- A row that stands alone has the ledger's time, which is a hair after the transaction's.
        coalesce(a.created_at, n.created_at - interval '1 minute')
    from notifications n left join notification_actors a
        on a.notification_id = n.id and a.actor_id = cast(:actor as uuid)
    where n.user_id = cast(:user as uuid) and n.type = :type
        and n.object_id = cast(:object as uuid)
        and (a.event_id = cast(:event as uuid) or n.object_id = cast(:event as uuid))
    order by n.generation desc limit 1
""")
_FRAMES = text("""
    select id, seq, frame, created_at, published_at from outbox
    where user_id = cast(:user as uuid) and payload->>'id' = :row
        and (seq is not null or frame = 'seen') and created_at >= cast(:since as timestamptz)
    order by id limit :limit
""")
