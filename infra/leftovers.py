"""Leftovers: what a run that was killed with SIGKILL could not end itself.

In    the mark that every process of a run carries in its environment
Out   those of the same DATA_DIR ended, and which services that run had started
"""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from infra import processes
from infra.layout import Layout
from infra.trouble import Trouble

MARK = "NOTIFICATIONS_RUN"
GRACE_SECONDS = 6.0  # above what gunicorn and the workers take to finish


def of_run(layout: Layout) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(layout.data_dir) and process.pid != os.getpid():
                found.append(process)
        except (psutil.Error, OSError):
            continue  # another user's, or gone
    return found


def end(layout: Layout, grace_seconds: float = GRACE_SECONDS) -> int:
    """End them, politely first; returns how many there were."""
    found = of_run(layout)
    processes.send(found, signal.SIGTERM)
    processes.send(found, signal.SIGCONT)
    if not processes.until(lambda: not of_run(layout), grace_seconds if found else 0):
        processes.until(lambda: _killed(layout), 5)
    return len(found)


@contextmanager
def only_run(layout: Layout) -> Iterator[None]:
    """One run per DATA_DIR. The lock dies with its holder, even by SIGKILL."""
    with (layout.data_dir / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            lock.seek(0)
            raise Trouble(
                f"`make run` is running in {layout.data_dir} already (pid {lock.read().strip()}); "
                "stop it there with Ctrl-C, or set DATA_DIR and PORT for a second one."
            ) from fault
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def claimed(layout: Layout) -> tuple[str, ...]:
    """Services that a killed run had started: the next run stops them as if they were its own."""
    try:
        return tuple((layout.data_dir / "run.services").read_text().split())
    except FileNotFoundError:
        return ()


def claim(layout: Layout, names: tuple[str, ...]) -> None:
    path = layout.data_dir / "run.services"
    if names:
        path.write_text(" ".join(names) + "\n")
    else:
        path.unlink(missing_ok=True)


def _killed(layout: Layout) -> bool:
    left = of_run(layout)
    processes.send(left, signal.SIGKILL)
    return not left
