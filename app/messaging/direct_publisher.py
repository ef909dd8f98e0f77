"""Publishing during a Redis failover: to Kafka, otherwise to the fallback queue.

In: events of app/ingest/failover_path.py, in the web processes. Out: the priority topics, or
app/messaging/fallback_queue.py when Kafka does not accept them in time; workers/bridge.py drains it.
Concurrent calls are published as one batch.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import gevent
from gevent.event import AsyncResult

from app.domain.errors import Unavailable
from app.domain.events import Event
from app.domain.routing import ingress_shard_of_event
from app.messaging.fallback_queue import FallbackQueue
from app.messaging.publisher import RecordPublisher, event_to_record
from app.messaging.records import ProducerRecord

log = logging.getLogger(__name__)
KAFKA_TIMEOUT_SECONDS = 0.7
"""Together with the time that the caller waited for Redis below two seconds."""
PUBLISH_TIMEOUT_SECONDS = 1.5
MAX_PENDING_PUBLISHES = 10_000


@dataclass(frozen=True, slots=True)
class PendingPublish:
    events: tuple[Event, ...]
    result: "AsyncResult[None]"


class DirectPublisher:
    """`batching`: callers are greenlets of one thread, as in a web process, and are published together;
    otherwise calls run one at a time."""

    def __init__(
        self,
        publisher: RecordPublisher,
        fallback_queue: FallbackQueue,
        shard_count: int,
        batching: bool,
    ) -> None:
        self._batching = batching
        self._publish_lock = Lock()
        self._publisher = publisher
        self._fallback_queue = fallback_queue
        self._shard_count = shard_count
        self._pending: list[PendingPublish] = []
        self._batch_greenlet: gevent.Greenlet[..., Any] | None = None
        self._kafka_greenlet: gevent.Greenlet[..., Any] | None = None

    def publish(self, events: Sequence[Event]) -> None:
        """Returns when the events are stored. Raises Unavailable; they may have been stored then."""
        if not self._batching:
            with self._publish_lock:
                return self._publish_or_enqueue(events, self._publisher.publish)
        if len(self._pending) >= MAX_PENDING_PUBLISHES:
            raise Unavailable("Too many events are waiting; try again soon", "too_many_waiting")
        pending_publish = PendingPublish(tuple(events), AsyncResult())
        self._pending.append(pending_publish)
        if not self._batch_greenlet:
            self._batch_greenlet = gevent.spawn(self._publish_pending_batches)
        if not pending_publish.result.wait(PUBLISH_TIMEOUT_SECONDS) and not pending_publish.result.ready():
            raise Unavailable("Neither Kafka nor PostgreSQL accepted the events", "no_storage_available")
        return pending_publish.result.get()

    def _publish_pending_batches(self) -> None:
        while self._pending:
            batch, self._pending = self._pending, []
            try:
                self._publish_or_enqueue(
                    [event for pending in batch for event in pending.events], self._publish_with_timeout
                )
            except Exception as exc:  # every waiting caller must get it
                for pending_publish in batch:
                    pending_publish.result.set_exception(exc)
            else:
                for pending_publish in batch:
                    pending_publish.result.set(None)

    def _publish_or_enqueue(
        self, events: Sequence[Event], publish: Callable[[Sequence[ProducerRecord]], None]
    ) -> None:
        try:
            publish([event_to_record(event) for event in events])
        except Unavailable as exc:
            log.warning(
                "Redis and Kafka are unavailable, events are stored in the fallback queue: %s",
                exc,
                extra={"event": "failover_events_queued"},
            )
            for shard, shard_entries in self._fallback_entries_by_shard(events).items():
                self._fallback_queue.enqueue(shard, shard_entries)

    def _publish_with_timeout(self, records: Sequence[ProducerRecord]) -> None:
        """Waits at most KAFKA_TIMEOUT_SECONDS. Records that arrive later arrive twice, which is harmless."""
        if self._kafka_greenlet:
            raise Unavailable("Kafka does not answer", "kafka_unavailable")
        self._kafka_greenlet = gevent.spawn(self._publish_catching_unavailable, records)
        self._kafka_greenlet.join(KAFKA_TIMEOUT_SECONDS)
        if not self._kafka_greenlet.ready():
            raise Unavailable("Kafka did not accept the events in time", "kafka_unavailable")
        exc = self._kafka_greenlet.value
        if exc is not None:
            raise exc

    def _publish_catching_unavailable(self, records: Sequence[ProducerRecord]) -> Unavailable | None:
        """Returns the error, because gevent prints the stack of a greenlet that raises."""
        try:
            self._publisher.publish(records)
        except Unavailable as exc:
            return exc
        return None

    def _fallback_entries_by_shard(
        self, events: Sequence[Event]
    ) -> dict[int, list[tuple[str, int, ProducerRecord]]]:
        entries_by_shard: dict[int, list[tuple[str, int, ProducerRecord]]] = {}
        for event in events:
            entry = (event.event_id, event.seq, event_to_record(event))
            entries_by_shard.setdefault(ingress_shard_of_event(event, self._shard_count), []).append(entry)
        return entries_by_shard
