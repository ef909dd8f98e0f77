"""Worker control: freezes, resumes and kills the worker processes of this installation, in testing mode only.

Used by blueprints/testing/service_control.py. A process belongs to this installation if its environment has
the same addresses of PostgreSQL and Redis. `make run` starts a killed worker again (infra/run.py).
"""

import signal
import time
from collections.abc import Iterator, Mapping
from enum import StrEnum

import psutil

from app.domain.errors import define_rejection
from app.domain.worker_loops import WORKER_PROCESSES

_IDENTIFYING_VARIABLES = ("DATABASE_URL", "REDIS_URL")
SEARCH_INTERVAL_SECONDS = 5.0
"""Reading the command lines of all processes blocks this one for some milliseconds."""
NOT_RUNNING = define_rejection("No process of this worker runs here", "not_running", 404)


class WorkerCommand(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    KILL = "kill"


class WorkerState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


_SIGNALS = {
    WorkerCommand.PAUSE: signal.SIGSTOP,
    WorkerCommand.RESUME: signal.SIGCONT,
    WorkerCommand.KILL: signal.SIGKILL,
}


class WorkerControl:
    def __init__(self, urls_by_variable: Mapping[str, str]) -> None:
        self._urls_by_variable = {name: urls_by_variable[name] for name in _IDENTIFYING_VARIABLES}
        self._found: list[tuple[str, psutil.Process]] = []
        self._next_search_at = 0.0

    def read_states(self) -> dict[str, WorkerState]:
        """By worker. Empty if no worker runs on this machine; paused: all processes of the worker are."""
        statuses: dict[str, list[str]] = {}
        for name, process in self._find_processes():
            try:
                statuses.setdefault(name, []).append(process.status())
            except psutil.NoSuchProcess:
                continue
        if not statuses:
            return {}
        return {name: _state(statuses.get(name, [])) for name in WORKER_PROCESSES}

    def signal_worker(self, worker: str, command: WorkerCommand) -> None:
        """For all processes of the worker. Raises Rejected (404)."""
        processes = [process for name, process in self._find_processes() if name == worker]
        if not processes:
            raise NOT_RUNNING
        for process in processes:
            try:
                process.send_signal(_SIGNALS[command])
            except psutil.NoSuchProcess:
                continue

    def _find_processes(self) -> list[tuple[str, psutil.Process]]:
        """Those found last, until one of them has ended or some seconds have passed."""
        is_outdated = time.monotonic() >= self._next_search_at
        if is_outdated or not all(process.is_running() for _, process in self._found):
            self._found = list(self._iter_processes())
            self._next_search_at = time.monotonic() + SEARCH_INTERVAL_SECONDS
        return self._found

    def _iter_processes(self) -> Iterator[tuple[str, psutil.Process]]:
        for process in psutil.process_iter():
            try:
                *_, option, module, name = ["", "", "", *process.cmdline()]
                if (option, module) != ("-m", "workers") or name not in WORKER_PROCESSES:
                    continue
                environment = process.environ()
                if all(environment.get(key) == url for key, url in self._urls_by_variable.items()):
                    yield name, process
            except (psutil.Error, OSError):
                continue  # of another user, or ended


def _state(statuses: list[str]) -> WorkerState:
    if not statuses:
        return WorkerState.STOPPED
    is_paused = all(status == psutil.STATUS_STOPPED for status in statuses)
    return WorkerState.PAUSED if is_paused else WorkerState.RUNNING
