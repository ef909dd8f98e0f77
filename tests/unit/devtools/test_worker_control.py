"""Workers are found by their command line and addresses, and frozen, resumed and killed by signal."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from app.devtools.worker_control import NOT_RUNNING, WorkerCommand, WorkerControl, WorkerState
from harness.waiting import wait_until

ADDRESSES = {"DATABASE_URL": "postgresql://worker-control-test/x", "REDIS_URL": "redis://worker-control-test"}
SECONDS = 10.0
StartWorker = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start_worker() -> Iterator[StartWorker]:
    """A process that only looks like a worker."""
    started = []

    def start(name: str, **changed_addresses: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", "import time; time.sleep(60)", "-m", "workers", name]
        started.append(subprocess.Popen(command, env=os.environ | ADDRESSES | changed_addresses))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def control() -> WorkerControl:
    return WorkerControl(ADDRESSES)


def _wait_for(control: WorkerControl, name: str, state: WorkerState) -> None:
    wait_until(lambda: control.read_states().get(name) == state, f"{name} {state}", SECONDS)


def test_worker_is_frozen_resumed_and_killed(start_worker: StartWorker, control: WorkerControl) -> None:
    bridge, flusher = start_worker("bridge"), start_worker("flusher")
    wait_until(lambda: "python" in psutil.Process(bridge.pid).name(), "exec", SECONDS)
    _wait_for(control, "bridge", WorkerState.RUNNING)

    control.signal_worker("bridge", WorkerCommand.PAUSE)
    _wait_for(control, "bridge", WorkerState.PAUSED)
    assert control.read_states()["flusher"] == WorkerState.RUNNING
    control.signal_worker("bridge", WorkerCommand.RESUME)
    _wait_for(control, "bridge", WorkerState.RUNNING)
    control.signal_worker("bridge", WorkerCommand.KILL)

    assert bridge.wait(SECONDS) == -signal.SIGKILL
    _wait_for(control, "bridge", WorkerState.STOPPED)
    assert flusher.poll() is None


def test_worker_of_another_installation_is_left_alone(
    start_worker: StartWorker, control: WorkerControl
) -> None:
    other = start_worker("bridge", REDIS_URL="redis://other")

    assert control.read_states() == {}
    with pytest.raises(NOT_RUNNING):
        control.signal_worker("bridge", WorkerCommand.KILL)
    assert other.poll() is None
