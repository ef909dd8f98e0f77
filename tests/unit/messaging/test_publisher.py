"""The circuit breaker before Kafka, and the record of an event."""

import json

import pytest

from app.clients.circuit_breaker import Breaker
from app.domain.errors import Unavailable
from app.domain.events import Event
from app.domain.routing import Topic
from app.messaging.publisher import CircuitBreakingPublisher, event_to_record
from app.messaging.records import ProducerRecord
from harness.waiting import poll_until
from tests.support.fakes import MemoryKafka
from tests.support.fixtures import comment_event, like_event, otp_event, unsaved_sample_users

SAMPLE_USERS = unsaved_sample_users()
RECORD = ProducerRecord(Topic.LOW.value, "key", b"{}")


def publish_error(publisher: CircuitBreakingPublisher) -> str:
    with pytest.raises(Unavailable) as error:
        publisher.publish([RECORD])
    return str(error.value)


def test_breaker_calls_kafka_until_the_failure_threshold(memory_kafka: MemoryKafka) -> None:
    memory_kafka.is_unavailable = True
    publisher = CircuitBreakingPublisher(memory_kafka.publisher(), Breaker("kafka", 3, 60))

    errors = [publish_error(publisher) for _ in range(4)]

    assert len(set(errors[:3])) == 1
    assert errors[3] != errors[0]  # raised by the breaker, not by Kafka
    assert publisher.circuit_breaker.state == "open"


def test_open_breaker_makes_no_call(memory_kafka: MemoryKafka) -> None:
    memory_kafka.is_unavailable = True
    publisher = CircuitBreakingPublisher(memory_kafka.publisher(), Breaker("kafka", 1, 60))
    publish_error(publisher)
    memory_kafka.is_unavailable = False

    publish_error(publisher)

    assert memory_kafka.records(Topic.LOW) == []


def test_breaker_closes_when_a_probe_succeeds(memory_kafka: MemoryKafka) -> None:
    memory_kafka.is_unavailable = True
    publisher = CircuitBreakingPublisher(memory_kafka.publisher(), Breaker("kafka", 1, 0.05))
    publish_error(publisher)
    memory_kafka.is_unavailable = False

    assert poll_until(lambda: can_publish(publisher))
    assert publisher.circuit_breaker.state == "closed"


def test_failed_probe_keeps_the_breaker_open(memory_kafka: MemoryKafka) -> None:
    memory_kafka.is_unavailable = True
    publisher = CircuitBreakingPublisher(memory_kafka.publisher(), Breaker("kafka", 2, 0.01))
    publish_error(publisher)
    publish_error(publisher)

    assert not poll_until(lambda: can_publish(publisher), timeout_seconds=0.1)
    assert publisher.circuit_breaker.state == "open"


def can_publish(publisher: CircuitBreakingPublisher) -> bool:
    try:
        publisher.publish([RECORD])
    except Unavailable:
        return False
    return True


def test_empty_publish_makes_no_call(memory_kafka: MemoryKafka) -> None:
    memory_kafka.is_unavailable = True

    CircuitBreakingPublisher(memory_kafka.publisher(), Breaker("kafka", 1, 60)).publish([])


@pytest.mark.parametrize(
    ("event", "topic", "priority"),
    [
        pytest.param(like_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 1), Topic.LOW, "LOW", id="a like"),
        pytest.param(
            like_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 1, is_follower=True),
            Topic.HIGH,
            "HIGH",
            id="by a follower",
        ),
        pytest.param(comment_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 1), Topic.HIGH, "HIGH", id="a comment"),
        pytest.param(otp_event(SAMPLE_USERS, 1), Topic.CRITICAL, "CRITICAL", id="a log-in code"),
    ],
)
def test_event_is_published_to_the_topic_of_its_priority(event: Event, topic: Topic, priority: str) -> None:
    record = event_to_record(event)

    assert (record.topic, record.key) == (topic.value, SAMPLE_USERS.alice_id)
    assert dict(record.headers) == {"type": event.kind.value, "priority": priority}
    assert json.loads(record.value)["priority"] == priority
