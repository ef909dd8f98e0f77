"""The worker loop: waits for unavailable services, retries failed steps, and stops on a signal."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import gevent
import pytest

from app.domain.errors import Unavailable
from workers import watchdog
from workers.runner import MAX_BATCH_BURST, Worker

RUN_WORKER_SCRIPT = """
from app.clients.gevent_setup import patch_all; patch_all()
import sys, gevent
from workers.runner import Worker, run_workers
def step():
    print("started", flush=True)  # the signal handlers are installed now
    {step}
    return 0
worker = Worker("worker-1", step, lambda: 120.0, lambda name: None, close=lambda: print("closed"))
sys.exit(run_workers([worker], grace_seconds={grace}))
"""


def start_script(script: str) -> subprocess.Popen[str]:
    """Returns when the script has printed "started"."""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def start_worker(step: str, grace: float = 3.0) -> subprocess.Popen[str]:
    return start_script(RUN_WORKER_SCRIPT.format(step=step, grace=grace))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_signal_during_an_idle_wait_stops_at_once_and_closes(signum: int) -> None:
    process = start_worker("pass")
    started_at = time.monotonic()

    process.send_signal(signum)
    out, err = process.communicate(timeout=10)

    assert (process.returncode, out) == (0, "closed\n"), err
    assert time.monotonic() - started_at < 1.0


def test_step_that_never_ends_is_cut_off_after_the_grace_period() -> None:
    process = start_worker("gevent.sleep(60)", grace=0.3)
    started_at = time.monotonic()

    process.terminate()
    _, err = process.communicate(timeout=10)

    assert process.returncode == 1, err
    assert time.monotonic() - started_at < 3.0


def run_until(worker: Worker, condition: Callable[[], bool]) -> None:
    """Runs the worker until the condition is true, at most five seconds."""
    greenlet = gevent.spawn(worker.run)
    with gevent.Timeout(5):
        while not condition():
            gevent.sleep(0.01)
    worker.stop_event.set()
    greenlet.join(timeout=5)
    assert greenlet.successful()


def scripted_step(*results: int | Exception) -> tuple[list[float], Callable[[], int]]:
    """The times of the calls, and a step with these results, then 0."""
    called_at: list[float] = []
    remaining_results = iter(results)

    def step() -> int:
        called_at.append(time.monotonic())
        result = next(remaining_results, 0)
        if isinstance(result, Exception):
            raise result
        return result

    return called_at, step


def no_heartbeat(_: str) -> None:
    return None


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Unavailable("unavailable"), id="unavailable service"),
        pytest.param(KeyError("a bug"), id="unexpected error"),
    ],
)
def test_failed_step_waits_and_is_retried(error: Exception) -> None:
    called_at, step = scripted_step(error, error, 0)

    run_until(Worker("worker-1", step, lambda: 0.01, no_heartbeat), lambda: len(called_at) >= 3)

    assert called_at[1] - called_at[0] >= 0.1
    assert called_at[2] - called_at[1] > 0.1


def test_step_that_moved_items_is_repeated_without_delay() -> None:
    called_at, step = scripted_step(*[1] * 50)

    run_until(Worker("worker-1", step, lambda: 60.0, no_heartbeat), lambda: len(called_at) > 50)

    assert called_at[50] - called_at[0] < 1.0


def test_batches_follow_at_once_and_after_a_burst_at_intervals() -> None:
    called_at, step = scripted_step(*[1] * (MAX_BATCH_BURST + 6))
    worker = Worker("worker-1", step, lambda: 60.0, no_heartbeat, batch_interval_seconds=0.05)

    run_until(worker, lambda: len(called_at) > MAX_BATCH_BURST + 5)

    assert called_at[MAX_BATCH_BURST] - called_at[0] < MAX_BATCH_BURST * 0.05 / 2
    assert called_at[MAX_BATCH_BURST + 5] - called_at[MAX_BATCH_BURST] > 4 * 0.05


def test_worker_does_nothing_before_its_dependencies_are_ready() -> None:
    called_at, step = scripted_step()
    ready_checks: list[int] = []

    def prepare() -> None:
        ready_checks.append(len(called_at))
        if len(ready_checks) < 3:
            raise Unavailable("no tables yet")

    run_until(Worker("worker-1", step, lambda: 0.01, no_heartbeat, prepare), lambda: len(called_at) > 2)

    assert ready_checks == [0, 0, 0]


def test_each_step_sends_a_heartbeat() -> None:
    heartbeats: list[str] = []
    _, step = scripted_step(Unavailable("unavailable"))

    run_until(Worker("worker-1", step, lambda: 0.01, heartbeats.append), lambda: len(heartbeats) > 2)

    assert set(heartbeats) == {"worker-1"}


def test_hanging_step_is_restarted_with_new_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.runner.STEP_TIMEOUT_SECONDS", 0.05)
    calls: list[str] = []

    def step() -> int:
        calls.append("step")
        if calls.count("step") == 1:
            gevent.sleep(60)
        worker.stop_event.set()
        return 0

    worker = Worker("worker-1", step, lambda: 0.0, lambda _: None, close=lambda: calls.append("close"))
    worker.run()

    assert calls == ["step", "close", "step"]


WATCHDOG_SCRIPT = """
from app.clients.gevent_setup import patch_all; patch_all()
import gevent
from workers import watchdog
watchdog.TICK_SECONDS = 0.1
watchdog.EventLoopWatchdog(hang_timeout_seconds=5).start()  # five ticks
print("started", flush=True)
gevent.sleep(1.6)
print("idle", flush=True)
while True: pass
"""


def test_process_exits_when_its_event_loop_is_blocked_but_not_when_it_was_stopped_or_idle() -> None:
    process = start_script(WATCHDOG_SCRIPT)

    process.send_signal(signal.SIGSTOP)
    time.sleep(1)
    process.send_signal(signal.SIGCONT)

    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (watchdog.EXIT_CODE, "idle\n"), err
    assert "was blocked" in err
