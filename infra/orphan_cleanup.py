"""Terminates what a `make run` that was killed with SIGKILL left running.

Every process of a run has a variable with its DATA_DIR in its environment.
"""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from infra import processes
from infra.errors import InfraError
from infra.paths import DataDirPaths

RUN_DATA_DIR_VARIABLE = "NOTIFICATIONS_RUN"
TERMINATE_TIMEOUT_SECONDS = 6.0  # longer than gunicorn and the workers take to stop


def find_run_processes(paths: DataDirPaths) -> list[psutil.Process]:
    matching = []
    for process in psutil.process_iter():
        try:
            if (
                process.environ().get(RUN_DATA_DIR_VARIABLE) == str(paths.data_dir)
                and process.pid != os.getpid()
            ):
                matching.append(process)
        except (psutil.Error, OSError):
            continue  # of another user, or ended
    return matching


def terminate_run_processes(paths: DataDirPaths, timeout_seconds: float = TERMINATE_TIMEOUT_SECONDS) -> int:
    """SIGTERM, then SIGKILL. Returns how many there were."""
    run_processes = find_run_processes(paths)
    processes.send_signal(run_processes, signal.SIGTERM)
    processes.send_signal(run_processes, signal.SIGCONT)
    if not processes.wait_until(
        lambda: not find_run_processes(paths), timeout_seconds if run_processes else 0
    ):
        processes.wait_until(lambda: _kill_remaining(paths), 5)
    return len(run_processes)


@contextmanager
def single_run_lock(paths: DataDirPaths) -> Iterator[None]:
    """Allows one run per DATA_DIR. The lock ends with its process, even after SIGKILL."""
    with (paths.data_dir / "run.lock").open("a+") as lock_file:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            lock_file.seek(0)
            raise InfraError(
                f"`make run` is running in {paths.data_dir} already (pid {lock_file.read().strip()}); "
                "stop it there with Ctrl-C, or set DATA_DIR and PORT for a second one."
            ) from exc
        lock_file.truncate(0)
        lock_file.write(f"{os.getpid()}\n")
        lock_file.flush()
        yield


def read_started_services(paths: DataDirPaths) -> tuple[str, ...]:
    """Services that the last run started; if it was killed, the next run stops them at its end."""
    try:
        return tuple((paths.data_dir / "run.services").read_text().split())
    except FileNotFoundError:
        return ()


def write_started_services(paths: DataDirPaths, service_names: tuple[str, ...]) -> None:
    path = paths.data_dir / "run.services"
    if service_names:
        path.write_text(" ".join(service_names) + "\n")
    else:
        path.unlink(missing_ok=True)


def _kill_remaining(paths: DataDirPaths) -> bool:
    remaining = find_run_processes(paths)
    processes.send_signal(remaining, signal.SIGKILL)
    return not remaining
