"""Three brokers: one after the other is killed under load; acknowledged records are not lost."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event, Thread

import gevent
import pytest
from kafka.producer.sender import Sender

from app.domain.errors import Unavailable
from app.kafka_settings import KafkaConnection
from app.messaging.consumer import KafkaSubscriber
from app.messaging.producer import KafkaPublisher
from app.messaging.records import ProducerRecord
from app.messaging.topics import create_missing_topics
from harness.waiting import wait_until
from infra.kafka_cluster import three_broker_services
from infra.services import EmbeddedServices

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.drill]
TOPIC, BROKERS = "three", ("kafka-1", "kafka-2", "kafka-3")
TIMEOUT_SECONDS = 120.0


@pytest.fixture
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServices]:
    services = EmbeddedServices(tmp_path_factory.mktemp("three"), services_by_name=three_broker_services())
    try:
        services.start(*BROKERS)
        yield services
    finally:
        services.stop(*BROKERS)


@dataclass
class AcknowledgedWriter(Thread):
    """Publishes records one by one, each until it is acknowledged."""

    connection: KafkaConnection
    stop_requested: Event = field(default_factory=Event)
    acknowledged: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        publisher = KafkaPublisher(self.connection)
        while not self.stop_requested.is_set():
            value = str(len(self.acknowledged))
            try:
                publisher.publish([ProducerRecord(TOPIC, value, value.encode())])
                self.acknowledged.append(value)
            except Unavailable:
                self.stop_requested.wait(0.1)
        publisher.close()
        gevent.sleep(0)

    def wait_for_acknowledgements(self, count: int) -> None:
        """Waits for that many further acknowledgements."""
        goal = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= goal, f"{count} acknowledgements", TIMEOUT_SECONDS)


def test_killed_broker_loses_no_acknowledged_record(services: EmbeddedServices) -> None:
    connection = KafkaConnection(tuple(services.env(*BROKERS)["KAFKA_BOOTSTRAP_SERVERS"].split(",")))
    create_missing_topics(connection, {TOPIC: 3}, 3, 3_600_000)
    writer = AcknowledgedWriter(connection)
    writer.start()
    try:
        for broker in BROKERS:
            writer.wait_for_acknowledgements(50)
            services.kill(broker)
            writer.wait_for_acknowledgements(50)
            services.start(broker)
    finally:
        writer.stop_requested.set()
        writer.join()

    reader = KafkaSubscriber(connection, "reader", TOPIC)
    received: set[str] = set()
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not set(writer.acknowledged) <= received and time.monotonic() < deadline:
        received |= {str(record.value, "utf-8") for record in reader.poll(0.5, 500) if record.value}
    reader.close()
    assert set(writer.acknowledged) - received == set()


def test_single_broker_acknowledges_no_record(services: EmbeddedServices) -> None:
    connection = KafkaConnection(tuple(services.env(*BROKERS)["KAFKA_BOOTSTRAP_SERVERS"].split(",")))
    create_missing_topics(connection, {TOPIC: 1}, 3, 3_600_000)
    services.kill("kafka-2", "kafka-3")
    senders_before = _senders()

    with pytest.raises(Unavailable):
        KafkaPublisher(connection).publish([ProducerRecord(TOPIC, "a", b"1")])

    # An abandoned producer ends: it neither sends the record later nor keeps connecting to brokers.
    wait_until(lambda: _senders() <= senders_before, "end of the abandoned producer", TIMEOUT_SECONDS)


def _senders() -> set[Thread]:
    gevent.sleep(0.05)  # the publisher closes its producer in a greenlet
    return {thread for thread in threading.enumerate() if isinstance(thread, Sender)}
