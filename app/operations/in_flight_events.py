"""In-flight events: accepted and not persisted yet. Complements the database viewer; reads only.

Used by blueprints/admin/database_viewer.py. Sources: the newest entries of the ingress, the fallback queue,
and the open windows due next. An event that is in Kafka at the moment is in none of these.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis
from sqlalchemy import Engine, text

from app.clients import stale_reads
from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import translate_errors
from app.domain.errors import Poisoned
from app.domain.event_codec import event_from_stream_fields, event_from_wire
from app.domain.event_waterfall import requested_at_from_event_id
from app.domain.events import COMMENT_KINDS, Event, Kind, occurred_at_from_seq
from app.ingest.ingress import ingress_key
from app.operations.open_windows import OpenWindow, OpenWindows

MAX_WINDOWS = 50
SEARCH_BEFORE_MS, SEARCH_AFTER_MS, MAX_SEARCHED_ENTRIES = 250, 3_000, 1_000
"""An entry is searched around the time of its event id: the clocks differ, and a request waits up to two
seconds."""
KINDS_BY_TABLE = {
    "likes": frozenset({Kind.LIKE}),
    "comments": COMMENT_KINDS,
    "follows": frozenset({Kind.FOLLOW}),
}


@dataclass(frozen=True, slots=True)
class InFlightEvent:
    """An event, where it is, and when it is due if that is known."""

    event: Event
    location: str
    due_at: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        event = self.event
        row: dict[str, Any] = {"id": event.event_id, "where": self.location, "dueAt": self.due_at}
        if event.kind is Kind.FOLLOW:
            row |= {"followerId": event.actor_id, "followingId": event.recipient_id}
        elif event.kind in COMMENT_KINDS:
            metadata = event.metadata
            row |= {
                "postId": metadata["postId"],
                "userId": event.actor_id,
                "content": metadata["content"],
            }
        else:
            row |= {"postId": event.object_id, "userId": event.actor_id}
        return row | {"active": event.active, "createdAt": occurred_at_from_seq(event.seq)}


class InFlightEvents:
    def __init__(self, connection: redis.Redis, engine: Engine, shards: Sequence[int]) -> None:
        self._redis = connection
        self._open_windows = OpenWindows(connection)
        self._engine = engine
        self._shards = shards

    def find_in_ingress(self, event_id: str) -> Event | None:
        """The event if the bridge has not moved it yet. None for an id without a time, and among more than
        MAX_SEARCHED_ENTRIES newer entries of a shard. Raises Unavailable."""
        requested_at = requested_at_from_event_id(event_id)
        if requested_at is None:
            return None
        requested_ms = int(requested_at.timestamp() * 1000)
        first_ms, last_ms = requested_ms - SEARCH_BEFORE_MS, requested_ms + SEARCH_AFTER_MS
        with translate_errors("find an event"):
            pipeline = self._redis.pipeline(transaction=False)
            for shard in self._shards:
                pipeline.xrange(ingress_key(shard), max(0, first_ms), last_ms, MAX_SEARCHED_ENTRIES)
            streams: Any = pipeline.execute()
        for stream_id, fields in (entry for stream in streams for entry in stream):
            if fields.get("eventId") == event_id:
                return event_from_stream_fields(str(stream_id), fields)
        return None

    def list_for_table(self, table: str, limit: int) -> list[dict[str, Any]]:
        """Newest first. Raises Unavailable."""
        if table == "notification-history":
            open_windows: list[OpenWindow] = []
            with stale_reads.mark_stale_if_redis_unavailable():
                open_windows = self._open_windows.list_by_due(limit)
            return [_window_to_dict(window) for window in open_windows]
        kinds = KINDS_BY_TABLE[table]
        in_flight_events = [
            item for item in self._iter_events_of_all_sources(limit) if item.event.kind in kinds
        ]
        in_flight_events.sort(key=lambda in_flight: in_flight.event.seq, reverse=True)
        # An event that moved between two reads was found twice: it is one row.
        return list({item.event.event_id: item.to_dict() for item in reversed(in_flight_events)}.values())[
            ::-1
        ][:limit]

    def _iter_events_of_all_sources(self, limit: int) -> Iterator[InFlightEvent]:
        with stale_reads.mark_stale_if_redis_unavailable():
            yield from self._iter_window_events()
        yield from self._iter_fallback_queue_events(limit)
        with stale_reads.mark_stale_if_redis_unavailable():
            yield from self._iter_ingress_events(limit)

    def _iter_ingress_events(self, limit: int) -> Iterator[InFlightEvent]:
        with translate_errors("read in-flight events"):
            pipeline = self._redis.pipeline(transaction=False)
            for shard in self._shards:
                pipeline.xrevrange(ingress_key(shard), count=limit)
            streams: Any = pipeline.execute()
        for stream_id, fields in (entry for stream in streams for entry in stream):
            try:
                yield InFlightEvent(event_from_stream_fields(str(stream_id), fields), "ingress")
            except Poisoned:
                continue  # the bridge will dead-letter it

    def _iter_fallback_queue_events(self, limit: int) -> Iterator[InFlightEvent]:
        with translate_postgres_errors("read in-flight events"), self._engine.connect() as conn:
            payloads = list(conn.execute(_UNPROCESSED_FALLBACK, {"limit": limit}).scalars())
        for payload in payloads:
            try:
                yield InFlightEvent(event_from_wire(payload), "fallback queue")
            except Poisoned:
                continue

    def _iter_window_events(self) -> Iterator[InFlightEvent]:
        windows = self._open_windows.list_by_due(MAX_WINDOWS)
        for window, event in self._open_windows.list_gathered_events(windows):
            yield InFlightEvent(event, _window_location(window), None if window.is_claimed else window.due_at)


def _window_location(window: OpenWindow) -> str:
    return "closing" if window.is_claimed else "window"


def _window_to_dict(window: OpenWindow) -> dict[str, Any]:
    """A window, as the notification it will become."""
    return {
        "id": window.name,
        "userId": window.recipient_id,
        "type": window.kind,
        "aggregatedCount": window.gathered_count,
        "where": _window_location(window),
        "dueAt": None if window.is_claimed else window.due_at,
    }


_UNPROCESSED_FALLBACK = text(
    "select payload->'value' from kafka_fallback_queue where not processed "
    "and payload->'value' is not null order by id desc limit :limit"
)
