"""One publish() over Kafka and its breaker.

pybreaker, because half-open probing and its races are not ours to write. Only an absent Kafka
counts against the breaker.
"""

from collections.abc import Sequence
from typing import Protocol

import pybreaker

from app.domain.errors import Unavailable
from app.domain.events import Event
from app.domain.routing import partition_key, priority_of, topic_of
from app.streams.kafka import Record
from app.streams.wire import dumps


class Publishes(Protocol):
    """Kafka, Kafka behind its breaker, or a test's list."""

    def publish(self, records: Sequence[Record]) -> None:
        """Returns when they are safe. Raises Unavailable, and then any of them may have arrived."""


class GuardedPublisher:
    """Asks Kafka only while the breaker trusts it; an open breaker answers at once."""

    def __init__(self, kafka: Publishes, failures: int, reset_seconds: float) -> None:
        self._kafka = kafka
        self.breaker = pybreaker.CircuitBreaker(
            fail_max=failures, reset_timeout=reset_seconds, name="kafka"
        )

    def publish(self, records: Sequence[Record]) -> None:
        if not records:
            return
        try:
            self.breaker.call(self._kafka.publish, records)
        except pybreaker.CircuitBreakerError as fault:
            raise Unavailable("Kafka is taken to be away", "kafka_breaker_open") from fault

    @property
    def state(self) -> str:
        return str(self.breaker.current_state)


def record_of(event: Event) -> Record:
    """An event as it goes to its lane: key = recipient, so one person's events keep their order."""
    priority = priority_of(event.kind, event.follower)
    headers = [("type", event.kind.value), ("priority", priority.value)]
    if event.traceparent:
        headers.append(("traceparent", event.traceparent))
    return Record(
        topic_of(event).value, partition_key(event), dumps(event.to_wire(priority)), tuple(headers)
    )
