"""Three brokers: one is killed under load, and nothing that was acknowledged is lost."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event, Thread
from threading import enumerate as threads

import gevent
import pytest
from kafka.producer.sender import Sender

from app.domain.errors import Unavailable
from app.streams.kafka import KafkaPublisher, Record, Subscriber
from app.streams.topics import create_topics
from infra.brokers import three_brokers
from infra.services import Services
from tests.services.crew import until

pytestmark = [pytest.mark.service, pytest.mark.slow]
TOPIC, BROKERS = "three", ("kafka-1", "kafka-2", "kafka-3")
PATIENCE_SECONDS = 120.0


@pytest.fixture
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    running = Services(tmp_path_factory.mktemp("three"), known=three_brokers())
    try:
        running.start(*BROKERS)
        yield running
    finally:
        running.stop(*BROKERS)


@dataclass
class Writer(Thread):
    """One record after the other, each again until it is acknowledged."""

    servers: tuple[str, ...]
    over: Event = field(default_factory=Event)
    acknowledged: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        publisher = KafkaPublisher(self.servers)
        while not self.over.is_set():
            value = str(len(self.acknowledged))
            try:
                publisher.publish([Record(TOPIC, value, value.encode())])
                self.acknowledged.append(value)
            except Unavailable:
                self.over.wait(0.1)
        publisher.close()
        gevent.sleep(0)

    def goes_on(self, more: int) -> None:
        """Waits for so many further acknowledgements."""
        goal, deadline = len(self.acknowledged) + more, time.monotonic() + PATIENCE_SECONDS
        while len(self.acknowledged) < goal:
            assert time.monotonic() < deadline, f"{len(self.acknowledged)} of {goal}"
            time.sleep(0.02)


def test_one_broker_killed_loses_nothing(services: Services) -> None:
    servers = tuple(services.env(*BROKERS)["KAFKA_BOOTSTRAP_SERVERS"].split(","))
    create_topics(servers, {TOPIC: 3}, 3, 3_600_000)
    writer = Writer(servers)
    writer.start()
    try:
        for broker in BROKERS:
            writer.goes_on(50)
            services.kill(broker)
            writer.goes_on(50)
            services.start(broker)
    finally:
        writer.over.set()
        writer.join()

    reader, found = Subscriber(servers, "reader", TOPIC), set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not set(writer.acknowledged) <= found and time.monotonic() < deadline:
        found |= {str(one.value, "utf-8") for one in reader.poll(0.5, 500) if one.value}
    reader.close()
    assert set(writer.acknowledged) - found == set()


def test_acknowledged_is_what_two_have_written(services: Services) -> None:
    servers = tuple(services.env(*BROKERS)["KAFKA_BOOTSTRAP_SERVERS"].split(","))
    create_topics(servers, {TOPIC: 1}, 3, 3_600_000)
    services.kill("kafka-2", "kafka-3")
    before = _senders()

    with pytest.raises(Unavailable):
        KafkaPublisher(servers).publish([Record(TOPIC, "a", b"1")])

    # What it gave up is not sent later, and nobody goes on asking for brokers.
    until(lambda: _senders() <= before, PATIENCE_SECONDS, "the end of its producer")


def _senders() -> set[Thread]:
    gevent.sleep(0.05)  # the publisher ends its producer in a greenlet
    return {one for one in threads() if isinstance(one, Sender)}
