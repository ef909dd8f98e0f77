"""What diagnose makes of a reading, and that it answers on any subset of the services."""

import os
import signal
import socket
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

from app import checkup, findings
from app.diagnose import ask, exit_code
from app.domain.loops import LOOPS, READERS
from app.domain.routing import Topic
from app.findings import Finding, Level
from app.offsets import ABSENT, offsets
from app.settings import outlook
from app.stores.heartbeats import Heartbeats
from app.streams.topics import create_topics
from tests.conftest import ROOT
from tests.contract.waiting import until

NOW_MS = 1_800_000_000_000
GOOD = {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "always"}
HEAP = Finding("outbox", "unpublished", "", advice="start it")


@pytest.mark.parametrize(
    ("count", "oldest", "level"),
    [
        pytest.param(0, None, Level.OK, id="empty"),
        pytest.param(9_000, 1.0, Level.OK, id="many but young: it moves"),
        pytest.param(1, 5.1, Level.WRONG, id="one that nobody fetches"),
    ],
)
def test_a_heap_is_judged_by_its_oldest_not_by_its_size(
    count: int, oldest: float | None, level: Level
) -> None:
    assert findings.waiting(HEAP, count, oldest, patience=5.0).level is level


@pytest.mark.parametrize(
    ("state", "seconds", "level"),
    [
        pytest.param(None, 0, Level.OK, id="before the first start"),
        pytest.param("open", 9_000, Level.OK, id="open"),
        pytest.param("closed", 2, Level.NOTE, id="closed a moment ago"),
        pytest.param("holding", 61, Level.WRONG, id="closed for too long"),
    ],
)
def test_a_gate_that_stays_closed_is_wrong(state: str | None, seconds: float, level: Level) -> None:
    assert findings.gate(state, seconds, "a test").level is level


def test_advice_is_given_only_where_something_is_wrong() -> None:
    young = findings.waiting(HEAP, 3, 1.0, patience=5.0)
    old = findings.waiting(HEAP, 3, 9.0, patience=5.0)

    assert (young.advice, old.advice) == ("", "start it")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("maxmemory-policy", "allkeys-lru"), ("appendonly", "no"), ("appendfsync", "everysec")],
)
def test_a_redis_that_may_forget_is_wrong(setting: str, value: str) -> None:
    found = findings.redis_keeps(GOOD | {setting: value})

    assert [one.what for one in found if one.level is Level.WRONG] == [setting]


@pytest.mark.parametrize(
    ("due", "level", "words"),
    [
        pytest.param([], Level.OK, "0", id="none"),
        pytest.param([("a:LIKE:b", NOW_MS + 45_000)], Level.OK, "due in 45 s", id="not yet due"),
        pytest.param([("a:LIKE:b", NOW_MS - 2_000)], Level.OK, "due in 0 s", id="due just now"),
        pytest.param(
            [("a:LIKE:b", NOW_MS - 40_000)], Level.WRONG, "overdue by 40 s", id="nobody closes it"
        ),
        pytest.param(
            [("closing:a:LIKE:b:1", NOW_MS + 25_000)], Level.OK, "1 closing", id="claimed"
        ),
        pytest.param([("closing:a:LIKE:b:early:1", 0)], Level.OK, "0", id="written early"),
    ],
)
def test_windows_are_wrong_when_nobody_closes_them(
    due: list[tuple[str, int]], level: Level, words: str
) -> None:
    found = findings.windows(due, NOW_MS)

    assert (found.level, words in found.reading) == (level, True)


@pytest.mark.parametrize(
    ("ages", "level"),
    [
        pytest.param({}, Level.WRONG, id="none"),
        pytest.param({"bridge:7": 1.0}, Level.OK, id="one that turns"),
        pytest.param({"bridge:7": 40.0, "bridge:9": 0.5}, Level.OK, id="an ended one beside it"),
        pytest.param({"bridge:7": 40.0}, Level.WRONG, id="one that stands still"),
    ],
)
def test_a_worker_is_judged_by_its_youngest_heartbeat(ages: dict[str, float], level: Level) -> None:
    bridge = findings.heartbeats(ages)[0]

    assert (bridge.what, bridge.level) == ("bridge", level)


@pytest.mark.service
@pytest.mark.parametrize("dead", LOOPS)
def test_a_loop_without_a_heartbeat_is_named_with_the_process_that_runs_it(
    environment: dict[str, str],
    real_redis: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    dead: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for loop in LOOPS:
        if loop != dead:
            Heartbeats(real_redis).beat(loop)

    wrong = [one for one in checkup.of_redis(outlook()) if one.level is Level.WRONG]

    assert [one.what for one in wrong] == [dead]
    assert f"python -m workers {LOOPS[dead].process} " in wrong[0].advice


@pytest.mark.parametrize("group", READERS)
def test_a_group_that_nobody_reads_by_names_the_process_to_start(group: str) -> None:
    found = findings.group(group, *ABSENT, lag=0)

    assert found.level is Level.WRONG
    assert f"python -m workers {READERS[group].process} " in found.advice


@pytest.mark.parametrize(
    ("state", "members", "level"),
    [
        pytest.param("Stable", 2, Level.OK, id="stable"),
        pytest.param("PreparingRebalance", 1, Level.NOTE, id="rebalancing"),
        pytest.param("Empty", 0, Level.WRONG, id="nobody reads"),
        pytest.param("absent", 0, Level.WRONG, id="never read"),
    ],
)
def test_a_group_without_members_is_wrong(state: str, members: int, level: Level) -> None:
    assert findings.group("low-priority-consumer", state, members, lag=70).level is level


@pytest.mark.parametrize(
    ("overdue", "deferred", "level"),
    [
        pytest.param(0.0, 0, Level.OK, id="on its way"),
        pytest.param(0.0, 2, Level.NOTE, id="deferred by the server"),
        pytest.param(61.0, 0, Level.WRONG, id="nobody sends it"),
    ],
)
def test_mail_is_wrong_when_it_is_overdue(overdue: float, deferred: int, level: Level) -> None:
    found = findings.mail(3, overdue, deferred, "450 4.1.2 at RCPT" if deferred else None)

    assert found.level is level
    assert ("450 4.1.2 at RCPT" in found.reading) is bool(deferred)


def test_dead_letters_are_told_but_are_no_fault_of_the_pipeline() -> None:
    found = findings.dead_letters(3, "not JSON")

    assert (found.level, exit_code([found])) == (Level.NOTE, 0)


def test_a_stage_that_hangs_hides_no_other() -> None:
    never = Event()
    questions = {
        "frozen": lambda: [Finding("frozen", str(never.wait()), "")],
        "well": lambda: [Finding("well", "answers", "yes")],
    }

    found = ask(questions, patience=0.2)

    assert [(one.stage, one.level) for one in found] == [
        ("frozen", Level.WRONG),
        ("well", Level.OK),
    ]


def test_with_nothing_there_it_says_so_within_bounds() -> None:
    free = _free_port()
    addresses = {
        "DATABASE_URL": f"postgresql://nobody:x@127.0.0.1:{free}/none",
        "REDIS_URL": f"redis://127.0.0.1:{free}/0",
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free}",
        "DYNAMODB_ENDPOINT_URL": f"http://127.0.0.1:{free}",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "PORT": str(free),
    }

    began = time.monotonic()
    done = _diagnose(addresses)

    assert time.monotonic() - began < 25
    assert done.returncode == 1
    for service in ("web", "redis", "postgres", "kafka", "dynamodb"):
        assert f"WRONG {service}, answers" in done.stdout


@pytest.mark.service
def test_without_workers_each_missing_one_is_named(
    environment: dict[str, str], real_redis: redis.Redis
) -> None:
    done = _diagnose(environment | {"PORT": str(_free_port())})

    assert done.returncode == 1
    for loop in LOOPS:
        assert f"WRONG workers, {loop}: no heartbeat" in done.stdout
    assert "WRONG redis" not in done.stdout
    assert "WRONG postgres" not in done.stdout


@pytest.mark.service
@pytest.mark.slow
def test_a_whole_pipeline_is_well(environment: dict[str, str], real_redis: redis.Redis) -> None:
    with _workers(environment), _web() as port:
        deadline, done = time.monotonic() + 40, None
        while done is None or (done.returncode and time.monotonic() < deadline):
            done = _diagnose(environment | {"PORT": str(port)})

    assert done.stdout.rstrip().endswith("Everything is well.")
    assert done.returncode == 0


@pytest.mark.service
def test_offsets_list_every_group_that_a_loop_reads_by(environment: dict[str, str]) -> None:
    servers = (environment["KAFKA_BOOTSTRAP_SERVERS"],)
    create_topics(servers, {topic.value: 3 for topic in Topic}, 1, 7 * 24 * 3_600_000)

    expected = {loop.group for loop in LOOPS.values() if loop.group}
    # A broker may take a moment to tell of topics that it has just made.
    assert until(lambda: {one.group for one in offsets(servers)} == expected)


@pytest.mark.service
def test_offsets_tell_how_far_a_group_is(environment: dict[str, str]) -> None:
    servers = (environment["KAFKA_BOOTSTRAP_SERVERS"],)
    group, place = "critical-consumer", TopicPartition(Topic.CRITICAL.value, 1)
    create_topics(servers, {Topic.CRITICAL.value: 3}, 1, 7 * 24 * 3_600_000)
    producer = KafkaProducer(bootstrap_servers=list(servers))
    sent = [producer.send(place.topic, b"{}", partition=place.partition) for _ in range(5)]
    end = max(future.get(timeout=5).offset for future in sent) + 1
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=list(servers), group_id=group)
    consumer.assign([place])
    consumer.commit({place: OffsetAndMetadata(end - 2, "", -1)})

    found = [one for one in offsets(servers) if (one.group, one.partition) == (group, 1)]
    consumer.commit({place: OffsetAndMetadata(end, "", -1)})  # others find nothing of ours
    consumer.close()

    assert [(one.committed, one.end, one.lag) for one in found] == [(end - 2, end, 2)]


def _diagnose(addresses: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.diagnose"],
        cwd=ROOT,
        env=os.environ | addresses | {"COLUMNS": "200", "HOST": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def _workers(environment: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "workers", "all"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environment, stderr=subprocess.DEVNULL
    )
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
        """Nothing: a test needs no access log."""


@contextmanager
def _web() -> Iterator[int]:
    """Stands for the web process: diagnose asks it one question."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Ready) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
