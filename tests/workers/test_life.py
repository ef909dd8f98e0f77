"""The life of a worker: it waits for what is away, and stops when it is asked."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import gevent
import pytest

from app.domain.errors import Unavailable
from workers.life import Worker

ALONE = """
from app.green import patch; patch()
import sys, gevent
from workers.life import Worker, supervise
def step():
    print("begun", flush=True)  # the signal handlers stand by now
    {step}
    return 0
worker = Worker("one", step, lambda: 120.0, lambda name: None, close=lambda: print("closed"))
sys.exit(supervise([worker], grace={grace}))
"""


def start(step: str, grace: float = 3.0) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", ALONE.format(step=step, grace=grace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_a_long_rest_stops_at_once_and_closes(signum: int) -> None:
    process = start("pass")
    began = time.monotonic()

    process.send_signal(signum)
    out, err = process.communicate(timeout=10)

    assert (process.returncode, out) == (0, "closed\n"), err
    assert time.monotonic() - began < 1.0


def test_a_step_that_never_ends_is_cut_off_after_the_grace() -> None:
    process = start("gevent.sleep(60)", grace=0.3)
    began = time.monotonic()

    process.terminate()
    _, err = process.communicate(timeout=10)

    assert process.returncode == 1, err
    assert time.monotonic() - began < 3.0


def until(worker: Worker, done: Callable[[], bool]) -> None:
    """Lives until then, or fails."""
    life = gevent.spawn(worker.run)
    with gevent.Timeout(5):
        while not done():
            gevent.sleep(0.01)
    worker.stopping.set()
    life.join(timeout=5)
    assert life.successful()


def scripted(*answers: int | Exception) -> tuple[list[float], Callable[[], int]]:
    """A step that gives these answers, then 0; and when it was asked."""
    asked: list[float] = []
    script = iter(answers)

    def step() -> int:
        asked.append(time.monotonic())
        answer = next(script, 0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return asked, step


def silent(_: str) -> None:
    return None


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Unavailable("away"), id="a service that is away"),
        pytest.param(KeyError("a bug"), id="an error that nobody knows"),
    ],
)
def test_a_fault_rests_and_tries_again(fault: Exception) -> None:
    asked, step = scripted(fault, fault, 0)

    until(Worker("one", step, lambda: 0.01, silent), lambda: len(asked) >= 3)

    assert asked[1] - asked[0] >= 0.1
    assert asked[2] - asked[1] > 0.1


def test_what_moved_something_is_asked_again_without_rest() -> None:
    asked, step = scripted(*[1] * 50)

    until(Worker("one", step, lambda: 60.0, silent), lambda: len(asked) > 50)

    assert asked[50] - asked[0] < 1.0


def test_nothing_is_done_before_what_it_needs_is_there() -> None:
    asked, step = scripted()
    tries: list[int] = []

    def prepare() -> None:
        tries.append(len(asked))
        if len(tries) < 3:
            raise Unavailable("no tables yet")

    until(Worker("one", step, lambda: 0.01, silent, prepare), lambda: len(asked) > 2)

    assert tries == [0, 0, 0]


def test_each_turn_is_reported() -> None:
    beats: list[str] = []
    _, step = scripted(Unavailable("away"))

    until(Worker("one", step, lambda: 0.01, beats.append), lambda: len(beats) > 2)

    assert set(beats) == {"one"}


def test_a_step_that_hangs_begins_again_with_new_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.life.STEP_SECONDS", 0.05)
    did: list[str] = []

    def step() -> int:
        did.append("step")
        if did.count("step") == 1:
            gevent.sleep(60)
        worker.stopping.set()
        return 0

    worker = Worker("one", step, lambda: 0.0, lambda _: None, close=lambda: did.append("close"))
    worker.run()

    assert did == ["step", "close", "step"]


STANDS_STILL = """
from app.green import patch; patch()
import gevent, sys
from workers.watchdog import Watchdog
Watchdog(still_seconds=2).start()
{rest}
"""


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        pytest.param("while True: pass", 70, id="an endless loop"),
        pytest.param("gevent.sleep(4); sys.exit(0)", 0, id="a loop that rests"),
    ],
)
def test_a_loop_that_stands_still_ends_the_process(rest: str, code: int) -> None:
    command = [sys.executable, "-c", STANDS_STILL.format(rest=rest)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == code, done.stderr
    assert ("stood still" in done.stderr) == (code == 70)


def test_a_process_that_was_frozen_from_outside_missed_nothing() -> None:
    rest = "print(1, flush=True); gevent.sleep(3); sys.exit(0)"
    process = subprocess.Popen(
        [sys.executable, "-c", STANDS_STILL.format(rest=rest)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()

    process.send_signal(signal.SIGSTOP)
    time.sleep(4)
    process.send_signal(signal.SIGCONT)

    assert process.wait(timeout=60) == 0
