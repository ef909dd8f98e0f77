"""Fail points end, freeze or fail the process that reaches them, except in production."""

import os
import signal
import subprocess
import sys

import pytest

from app.failpoints import FAILPOINT_NAMES, process_for_failpoint
from tests.conftest import ROOT

THREE_PASSES = """
from app.failpoints import hit_failpoint
for n in range(3):
    print(n, flush=True)
    hit_failpoint("bridge.read")
"""


def start_process(failpoint: str, mode: str = "testing") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", THREE_PASSES],
        cwd=ROOT,
        env=os.environ | {"FAILPOINT": failpoint, "APP_MODE": mode},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("failpoint", "pass_count", "exit_code"),
    [
        pytest.param("bridge.read", 1, -signal.SIGKILL, id="the first pass"),
        pytest.param("bridge.read:3", 3, -signal.SIGKILL, id="the third"),
        pytest.param("bridge.read:2:raise", 2, 1, id="an error"),
        pytest.param("bridge.published", 3, 0, id="another fail point"),
        pytest.param("", 3, 0, id="none"),
    ],
)
def test_only_the_configured_fail_point_acts(failpoint: str, pass_count: int, exit_code: int) -> None:
    process = start_process(failpoint)

    stdout, _ = process.communicate(timeout=30)

    assert (len(stdout.split()), process.returncode) == (pass_count, exit_code)


def test_frozen_process_continues_at_the_fail_point() -> None:
    process = start_process("bridge.read:2:freeze")
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)

    process.send_signal(signal.SIGCONT)
    stdout, _ = process.communicate(timeout=30)

    assert (len(stdout.split()), process.returncode) == (3, 0)


def test_fail_points_are_disabled_in_production() -> None:
    process = start_process("bridge.read", mode="production")

    stdout, _ = process.communicate(timeout=30)

    assert (len(stdout.split()), process.returncode) == (3, 0)


def test_each_fail_point_belongs_to_a_process() -> None:
    assert {process_for_failpoint(name) for name in FAILPOINT_NAMES} == {
        "web",
        "bridge",
        "aggregator",
        "flusher",
        "deliverer",
    }
