"""Results of health checks, and diagnose with all, some or none of the services."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest
import redis
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from app.domain.routing import Topic
from app.domain.worker_loops import LOOP_BY_CONSUMER_GROUP, WORKER_LOOPS
from app.kafka_settings import KafkaConnection
from app.messaging.topics import create_missing_topics
from app.operations import health, health_checks
from app.operations.consumer_lag import ABSENT_GROUP, read_consumer_group_offsets
from app.operations.diagnose import exit_code, run_checks
from app.operations.health_checks import CheckLevel, CheckResult
from app.operations.heartbeats import Heartbeats
from app.settings import load_tool_settings
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


NOW_MS = 1_800_000_000_000
REQUIRED_CONFIG = {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "always"}
BACKLOG = CheckResult("outbox", "unpublished", "", hint="start it")


@pytest.mark.parametrize(
    ("count", "oldest", "level"),
    [
        pytest.param(0, None, CheckLevel.OK, id="empty"),
        pytest.param(9_000, 1.0, CheckLevel.OK, id="many but recent"),
        pytest.param(1, 5.1, CheckLevel.ERROR, id="one old entry"),
    ],
)
def test_backlog_is_judged_by_its_oldest_entry(count: int, oldest: float | None, level: CheckLevel) -> None:
    assert health_checks.evaluate_backlog(BACKLOG, count, oldest, max_age_seconds=5.0).level is level


@pytest.mark.parametrize(
    ("state", "seconds", "level"),
    [
        pytest.param(None, 0, CheckLevel.OK, id="before the first start"),
        pytest.param("normal", 9_000, CheckLevel.OK, id="normal"),
        pytest.param("failover", 2, CheckLevel.WARNING, id="short failover"),
        pytest.param("switching_back", 61, CheckLevel.ERROR, id="long failover"),
    ],
)
def test_redis_failover_that_lasts_too_long_is_an_error(
    state: str | None, seconds: float, level: CheckLevel
) -> None:
    assert health_checks.evaluate_redis_failover(state, seconds, "a test").level is level


def test_hints_are_shown_only_for_warnings_and_errors() -> None:
    recent = health_checks.evaluate_backlog(BACKLOG, 3, 1.0, max_age_seconds=5.0)
    old = health_checks.evaluate_backlog(BACKLOG, 3, 9.0, max_age_seconds=5.0)

    assert (recent.hint, old.hint) == ("", "start it")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("maxmemory-policy", "allkeys-lru"), ("appendonly", "no"), ("appendfsync", "everysec")],
)
def test_redis_with_an_eviction_policy_is_an_error(setting: str, value: str) -> None:
    result = health_checks.evaluate_redis_config(REQUIRED_CONFIG | {setting: value})

    assert [item.check for item in result if item.level is CheckLevel.ERROR] == [setting]


@pytest.mark.parametrize(
    ("windows", "level", "text"),
    [
        pytest.param([], CheckLevel.OK, "0", id="none"),
        pytest.param([("a:LIKE:b", NOW_MS + 45_000)], CheckLevel.OK, "due in 45 s", id="not yet due"),
        pytest.param([("a:LIKE:b", NOW_MS - 2_000)], CheckLevel.OK, "due in 0 s", id="due just now"),
        pytest.param([("a:LIKE:b", NOW_MS - 40_000)], CheckLevel.ERROR, "overdue by 40 s", id="overdue"),
        pytest.param([("closing:a:LIKE:b:1", NOW_MS + 25_000)], CheckLevel.OK, "1 closing", id="claimed"),
        pytest.param([("closing:a:LIKE:b:flush:1", 0)], CheckLevel.OK, "0", id="flushed early"),
    ],
)
def test_overdue_windows_are_an_error(windows: list[tuple[str, int]], level: CheckLevel, text: str) -> None:
    result = health_checks.evaluate_windows(windows, NOW_MS)

    assert (result.level, text in result.value) == (level, True)


@pytest.mark.parametrize(
    ("age_by_worker", "level"),
    [
        pytest.param({}, CheckLevel.ERROR, id="none"),
        pytest.param({"bridge:7": 1.0}, CheckLevel.OK, id="running"),
        pytest.param({"bridge:7": 40.0, "bridge:9": 0.5}, CheckLevel.OK, id="running next to an ended one"),
        pytest.param({"bridge:7": 40.0}, CheckLevel.ERROR, id="stopped"),
    ],
)
def test_worker_is_judged_by_its_newest_heartbeat(age_by_worker: dict[str, float], level: CheckLevel) -> None:
    bridge = health_checks.evaluate_heartbeats(age_by_worker)[0]

    assert (bridge.check, bridge.level) == ("bridge", level)


@pytest.mark.service
@pytest.mark.parametrize("dead_loop", WORKER_LOOPS)
def test_loop_without_heartbeat_is_reported_with_its_process(
    environment: dict[str, str],
    durable_redis: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    dead_loop: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for loop in WORKER_LOOPS:
        if loop != dead_loop:
            Heartbeats(durable_redis).record_heartbeat(loop)

    errors = [
        result for result in health.check_redis(load_tool_settings()) if result.level is CheckLevel.ERROR
    ]

    assert [error.check for error in errors] == [dead_loop]
    assert f"python -m workers {WORKER_LOOPS[dead_loop].process} " in errors[0].hint


@pytest.mark.parametrize("group", LOOP_BY_CONSUMER_GROUP)
def test_consumer_group_that_no_loop_reads_reports_the_process_to_start(group: str) -> None:
    result = health_checks.evaluate_consumer_group(group, *ABSENT_GROUP, lag=0)

    assert result.level is CheckLevel.ERROR
    assert f"python -m workers {LOOP_BY_CONSUMER_GROUP[group].process} " in result.hint


@pytest.mark.parametrize(
    ("state", "members", "level"),
    [
        pytest.param("Stable", 2, CheckLevel.OK, id="stable"),
        pytest.param("PreparingRebalance", 1, CheckLevel.WARNING, id="rebalancing"),
        pytest.param("Empty", 0, CheckLevel.ERROR, id="no members"),
        pytest.param("absent", 0, CheckLevel.ERROR, id="unknown group"),
    ],
)
def test_consumer_group_without_members_is_an_error(state: str, members: int, level: CheckLevel) -> None:
    assert (
        health_checks.evaluate_consumer_group("low-priority-consumer", state, members, lag=70).level is level
    )


@pytest.mark.parametrize(
    ("overdue", "deferred", "level"),
    [
        pytest.param(0.0, 0, CheckLevel.OK, id="being sent"),
        pytest.param(0.0, 2, CheckLevel.WARNING, id="deferred by the server"),
        pytest.param(61.0, 0, CheckLevel.ERROR, id="overdue"),
    ],
)
def test_overdue_mail_is_an_error(overdue: float, deferred: int, level: CheckLevel) -> None:
    result = health_checks.evaluate_mail_backlog(
        3, overdue, deferred, "450 4.1.2 at RCPT" if deferred else None
    )

    assert result.level is level
    assert ("450 4.1.2 at RCPT" in result.value) is bool(deferred)


def test_dead_letters_are_a_warning_only() -> None:
    result = health_checks.evaluate_dead_letters(3, "not JSON")

    assert (result.level, exit_code([result])) == (CheckLevel.WARNING, 0)


def test_check_that_hangs_does_not_hide_the_others() -> None:
    never = Event()
    checks = {
        "hanging": lambda: [CheckResult("hanging", str(never.wait()), "")],
        "healthy": lambda: [CheckResult("healthy", "responds", "yes")],
    }

    result = run_checks(checks, timeout_seconds=0.2)

    assert [(item.stage, item.level) for item in result] == [
        ("hanging", CheckLevel.ERROR),
        ("healthy", CheckLevel.OK),
    ]


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
