"""The circuit breaker before Kafka, and the record of an event."""

import json

import pytest

from app.clients.circuit_breaker import Breaker
from app.domain.errors import Unavailable
from app.domain.events import Event
from app.domain.routing import Topic
from app.messaging.publisher import CircuitBreakingPublisher, event_to_record
from app.messaging.records import ProducerRecord
from tests.support.fakes import MemoryKafka
from tests.support.fixtures import comment_event, like_event, otp_event, unsaved_sample_users

SAMPLE_USERS = unsaved_sample_users()
RECORD = ProducerRecord(Topic.LOW.value, "key", b"{}")


def test_open_breaker_makes_no_call(memory_kafka: MemoryKafka) -> None:
    publisher = CircuitBreakingPublisher(memory_kafka.publisher(), Breaker("kafka", 1, 60))

    for is_unavailable in (True, False):
        memory_kafka.is_unavailable = is_unavailable
        with pytest.raises(Unavailable):
            publisher.publish([RECORD])

    assert memory_kafka.records(Topic.LOW) == []


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
