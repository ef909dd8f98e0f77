"""Publishing to Kafka behind a circuit breaker, and the record of an event.

In: records and events of the web processes and workers. Out: app/messaging/producer.py.
"""

from collections.abc import Sequence
from typing import Protocol

from app.clients.circuit_breaker import KAFKA, Breaker
from app.domain.errors import Unavailable
from app.domain.events import Event
from app.domain.routing import partition_key, priority_of, topic_of
from app.messaging.json_codec import dump_json
from app.messaging.records import ProducerRecord


class RecordPublisher(Protocol):
    """KafkaPublisher, CircuitBreakingPublisher, or a fake of the tests."""

    def publish(self, records: Sequence[ProducerRecord]) -> None:
        """Returns when the records are stored. Raises Unavailable (some of them may have arrived) or
        RecordsRejected (all others have arrived)."""


class CircuitBreakingPublisher:
    """Publishes unless the circuit is open; then it raises Unavailable at once. Only unavailability of
    Kafka counts as a failure, not rejected records."""

    def __init__(self, publisher: RecordPublisher, circuit_breaker: Breaker = KAFKA) -> None:
        self._publisher = publisher
        self.circuit_breaker = circuit_breaker

    def publish(self, records: Sequence[ProducerRecord]) -> None:
        if not records:
            return
        with self.circuit_breaker.guard_call(_is_unavailable):
            self._publisher.publish(records)


def _is_unavailable(exc: BaseException) -> bool:
    return isinstance(exc, Unavailable)


def event_to_record(event: Event) -> ProducerRecord:
    """The record of an event on its priority topic. The key is the recipient, whose events stay in order."""
    priority = priority_of(event.kind, event.is_follower)
    headers = [("type", event.kind.value), ("priority", priority.value)]
    if event.traceparent:
        headers.append(("traceparent", event.traceparent))
    return ProducerRecord(
        topic_of(event).value,
        partition_key(event),
        dump_json(event.to_wire(priority)),
        tuple(headers),
    )
