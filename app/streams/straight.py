"""The way past Redis: straight to Kafka, else into the fallback queue, else not accepted.

In    app/direct.py, in the web processes
Out   streams/publisher.py; streams/fallback.py when Kafka does not take it in time
Next  workers/aggregator.py; workers/bridge.py empties the queue

Those who wait at one time go together, so that a crowd is a few batches. kafka-python's client is
made by the first of them, never at the start.
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
from app.domain.routing import shard_of_event
from app.streams.fallback import FallbackQueue
from app.streams.kafka import Record
from app.streams.publisher import Publishes, record_of

log = logging.getLogger(__name__)
KAFKA_SECONDS = 0.7
"""With what the caller waited for Redis below two seconds."""
WAIT_SECONDS = 1.5
MAX_WAITING = 10_000


@dataclass(frozen=True, slots=True)
class Waiting:
    events: tuple[Event, ...]
    done: "AsyncResult[None]"


class Straight:
    """`together`: callers are greenlets of one thread, as in a web process; else one at a time."""

    def __init__(
        self, publisher: Publishes, fallback: FallbackQueue, shards: int, together: bool
    ) -> None:
        self._together = together
        self._alone = Lock()
        self._publisher = publisher
        self._fallback = fallback
        self._shards = shards
        self._waiting: list[Waiting] = []
        self._pump: gevent.Greenlet[..., Any] | None = None
        self._job: gevent.Greenlet[..., Any] | None = None

    def publish(self, events: Sequence[Event]) -> None:
        """Returns when they are safe. Raises Unavailable; then they may have been taken."""
        if not self._together:
            with self._alone:
                return self._hand_on(events, self._publisher.publish)
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable("Too many events are waiting; try again soon", "too_many_waiting")
        mine = Waiting(tuple(events), AsyncResult())
        self._waiting.append(mine)
        if not self._pump:
            self._pump = gevent.spawn(self._run)
        if not mine.done.wait(WAIT_SECONDS) and not mine.done.ready():
            raise Unavailable("Neither Kafka nor PostgreSQL took the event", "nowhere_to_go")
        return mine.done.get()

    def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                self._hand_on([e for one in batch for e in one.events], self._to_kafka)
            except Exception as fault:  # each of them must learn of it
                for one in batch:
                    one.done.set_exception(fault)
            else:
                for one in batch:
                    one.done.set(None)

    def _hand_on(
        self, events: Sequence[Event], publish: Callable[[Sequence[Record]], None]
    ) -> None:
        try:
            publish([record_of(event) for event in events])
        except Unavailable as fault:
            log.warning("Redis and Kafka are away (%s): to the fallback queue", fault)
            for shard, ours in self._by_shard(events).items():
                self._fallback.enqueue(shard, ours)

    def _to_kafka(self, records: Sequence[Record]) -> None:
        """Not waited for longer than KAFKA_SECONDS; what then arrives late arrives twice, which is
        harmless."""
        if self._job:
            raise Unavailable("Kafka does not answer", "kafka_unavailable")
        self._job = gevent.spawn(self._publish, records)
        self._job.join(KAFKA_SECONDS)
        if not self._job.ready():
            raise Unavailable("Kafka did not take the events in time", "kafka_unavailable")
        fault = self._job.value
        if fault is not None:
            raise fault

    def _publish(self, records: Sequence[Record]) -> Unavailable | None:
        """A greenlet that raises would print its stack."""
        try:
            self._publisher.publish(records)
        except Unavailable as fault:
            return fault
        return None

    def _by_shard(self, events: Sequence[Event]) -> dict[int, list[tuple[str, int, Record]]]:
        shards: dict[int, list[tuple[str, int, Record]]] = {}
        for event in events:
            queued = (event.event_id, event.seq, record_of(event))
            shards.setdefault(shard_of_event(event, self._shards), []).append(queued)
        return shards
