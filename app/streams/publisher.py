"""One publish() over Kafka and its breaker. Only an absent Kafka counts against the breaker."""

from collections.abc import Sequence
from typing import Protocol

from app.breakers import KAFKA, Breaker
from app.domain.errors import Unavailable
from app.domain.events import Event
from app.domain.routing import partition_key, priority_of, topic_of
from app.streams.kafka import Record
from app.streams.wire import dumps


class Publishes(Protocol):
    """Kafka, Kafka behind its breaker, or a test's list."""

    def publish(self, records: Sequence[Record]) -> None:
        """Returns when they are safe. Raises Unavailable, and then any of them may have arrived;
        Refused, and then all have but those it names."""


class GuardedPublisher:
    """Asks Kafka only while the breaker trusts it; an open breaker answers at once."""

    def __init__(self, kafka: Publishes, breaker: Breaker = KAFKA) -> None:
        self._kafka = kafka
        self.breaker = breaker

    def publish(self, records: Sequence[Record]) -> None:
        if not records:
            return
        with self.breaker.passage(_is_away):
            self._kafka.publish(records)

    @property
    def state(self) -> str:
        return self.breaker.state


def _is_away(fault: BaseException) -> bool:
    return isinstance(fault, Unavailable)


def record_of(event: Event) -> Record:
    """An event as it goes to its lane: key = recipient, so one person's events keep their order."""
    priority = priority_of(event.kind, event.follower)
    headers = [("type", event.kind.value), ("priority", priority.value)]
    if event.traceparent:
        headers.append(("traceparent", event.traceparent))
    return Record(
        topic_of(event).value, partition_key(event), dumps(event.to_wire(priority)), tuple(headers)
    )
