"""The question that a breaker asks Kafka while it is open."""

import socket
import time
from collections.abc import Iterator

import pytest
from kafka.errors import KafkaError

from app.streams.clients import knock


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Accepts connections and never answers, as a frozen broker does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("address", ["silent_server", "closed_port"])
def test_a_broker_that_does_not_answer_fails_the_probe_within_a_second(
    request: pytest.FixtureRequest, address: str
) -> None:
    server = request.getfixturevalue(address)

    began = time.monotonic()
    with pytest.raises(KafkaError):
        knock([server])

    assert time.monotonic() - began < 1.5


@pytest.mark.service
def test_a_broker_that_answers_passes_the_probe(
    environment: dict[str, str], closed_port: str
) -> None:
    servers = environment["KAFKA_BOOTSTRAP_SERVERS"].split(",")

    knock([*servers, *servers, closed_port])
