"""A managed process: start, log, freeze, stop, kill, and the supervisor that restarts it."""

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from harness.environment import build_environment, read_procfile
from harness.processes import ManagedProcess, create_web_process, create_worker
from harness.supervisor import Supervisor
from harness.waiting import WaitTimeoutError, wait_until

TIMEOUT_SECONDS = 10.0
CHILD_COMMAND = [sys.executable, "-c", "import time; time.sleep(600)"]
PROGRAM = f"""
import os, subprocess, time
child = subprocess.Popen({CHILD_COMMAND!r})
print("value", os.environ.get("VALUE"), "child", child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ManagedProcess]:
    environment = build_environment({}, {})
    process = ManagedProcess(
        "sleeper", [sys.executable, "-c", PROGRAM], environment, tmp_path / "sleeper.log"
    )
    yield process
    process.is_supervised = False
    if process.is_running:
        process.kill()
    for child_pid in re.findall(r"child (\d+)", process.read_log()):  # SIGTERM reaches the parent only
        with suppress(psutil.NoSuchProcess):
            child = psutil.Process(int(child_pid))
            if child.cmdline() == CHILD_COMMAND:
                child.kill()


def start_and_wait(process: ManagedProcess, **extra_env: str) -> None:
    process.start(**extra_env)
    process.wait_for(lambda: "child" in process.read_log(), "output", TIMEOUT_SECONDS)


def test_second_start_has_another_environment_and_the_same_log(process: ManagedProcess) -> None:
    start_and_wait(process, VALUE="first")
    process.kill()
    process.start()
    process.wait_for(lambda: "value None" in process.read_log(), "second output", TIMEOUT_SECONDS)

    assert "value first" in process.log_tail()
    assert process.start_count == 2


def test_kill_reaches_the_children(process: ManagedProcess) -> None:
    start_and_wait(process)
    child_pid = int(process.read_log().split()[-1])

    process.kill()

    assert process.exit_code == -signal.SIGKILL
    wait_until(
        lambda: (
            not psutil.pid_exists(child_pid) or psutil.Process(child_pid).status() == psutil.STATUS_ZOMBIE
        ),
        "end of the child",
        TIMEOUT_SECONDS,
    )


def test_frozen_process_is_resumed_and_stopped(process: ManagedProcess) -> None:
    start_and_wait(process)
    process.freeze()
    wait_until(
        lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, "freeze", TIMEOUT_SECONDS
    )

    process.stop(TIMEOUT_SECONDS)

    assert process.exit_code == -signal.SIGTERM


def test_graceful_stop_fails_if_the_process_does_not_exit_with_zero(process: ManagedProcess) -> None:
    start_and_wait(process)

    with pytest.raises(RuntimeError, match="exit code -15 instead of 0"):
        process.stop_gracefully(TIMEOUT_SECONDS)


def test_wait_for_sigkill_fails_if_the_process_ends_in_another_way(process: ManagedProcess) -> None:
    start_and_wait(process)
    process.terminate()

    with pytest.raises(RuntimeError, match="another way"):
        process.wait_for_sigkill(TIMEOUT_SECONDS)


def test_wait_fails_at_once_with_the_log_if_the_process_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no configuration')"]
    process = ManagedProcess("broken", command, {}, tmp_path / "broken.log")
    process.start()

    with pytest.raises(RuntimeError, match="no configuration"):
        process.wait_for(lambda: False, "never", TIMEOUT_SECONDS)


def test_wait_ends_after_its_timeout() -> None:
    with pytest.raises(WaitTimeoutError, match="never"):
        wait_until(lambda: False, "never", 0.05)


def test_supervisor_restarts_a_killed_process(process: ManagedProcess) -> None:
    start_and_wait(process)
    supervisor = Supervisor(lambda: [process], restart_delay_seconds=0.01)
    try:
        process.kill()
        wait_until(lambda: process.is_running, "restart", TIMEOUT_SECONDS)
    finally:
        supervisor.close()

    assert process.unexpected_exits == 1


def test_commands_are_those_of_the_procfile(tmp_path: Path) -> None:
    web = create_web_process("bench.baselines:app", {}, tmp_path, "bench.baselines:app")
    worker = create_worker("bridge", {}, tmp_path, "bridge-2")

    assert " ".join(web.command) == read_procfile()["web"].replace("app.wsgi:app", "bench.baselines:app")
    assert web.environment["PORT"] == str(web.port)
    assert (web.log_path.name, worker.log_path.name) == ("bench.baselines.app.log", "bridge-2.log")
    assert " ".join(worker.command) == read_procfile()["bridge"]


def test_environment_has_no_fail_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILPOINT", "bridge.enqueued")

    environment = build_environment({"REDIS_URL": "redis://x"}, {"LOG_FORMAT": "json"})

    assert "FAILPOINT" not in environment
    assert (environment["REDIS_URL"], environment["LOG_FORMAT"]) == ("redis://x", "json")
