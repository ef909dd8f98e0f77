"""The breaker before Kafka, and an event's form on its lane."""

import json

import pytest

from app.breakers import Breaker
from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.streams.kafka import Record
from app.streams.publisher import GuardedPublisher, record_of
from tests.cast import code, comment, like, unknown_cast
from tests.contract.waiting import until
from tests.fakes import MemoryKafka

CAST = unknown_cast()
RECORD = Record(Topic.LOW.value, "key", b"{}")


def refused(publisher: GuardedPublisher) -> str:
    with pytest.raises(Unavailable) as fault:
        publisher.publish([RECORD])
    return str(fault.value)


def test_a_breaker_asks_kafka_until_it_failed_often_enough(broker: MemoryKafka) -> None:
    broker.away = True
    publisher = GuardedPublisher(broker.publisher(), Breaker("kafka", 3, 60))

    answers = [refused(publisher) for _ in range(4)]

    assert answers == ["Kafka is away"] * 3 + ["Kafka is taken to be away"]
    assert publisher.state == "open"


def test_an_open_breaker_asks_nobody(broker: MemoryKafka) -> None:
    broker.away = True
    publisher = GuardedPublisher(broker.publisher(), Breaker("kafka", 1, 60))
    refused(publisher)
    broker.away = False

    refused(publisher)

    assert broker.records(Topic.LOW) == []


def test_a_breaker_closes_when_a_probe_passes(broker: MemoryKafka) -> None:
    broker.away = True
    publisher = GuardedPublisher(broker.publisher(), Breaker("kafka", 1, 0.05))
    refused(publisher)
    broker.away = False

    assert until(lambda: passes(publisher))
    assert publisher.state == "closed"


def test_a_failed_probe_keeps_it_open(broker: MemoryKafka) -> None:
    broker.away = True
    publisher = GuardedPublisher(broker.publisher(), Breaker("kafka", 2, 0.01))
    refused(publisher)
    refused(publisher)

    assert not until(lambda: passes(publisher), seconds=0.1)
    assert publisher.state == "open"


def passes(publisher: GuardedPublisher) -> bool:
    try:
        publisher.publish([RECORD])
    except Unavailable:
        return False
    return True


def test_nothing_to_publish_asks_nobody(broker: MemoryKafka) -> None:
    broker.away = True

    GuardedPublisher(broker.publisher(), Breaker("kafka", 1, 60)).publish([])


@pytest.mark.parametrize(
    ("event", "topic", "priority"),
    [
        pytest.param(like(CAST.bob, CAST, 1), Topic.LOW, "LOW", id="a like"),
        pytest.param(
            like(CAST.bob, CAST, 1, follower=True), Topic.HIGH, "HIGH", id="by a follower"
        ),
        pytest.param(comment(CAST.bob, CAST, 1), Topic.HIGH, "HIGH", id="a comment"),
        pytest.param(code(CAST, 1), Topic.CRITICAL, "CRITICAL", id="a log-in code"),
    ],
)
def test_an_event_on_its_lane(event, topic: Topic, priority: str) -> None:
    record = record_of(event)

    assert (record.topic, record.key) == (topic.value, CAST.alice)
    assert dict(record.headers) == {"type": event.kind.value, "priority": priority}
    assert json.loads(record.value)["priority"] == priority
