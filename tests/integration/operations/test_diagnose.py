"""Diagnose with all, some or none of the services."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import redis
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from app.domain.routing import Topic
from app.domain.worker_loops import WORKER_LOOPS
from app.kafka_settings import KafkaConnection
from app.messaging.topics import create_missing_topics
from app.operations.consumer_lag import read_consumer_group_offsets
from harness.network import free_port
from harness.waiting import poll_until
from tests.conftest import ROOT


@pytest.fixture
def durable_redis(real_redis: redis.Redis) -> Iterator[redis.Redis]:
    """The Redis of the tests, which runs without fsync, with the setting that diagnose requires."""
    previous = str(real_redis.config_get("appendfsync")["appendfsync"])
    real_redis.config_set("appendfsync", "always")
    yield real_redis
    real_redis.config_set("appendfsync", previous)


def test_diagnose_without_services_reports_it_within_the_timeout() -> None:
    unused_port = free_port()
    environment_overrides = {
        "DATABASE_URL": f"postgresql://nobody:x@127.0.0.1:{unused_port}/none",
        "REDIS_URL": f"redis://127.0.0.1:{unused_port}/0",
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{unused_port}",
        "DYNAMODB_ENDPOINT_URL": f"http://127.0.0.1:{unused_port}",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "PORT": str(unused_port),
    }

    started_at = time.monotonic()
    finished = _diagnose(environment_overrides)

    assert time.monotonic() - started_at < 25
    assert finished.returncode == 1
    for service in ("web", "redis", "postgres", "kafka", "dynamodb"):
        assert f"ERROR {service}, responds" in finished.stdout


@pytest.mark.service
def test_each_missing_worker_is_reported(environment: dict[str, str], durable_redis: redis.Redis) -> None:
    finished = _diagnose(environment | {"PORT": str(free_port())})

    assert finished.returncode == 1
    for loop in WORKER_LOOPS:
        assert f"ERROR workers, {loop}: no heartbeat" in finished.stdout
    assert "ERROR redis" not in finished.stdout
    assert "ERROR postgres" not in finished.stdout


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.time_limit
def test_running_pipeline_is_reported_healthy(
    environment: dict[str, str], durable_redis: redis.Redis
) -> None:
    with _workers(environment), _web() as port:
        deadline, finished = time.monotonic() + 40, None
        while finished is None or (finished.returncode and time.monotonic() < deadline):
            finished = _diagnose(environment | {"PORT": str(port)})

    assert finished.stdout.rstrip().endswith("All checks passed.")
    assert finished.returncode == 0


@pytest.mark.service
def test_offsets_list_every_consumer_group_of_a_loop(environment: dict[str, str]) -> None:
    connection = KafkaConnection((environment["KAFKA_BOOTSTRAP_SERVERS"],))
    create_missing_topics(connection, {topic.value: 3 for topic in Topic}, 1, 7 * 24 * 3_600_000)

    expected = {loop.consumer_group for loop in WORKER_LOOPS.values() if loop.consumer_group}
    # A broker may need a moment before it lists new topics.
    assert poll_until(lambda: {item.group for item in read_consumer_group_offsets(connection)} == expected)


@pytest.mark.service
def test_offsets_show_the_lag_of_a_consumer_group(environment: dict[str, str]) -> None:
    connection = KafkaConnection((environment["KAFKA_BOOTSTRAP_SERVERS"],))
    group, topic_partition = "critical-consumer", TopicPartition(Topic.CRITICAL.value, 1)
    create_missing_topics(connection, {Topic.CRITICAL.value: 3}, 1, 7 * 24 * 3_600_000)
    producer = KafkaProducer(bootstrap_servers=list(connection.bootstrap_servers))
    futures = [
        producer.send(topic_partition.topic, b"{}", partition=topic_partition.partition) for _ in range(5)
    ]
    end_offset = max(future.get(timeout=5).offset for future in futures) + 1
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=list(connection.bootstrap_servers), group_id=group)
    consumer.assign([topic_partition])
    consumer.commit({topic_partition: OffsetAndMetadata(end_offset - 2, "", -1)})

    result = [
        item for item in read_consumer_group_offsets(connection) if (item.group, item.partition) == (group, 1)
    ]
    consumer.commit({topic_partition: OffsetAndMetadata(end_offset, "", -1)})  # leave no lag for other tests
    consumer.close()

    assert [(item.committed, item.end_offset, item.lag) for item in result] == [
        (end_offset - 2, end_offset, 2)
    ]


def _diagnose(environment_overrides: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.operations.diagnose"],
        cwd=ROOT,
        env=os.environ | environment_overrides | {"COLUMNS": "200", "HOST": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def _workers(environment: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "workers", "all"]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


class _Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@contextmanager
def _web() -> Iterator[int]:
    """A fake web process that answers /ready."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Ready) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
