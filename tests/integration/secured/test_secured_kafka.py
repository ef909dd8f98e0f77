"""Kafka with SASL_SSL: every client of the product, and refused passwords and certificates."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from environs import Env
from kafka.errors import KafkaError

from app.clients.kafka import ping_kafka_or_raise
from app.domain.errors import Unavailable
from app.kafka_settings import KafkaConnection, read_kafka_connection
from app.messaging.consumer import KafkaSubscriber
from app.messaging.producer import KafkaPublisher
from app.messaging.records import ProducerRecord
from app.messaging.topics import create_missing_topics
from app.operations.consumer_lag import read_consumer_group_offsets
from harness.waiting import poll_until
from tests.support.brokers import poll_records, text_values
from tests.support.certificates import CertificateFiles
from tests.support.fixtures import new_id
from tests.support.patched_program import run_patched_program
from tests.support.secured_kafka import PASSWORD
from tests.support.secured_services import secured_kafka

pytestmark = [pytest.mark.service, pytest.mark.slow]
WRONG_PASSWORD = "wrong-secret-4711"
REFUSAL_TIMEOUT_SECONDS = 10.0
ALL_CLIENTS_PROGRAM = """
import sys
from environs import Env
from app.clients.kafka import ping_kafka_or_raise
from app.kafka_settings import read_kafka_connection
from app.messaging.consumer import KafkaSubscriber
from app.messaging.producer import KafkaPublisher
from app.messaging.records import ProducerRecord
from app.messaging.topics import create_missing_topics
from app.operations.consumer_lag import read_consumer_group_offsets

topic, connection = sys.argv[1], read_kafka_connection(Env())
create_missing_topics(connection, {topic: 2}, 1, 3_600_000)
ping_kafka_or_raise(connection)
values = [str(n).encode() + b"x" * 20_000 for n in range(100)]
publisher = KafkaPublisher(connection)
publisher.publish([ProducerRecord(topic, "key", value) for value in values])
publisher.close()
subscriber, received = KafkaSubscriber(connection, "group", topic), []
for _ in range(60):
    records = subscriber.poll(0.5, 1000)
    received += [record.value for record in records]
    if len(received) == len(values):
        break
assert received == values
assert subscriber.commit({("%s" % topic, record.partition): record.offset + 1 for record in records})
subscriber.close()
read_consumer_group_offsets(connection)
print("all clients work")
"""
REFUSED_PROGRAM = """
import logging
from environs import Env
from app import log_config
from app.domain.errors import Unavailable
from app.kafka_settings import read_kafka_connection
from app.messaging.producer import KafkaPublisher
from app.messaging.records import ProducerRecord

log_config.configure_logging("debug", "json")
for name in log_config.QUIETED_LOGGERS:
    logging.getLogger(name).setLevel(logging.DEBUG)  # more than the product ever logs
code = ""
for _ in range(10):  # a call may end before the broker has refused it
    if code != "kafka_authentication":
        try:
            KafkaPublisher(read_kafka_connection(Env())).publish([ProducerRecord("topic", "key", b"1")])
        except Unavailable as exc:
            logging.getLogger("app").exception("refused: %s", exc)
            code = exc.code
print(code)
"""


@pytest.fixture(scope="module")
def kafka_environment(
    certificates: CertificateFiles, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    with secured_kafka(certificates, tmp_path_factory.mktemp("secured-kafka")) as environment:
        yield environment


@pytest.fixture
def kafka_connection(kafka_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> KafkaConnection:
    for name, value in kafka_environment.items():
        monkeypatch.setenv(name, value)
    return read_kafka_connection(Env())


def with_password(connection: KafkaConnection, password: str) -> KafkaConnection:
    assert connection.sasl is not None
    return replace(connection, sasl=replace(connection.sasl, password=password))


@pytest.mark.parametrize(
    "mechanism", ["PLAIN", pytest.param("SCRAM-SHA-256", marks=pytest.mark.drill), "SCRAM-SHA-512"]
)
def test_all_kafka_clients_work_with_tls_and_a_password(
    kafka_environment: dict[str, str], mechanism: str
) -> None:
    environment = kafka_environment | {"KAFKA_SASL_MECHANISM": mechanism}

    finished = run_patched_program(ALL_CLIENTS_PROGRAM, f"test-{new_id()}", environment=environment)

    assert finished.stdout.strip() == "all clients work", finished.stderr


def test_clients_without_gevent_work_too(kafka_connection: KafkaConnection) -> None:
    """Tools that do not call patch_all()."""
    topic = f"test-{new_id()}"
    create_missing_topics(kafka_connection, {topic: 1}, 1, 3_600_000)
    publisher, subscriber = KafkaPublisher(kafka_connection), KafkaSubscriber(kafka_connection, "g", topic)

    publisher.publish([ProducerRecord(topic, "key", b"1")])

    assert text_values(poll_records(subscriber, 1)) == ["1"]
    subscriber.close()
    publisher.close()


@pytest.mark.parametrize(
    "call",
    [
        "publish",
        "poll",
        pytest.param("topics", marks=pytest.mark.drill),
        pytest.param("offsets", marks=pytest.mark.drill),
    ],
)
@pytest.mark.parametrize(
    ("fault", "code"), [("password", "kafka_authentication"), ("authority", "kafka_certificate")]
)
def test_refusal_has_a_code_and_is_reported_in_bounded_time(
    kafka_connection: KafkaConnection,
    other_certificates: CertificateFiles,
    call: str,
    fault: str,
    code: str,
) -> None:
    refused = (
        with_password(kafka_connection, WRONG_PASSWORD)
        if fault == "password"
        else replace(kafka_connection, ssl_ca_file=str(other_certificates.ca_file))
    )
    calls: dict[str, Callable[[], object]] = {
        "publish": lambda: KafkaPublisher(refused).publish([ProducerRecord("topic", "key", b"1")]),
        "poll": lambda: KafkaSubscriber(refused, "group", "topic").poll(0.1, 1),
        "topics": lambda: create_missing_topics(refused, {"topic": 1}, 1, 3_600_000),
        "offsets": lambda: read_consumer_group_offsets(refused),
    }

    def code_of_a_call() -> str:
        started_at = time.monotonic()
        with pytest.raises(Unavailable) as error:
            calls[call]()
        assert time.monotonic() - started_at < REFUSAL_TIMEOUT_SECONDS
        return error.value.code

    # On a busy machine a call may end before the broker, which delays refusals, has refused it.
    assert poll_until(lambda: code_of_a_call() == code, timeout_seconds=60)


def test_client_without_tls_is_refused(kafka_connection: KafkaConnection) -> None:
    with pytest.raises(KafkaError):
        ping_kafka_or_raise(KafkaConnection(kafka_connection.bootstrap_servers))


@pytest.mark.parametrize("password", [WRONG_PASSWORD, PASSWORD])
def test_password_is_not_in_the_log_at_any_level(
    kafka_environment: dict[str, str], tmp_path: Path, password: str
) -> None:
    """Refused by the password, or by a user that does not exist."""
    username = {} if password == WRONG_PASSWORD else {"KAFKA_SASL_USERNAME": "nobody"}
    environment = kafka_environment | {"KAFKA_SASL_PASSWORD": password} | username

    finished = run_patched_program(REFUSED_PROGRAM, environment=environment)

    assert finished.stdout.strip() == "kafka_authentication", finished.stderr
    assert "refused" in finished.stderr
    assert password not in finished.stderr
    assert os.environ.get("KAFKA_SASL_PASSWORD") is None
