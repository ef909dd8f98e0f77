"""What is accepted and not yet written: the other half of the database viewer.

In    blueprints/admin.py
Out   reads only: the newest entries of the ingress, the fallback queue, the open windows next due

An event that is in Kafka just now is in none of these: for milliseconds, or until an aggregator is
back.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
from sqlalchemy import Engine, text

from app import stale
from app.domain.errors import Poisoned
from app.domain.events import COMMENT_KINDS, Event, Kind, from_fields, from_wire, occurred_at
from app.domain.windows import Verdict
from app.stores.open_windows import CLOSING, OpenWindow, OpenWindows
from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import key, speaking
from app.stores.windows import DUE

WINDOWS = 50
TABLES = {
    "likes": frozenset({Kind.LIKE}),
    "comments": COMMENT_KINDS,
    "follows": frozenset({Kind.FOLLOW}),
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event, where it waits, and until when if that is known."""

    event: Event
    where: str
    due_at: datetime | None = None

    def row(self) -> dict[str, Any]:
        event = self.event
        row: dict[str, Any] = {"id": event.event_id, "where": self.where, "dueAt": self.due_at}
        if event.kind is Kind.FOLLOW:
            row |= {"followerId": event.actor_id, "followingId": event.recipient_id}
        elif event.kind in COMMENT_KINDS:
            said = event.metadata
            row |= {"postId": said["postId"], "userId": event.actor_id, "content": said["content"]}
        else:
            row |= {"postId": event.object_id, "userId": event.actor_id}
        return row | {"active": event.active, "createdAt": occurred_at(event.seq)}


class Pending:
    def __init__(self, connection: redis.Redis, engine: Engine, shards: Sequence[int]) -> None:
        self._redis = connection
        self._engine = engine
        self._shards = shards

    def of(self, table: str, limit: int) -> list[dict[str, Any]]:
        """The newest first. Raises Unavailable."""
        if table == "notification-history":
            windows = OpenWindows(self._redis)
            listed: list[OpenWindow] = []
            with stale.unless_away():
                listed = windows.listed(limit, None)
            return [_line(one) for one in listed]
        kinds = TABLES[table]
        found = [one for one in self._events(limit) if one.event.kind in kinds]
        found.sort(key=lambda one: one.event.seq, reverse=True)
        # Taken over from one place into the next between two reads: one event is one row.
        return list({one.event.event_id: one.row() for one in reversed(found)}.values())[::-1][
            :limit
        ]

    def _events(self, limit: int) -> Iterator[Waiting]:
        with stale.unless_away():
            yield from self._in_windows()
        yield from self._in_queue(limit)
        with stale.unless_away():
            yield from self._in_ingress(limit)

    def _in_ingress(self, limit: int) -> Iterator[Waiting]:
        with speaking("tell what waits"):
            pipeline = self._redis.pipeline(transaction=False)
            for shard in self._shards:
                pipeline.xrevrange(key("ingress", shard), count=limit)
            streams: Any = pipeline.execute()
        for stream_id, fields in (entry for stream in streams for entry in stream):
            try:
                yield Waiting(from_fields(str(stream_id), fields), "ingress")
            except Poisoned:
                continue  # the bridge will say so

    def _in_queue(self, limit: int) -> Iterator[Waiting]:
        with asking_postgres("tell what waits"), self._engine.connect() as sql:
            payloads = list(sql.execute(_QUEUED, {"limit": limit}).scalars())
        for payload in payloads:
            try:
                yield Waiting(from_wire(payload), "fallback queue")
            except Poisoned:
                continue

    def _in_windows(self) -> Iterator[Waiting]:
        with speaking("tell what waits"):
            rows: Any = self._redis.zrange(DUE, 0, WINDOWS - 1, withscores=True)
            pipeline = self._redis.pipeline(transaction=False)
            for name, _ in rows:
                pipeline.hgetall(name if name.startswith(CLOSING) else key("window", name))
            windows: Any = pipeline.execute()
        for (name, due), window in zip(rows, windows, strict=True):
            where = "closing" if name.startswith(CLOSING) else "window"
            due_at = datetime.fromtimestamp(due / 1000, UTC) if where == "window" else None
            yield from (Waiting(one, where, due_at) for one in _gathered(window))


def _gathered(window: dict[str, str]) -> Iterator[Event]:
    for member, value in window.items():
        if not member.startswith("~") and value.split(" ", 2)[1] == Verdict.GATHERED:
            yield from_wire(json.loads(value.split(" ", 2)[2]))


def _line(window: OpenWindow) -> dict[str, Any]:
    """A window as the notification it will become."""
    return {
        "id": window.name,
        "userId": window.recipient_id,
        "type": window.kind,
        "aggregatedCount": window.waiting,
        "where": "closing" if window.closing else "window",
        "dueAt": None if window.closing else window.due_at,
    }


_QUEUED = text(
    "select payload->'value' from kafka_fallback_queue where not processed "
    "and payload->'value' is not null order by id desc limit :limit"
)
