"""The table of loops against what really starts: the Procfile, the containers, the processes."""

import json
import os
import re
import subprocess
import sys

import pytest

from app.domain.loops import LOOPS, PROCESSES, STAGES, of_process, process_of
from app.domain.routing import LANES, Topic
from app.failpoints import NAMES as FAIL_POINTS
from tests.conftest import ROOT

NOWHERE = {
    "APP_MODE": "testing",
    "DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "JWT_SECRET_KEY": "a test's secret that is long enough for HS256",
    "SECRET_KEY": "another test's secret that is long enough too",
}
STARTED = """
import json
from workers import __main__ as workers
from app.settings import load
from app.wiring import build_workers

def loops(process):
    return [one.name for one in workers.of(process, build_workers(load(), process))]

print(json.dumps({process: loops(process) for process in workers.KINDS}))
workers.KINDS["bridge"] = workers.KINDS["flusher"]
loops("bridge")
"""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    """In a process of its own: the entry point replaces the blocking parts of Python."""
    folder = tmp_path_factory.mktemp("data")
    return subprocess.run(
        [sys.executable, "-c", STARTED],
        cwd=ROOT,
        env=os.environ | NOWHERE | {"DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_each_process_starts_the_loops_of_the_table(
    started: "subprocess.CompletedProcess[str]",
) -> None:
    told = {name: set(loops) for name, loops in json.loads(started.stdout).items()}

    assert told == {process: {loop.name for loop in of_process(process)} for process in PROCESSES}


def test_a_loop_that_the_table_does_not_know_stops_the_start(
    started: "subprocess.CompletedProcess[str]",
) -> None:
    assert started.returncode != 0
    assert "has other loops for bridge" in started.stderr


def test_the_procfile_starts_the_web_and_every_process() -> None:
    lines = re.findall(r"^(\w+): (.+)$", (ROOT / "Procfile").read_text(), re.MULTILINE)

    assert [name for name, _ in lines] == ["web", *PROCESSES]
    assert all(command == f"python -m workers {name}" for name, command in lines[1:])


def test_the_containers_are_the_same_processes() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()

    assert tuple(re.findall(r'"-m", "workers", "(\w+)"', compose)) == PROCESSES


def test_each_consumer_group_belongs_to_one_loop() -> None:
    groups = [loop.group for loop in LOOPS.values() if loop.group]

    assert len(set(groups)) == len(groups)


def test_every_lane_and_the_ready_topic_are_read() -> None:
    read = {loop.topic for loop in LOOPS.values()} - {None}

    assert read == {*LANES.values(), Topic.READY}


def test_every_fail_point_lies_in_a_process_that_is_started() -> None:
    assert {process_of(point.partition(".")[0]) for point in FAIL_POINTS} == {"web", *PROCESSES}


def test_the_dashboard_draws_every_stage() -> None:
    picture = (ROOT / "jinja/static/console/picture.js").read_text()
    drawn = re.findall(r"^  (\w+): \{ title:", picture, re.MULTILINE)

    assert set(drawn) == {"web", "fallback", *STAGES}
