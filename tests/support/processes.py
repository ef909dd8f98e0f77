"""ProcessGroup: worker and web processes of the product, each started by its own command line.

processes.start_named("bridge")                     a new process; its output goes to a log file
processes.restart("bridge", FAILPOINT="...")        stops the old one, which must end within 4 s
processes.start_web().base_url                      a web process under gunicorn, on a port of its own
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import redis

from app.domain.worker_loops import WORKER_PROCESSES
from app.failover.redis_failover import INGRESS_ENABLED_KEY
from harness.network import free_port

ROOT = Path(__file__).resolve().parents[2]
PROCESS_NAMES = WORKER_PROCESSES
STOP_TIMEOUT_SECONDS = 4.0
START_TIMEOUT_SECONDS = 90.0
"""Imports take two seconds of CPU time, and the machine may be busy."""


def wait_until(condition: Callable[[], object], timeout_seconds: float, description: str) -> None:
    """Polls the condition until it is true; fails after the time-out."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s: {description}"
        time.sleep(0.05)


@dataclass
class ManagedProcess:
    name: str
    process: "subprocess.Popen[bytes]"
    log_path: Path
    port: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def accepts_connections(self) -> bool:
        """Whether the web process accepts connections. Fails if it has exited."""
        assert self.is_alive, self.log_tail()
        with socket.socket() as connection:
            connection.settimeout(1)
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def responds(self) -> bool:
        """Whether the web process answers requests. Its port is open before the application is loaded."""
        if not self.accepts_connections():
            return False
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/does-not-exist")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def log_tail(self) -> str:
        """The last lines of its log, for failure messages."""
        lines = self.log_path.read_text(errors="replace").splitlines()[-40:]
        return f"--- {self.name} ({self.process.poll()}) ---\n" + "\n".join(lines)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)

    def stop(self) -> float:
        """Sends SIGTERM and returns the seconds until the exit, which must be in time and with code 0."""
        started_at = time.monotonic()
        self.process.terminate()
        try:
            exit_code = self.process.wait(timeout=STOP_TIMEOUT_SECONDS + 1)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # faulthandler logs where it hangs
            self.process.wait(timeout=10)
            raise AssertionError(f"did not stop: {self.log_tail()}") from None
        assert exit_code == 0, self.log_tail()
        return time.monotonic() - started_at

    def wait_for_sigkill(self, timeout_seconds: float) -> None:
        """Waits until the process has killed itself at its fail point."""
        wait_until(lambda: not self.is_alive, timeout_seconds, f"exit of {self.log_tail()}")
        assert self.process.returncode == -signal.SIGKILL, self.log_tail()


@dataclass
class ProcessGroup:
    environment: dict[str, str]
    log_dir: Path
    redis: "redis.Redis"
    process_by_name: dict[str, ManagedProcess] = field(default_factory=dict)
    all_processes: list[ManagedProcess] = field(default_factory=list)

    def start_named(self, name: str, **extra_environment: str) -> ManagedProcess:
        """Starts a process under this name. A previous process of the name keeps running if it still does."""
        managed = self.start_extra(name, **extra_environment)
        self.process_by_name[name] = managed
        return managed

    def start_extra(self, name: str, **extra_environment: str) -> ManagedProcess:
        """Starts a further process; the caller stops it."""
        return self._spawn(name, [sys.executable, "-m", "workers", name], extra_environment)

    def start_web(self, port: int = 0, **extra_environment: str) -> ManagedProcess:
        """Starts a web process on the given or a free port and waits until it answers."""
        port = port or free_port()
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app.wsgi:app"]
        managed = self._spawn("web", command, extra_environment | {"PORT": str(port)})
        managed.port = port
        wait_until(
            managed.responds,
            START_TIMEOUT_SECONDS,
            f"the first response of {managed.log_path}",
        )
        return managed

    def _spawn(self, name: str, command: list[str], extra_environment: dict[str, str]) -> ManagedProcess:
        log_path = self.log_dir / f"{len(self.all_processes):03d}-{name}.log"
        with log_path.open("wb") as log_file:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | self.environment | {"PYTHONFAULTHANDLER": "1"} | extra_environment,
                stdout=log_file,
                stderr=log_file,
            )
        managed = ManagedProcess(name, process, log_path)
        self.all_processes.append(managed)
        return managed

    def restart(self, name: str, **extra_environment: str) -> ManagedProcess:
        previous = self.process_by_name[name]
        wait_until(
            lambda: self.has_heartbeat(previous),
            START_TIMEOUT_SECONDS,
            f"the first heartbeat of {previous.log_tail()}",
        )
        previous.stop()
        return self.start_named(name, **extra_environment)

    def start_missing(self) -> None:
        """Starts the workers that are not running: all of them, or those that a failed test has killed."""
        for name in PROCESS_NAMES:
            if name not in self.process_by_name or not self.process_by_name[name].is_alive:
                self.start_named(name)

    def wait_until_redis_enabled(self) -> None:
        """Waits until writes go through Redis; until then they take the failover path."""
        try:
            wait_until(
                lambda: self.redis.exists(INGRESS_ENABLED_KEY),
                2 * START_TIMEOUT_SECONDS,
                "writes through Redis",
            )
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.log_tails()}") from None

    def has_heartbeat(self, managed: ManagedProcess) -> bool:
        """Whether its loop has run once: imports are done and signal handlers installed."""
        return any(self.redis.scan_iter(f"heartbeat:*:{managed.process.pid}", count=1000))

    def log_tails(self) -> str:
        return "\n".join(managed.log_tail() for managed in self.process_by_name.values())

    def stop_all(self) -> None:
        """Stops every process that was started here; kills those that do not stop in time."""
        running = [managed for managed in self.all_processes if managed.is_alive]
        for managed in running:
            managed.process.terminate()
        for managed in running:
            try:
                managed.process.wait(timeout=STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                managed.kill()
