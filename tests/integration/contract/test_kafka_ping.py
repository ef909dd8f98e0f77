"""The ping that probes Kafka while the circuit is open."""

import socket
import time
from collections.abc import Iterator

import pytest
from kafka.errors import KafkaError

from app.clients.kafka import ping_kafka_or_raise
from app.kafka_settings import KafkaConnection
from harness.network import free_port


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Accepts connections and never answers, as a frozen broker does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed_port() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.mark.parametrize("address", ["silent_server", "closed_port"])
def test_unresponsive_broker_fails_the_ping_within_a_second(
    request: pytest.FixtureRequest, address: str
) -> None:
    server = request.getfixturevalue(address)

    started_at = time.monotonic()
    with pytest.raises(KafkaError):
        ping_kafka_or_raise(KafkaConnection((server,)))

    assert time.monotonic() - started_at < 1.5


@pytest.mark.service
def test_responsive_broker_passes_the_ping(environment: dict[str, str], closed_port: str) -> None:
    servers = environment["KAFKA_BOOTSTRAP_SERVERS"].split(",")

    ping_kafka_or_raise(KafkaConnection((*servers, *servers, closed_port)))
