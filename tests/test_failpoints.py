"""Fail points do what they say, in a process of their own, and nothing in production."""

import os
import signal
import subprocess
import sys

import pytest

from app.failpoints import NAMES, process_of
from tests.conftest import ROOT

PASSES = """
from app.failpoints import reach
for n in range(3):
    print(n, flush=True)
    reach("bridge.read")
"""


def run(failpoint: str, mode: str = "testing") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PASSES],
        cwd=ROOT,
        env=os.environ | {"FAILPOINT": failpoint, "APP_MODE": mode},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("failpoint", "passes", "code"),
    [
        pytest.param("bridge.read", 1, -signal.SIGKILL, id="the first pass"),
        pytest.param("bridge.read:3", 3, -signal.SIGKILL, id="the third"),
        pytest.param("bridge.read:2:raise", 2, 1, id="a fault"),
        pytest.param("bridge.published", 3, 0, id="another line"),
        pytest.param("", 3, 0, id="none"),
    ],
)
def test_the_chosen_pass(failpoint: str, passes: int, code: int) -> None:
    process = run(failpoint)

    said, _ = process.communicate(timeout=30)

    assert (len(said.split()), process.returncode) == (passes, code)


def test_a_frozen_one_goes_on_where_it_was() -> None:
    process = run("bridge.read:2:freeze")
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)

    process.send_signal(signal.SIGCONT)
    said, _ = process.communicate(timeout=30)

    assert (len(said.split()), process.returncode) == (3, 0)


def test_in_production_they_are_deaf() -> None:
    process = run("bridge.read", mode="production")

    said, _ = process.communicate(timeout=30)

    assert (len(said.split()), process.returncode) == (3, 0)


def test_each_line_belongs_to_a_process() -> None:
    assert {process_of(one) for one in NAMES} == {
        "web",
        "bridge",
        "aggregator",
        "flusher",
        "deliverer",
    }
