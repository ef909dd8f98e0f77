"""Three brokers of which one is left: it acknowledges nothing. The drill three-brokers kills each in turn."""

import threading
from collections.abc import Iterator
from threading import Thread

import gevent
import pytest
from kafka.producer.sender import Sender

from app.domain.errors import Unavailable
from app.kafka_settings import KafkaConnection
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
