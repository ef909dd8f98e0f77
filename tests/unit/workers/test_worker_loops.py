"""The table of worker loops against the Procfile, the containers and the processes that start."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from app.domain.routing import Topic
from app.domain.worker_loops import (
    PIPELINE_STAGES,
    WORKER_LOOPS,
    WORKER_PROCESSES,
    process_of_loop_or_stage,
)
from app.failpoints import FAILPOINT_NAMES
from tests.conftest import ROOT
from workers.builders import BUILDERS, CONSUMER_BUILDERS

UNREACHABLE_SERVICES = {
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
LIST_LOOPS_SCRIPT = """
import json
from workers import __main__
from workers.builders import build_worker
from app.bootstrap import build_worker_services
from app.domain.worker_loops import WORKER_LOOPS
from app.settings import load_settings

services = build_worker_services(load_settings(), "test")
print(json.dumps([build_worker(loop, services).name for loop in WORKER_LOOPS.values()]))
"""


def test_each_loop_of_the_table_can_be_built_without_services(tmp_path: Path) -> None:
    """In a separate process, because the entry point patches blocking calls."""
    finished = subprocess.run(
        [sys.executable, "-c", LIST_LOOPS_SCRIPT],
        cwd=ROOT,
        env=os.environ | UNREACHABLE_SERVICES | {"DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == list(WORKER_LOOPS)


def test_no_builder_is_for_a_loop_that_is_not_in_the_table() -> None:
    assert {*BUILDERS, *CONSUMER_BUILDERS} == set(WORKER_LOOPS)


def test_procfile_starts_the_web_and_every_worker_process() -> None:
    lines = re.findall(r"^(\w+): (.+)$", (ROOT / "Procfile").read_text(), re.MULTILINE)

    assert [name for name, _ in lines] == ["web", *WORKER_PROCESSES]
    assert all(command == f"python -m workers {name}" for name, command in lines[1:])


def test_consumer_group_belongs_to_one_loop() -> None:
    groups = [loop.consumer_group for loop in WORKER_LOOPS.values() if loop.consumer_group]

    assert len(set(groups)) == len(groups)


def test_each_topic_but_the_dead_letters_has_a_consumer() -> None:
    topics_read = {loop.topic for loop in WORKER_LOOPS.values()} - {None}

    assert topics_read == set(Topic) - {Topic.DEAD_LETTER}


def test_fail_points_belong_to_started_processes() -> None:
    assert {process_of_loop_or_stage(point.partition(".")[0]) for point in FAILPOINT_NAMES} == {
        "web",
        *WORKER_PROCESSES,
    }


def test_dashboard_shows_every_stage() -> None:
    diagram_source = (ROOT / "jinja/static/admin/pipelineDiagram.js").read_text()
    shown_stages = re.findall(r"^  \"?([\w-]+)\"?: \{ title:", diagram_source, re.MULTILINE)

    assert set(shown_stages) == {"web", "fallback", *PIPELINE_STAGES}
