"""A process of the product, started as the Procfile does, and signals to it.

Each process leads a session of its own. Signals go to that session and to nothing else.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.environment import read_procfile
from harness.network import free_port, is_responding
from harness.waiting import wait_until
from infra.paths import PROJECT_ROOT

START_TIMEOUT_SECONDS = 45.0
STOP_TIMEOUT_SECONDS = 10.0
KILL_TIMEOUT_SECONDS = 10.0
GRACEFUL_STOP_TIMEOUT_SECONDS = 5.0
"""A worker stops within 4 s."""
LOG_TAIL_LINES = 40


@dataclass
class ManagedProcess:
    """One process. `start` may be called again after it ended; all its starts share one log file."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log_path: Path
    port: int = 0
    start_count: int = 0
    unexpected_exits: int = 0
    """Counted by the supervisor (harness/supervisor.py)."""
    is_supervised: bool = True
    """The supervisor, if there is one, restarts it when it ends."""
    popen: "subprocess.Popen[bytes] | None" = None
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def start(self, **extra_env: str) -> None:
        """Does nothing if it runs. `extra_env` is for this start only."""
        with self.lock:
            if self.is_running:
                return
            self.start_count += 1
            with self.log_path.open("ab") as log_file:
                if self.start_count > 1:
                    log_file.write(f"--- start {self.start_count} {extra_env} ---\n".encode())
                self.popen = subprocess.Popen(
                    self.command,
                    cwd=PROJECT_ROOT,
                    env={**self.environment, "PYTHONFAULTHANDLER": "1", **extra_env},
                    stdin=subprocess.DEVNULL,
                    stdout=log_file,
                    stderr=log_file,
                    start_new_session=True,
                )

    @property
    def is_running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    @property
    def pid(self) -> int:
        return self._require_popen().pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._require_popen().poll()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(
        self, condition: Callable[[], bool], description: str, timeout_seconds: float = START_TIMEOUT_SECONDS
    ) -> None:
        """Raises WaitTimeoutError after the timeout, RuntimeError at once if the process ends."""

        def is_fulfilled() -> bool:
            if not self.is_running:
                raise RuntimeError(f"{self.name} ended:\n{self.log_tail()}")
            return condition()

        wait_until(is_fulfilled, f"{self.name}: {description} (see {self.log_path})", timeout_seconds)

    def wait_until_responding(self, timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        """Of a web process: until GET /health is answered."""
        self.wait_for(lambda: is_responding(self.port), "first response", timeout_seconds)

    def kill(self) -> None:
        """SIGKILL to its whole session."""
        self._send_group_signal(signal.SIGKILL)
        self.wait_for_exit(KILL_TIMEOUT_SECONDS)

    def freeze(self) -> None:
        self._send_group_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._send_group_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM to the process itself, as an init process would send it."""
        self._require_popen().send_signal(signal.SIGTERM)

    def stop(self, timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> float:
        """SIGTERM, then SIGKILL after the timeout. Returns the seconds that it took."""
        with self.lock:
            if not self.is_running:
                return 0.0
            started_at = time.monotonic()
            self.resume()
            self.terminate()
            try:
                self.wait_for_exit(timeout_seconds)
            except subprocess.TimeoutExpired:
                self.kill()
            return time.monotonic() - started_at

    def stop_gracefully(self, timeout_seconds: float = GRACEFUL_STOP_TIMEOUT_SECONDS) -> float:
        """SIGTERM, as `stop`, but raises RuntimeError unless it ends in time with exit code 0. Returns the
        seconds that it took."""
        started_at = time.monotonic()
        self.terminate()
        try:
            exit_code = self.wait_for_exit(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._require_popen().send_signal(signal.SIGABRT)  # faulthandler logs where it hangs
            self.wait_for_exit(KILL_TIMEOUT_SECONDS)
            raise RuntimeError(f"did not stop in {timeout_seconds} s: {self.log_tail()}") from None
        if exit_code != 0:
            raise RuntimeError(f"exit code {exit_code} instead of 0: {self.log_tail()}")
        return time.monotonic() - started_at

    def wait_for_exit(self, timeout_seconds: float) -> int:
        """Returns the exit code. Raises subprocess.TimeoutExpired."""
        return self._require_popen().wait(timeout_seconds)

    def wait_for_sigkill(self, timeout_seconds: float) -> None:
        """Waits until the process has killed itself at its fail point. Raises WaitTimeoutError, and
        RuntimeError if it ended in another way."""
        wait_until(lambda: not self.is_running, f"SIGKILL of {self.name}\n{self.log_tail()}", timeout_seconds)
        if self.exit_code != -signal.SIGKILL:
            raise RuntimeError(f"{self.name} ended in another way: {self.log_tail()}")

    def cpu_seconds(self) -> float:
        """CPU time of the process and its children so far."""
        times = [process.cpu_times() for process in self._iter_processes()]
        return float(sum(cpu_times.user + cpu_times.system for cpu_times in times))

    def measure_resident_bytes(self) -> int:
        """Resident memory of the process and its children."""
        return sum(_read_resident_bytes(process) for process in self._iter_processes())

    def read_log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def log_tail(self) -> str:
        """The last lines of its log, under a heading."""
        lines = self.read_log().splitlines()[-LOG_TAIL_LINES:]
        exit_code = self.popen.poll() if self.popen else None
        return f"--- {self.name} (exit code {exit_code}) ---\n" + "\n".join(lines)

    def _iter_processes(self) -> Iterator[psutil.Process]:
        if not self.is_running:
            return
        try:
            parent = psutil.Process(self._require_popen().pid)
            yield parent
            yield from parent.children(recursive=True)
        except psutil.Error:
            return

    def _require_popen(self) -> "subprocess.Popen[bytes]":
        if self.popen is None:
            raise RuntimeError(f"{self.name} was never started")
        return self.popen

    def _send_group_signal(self, signum: signal.Signals) -> None:
        with self.lock:
            pid = self._require_popen().pid
            if not self.is_running:
                return
            if psutil.Process(pid).ppid() != os.getpid() or os.getsid(pid) != pid:
                raise RuntimeError(f"process {pid} was not started by this harness; no signal sent")
            os.killpg(pid, signum)


def create_web_process(
    name: str,
    environment: Mapping[str, str],
    log_dir: Path,
    wsgi_app: str = "app.wsgi:app",
    port: int | None = None,
) -> ManagedProcess:
    """A web process under gunicorn, not started yet; on a free port unless one is given."""
    port = port or free_port()
    command = read_procfile()["web"].replace("app.wsgi:app", wsgi_app).split()
    return ManagedProcess(name, command, {**environment, "PORT": str(port)}, _log_path(log_dir, name), port)


def create_worker(
    worker_name: str, environment: Mapping[str, str], log_dir: Path, name: str | None = None
) -> ManagedProcess:
    """A worker, not started yet. `name` tells several workers of a kind apart."""
    name = name or worker_name
    return ManagedProcess(name, read_procfile()[worker_name].split(), environment, _log_path(log_dir, name))


def stop_all(processes: Sequence[ManagedProcess], timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> None:
    """SIGTERM to all at once, then waits for each; frozen ones are resumed first."""
    for process in processes:
        if process.is_running:
            process.resume()
            process.terminate()
    for process in processes:
        process.stop(timeout_seconds)


def _log_path(log_dir: Path, process_name: str) -> Path:
    return log_dir / f"{process_name.replace(':', '.')}.log"


def _read_resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
