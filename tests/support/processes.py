"""ProcessGroup: worker and web processes of the product, each started by its own command line.

processes.start_named("bridge")                     a new process; its output goes to a log file
processes.restart("bridge", FAILPOINT="...")        stops the old one, which must end within 5 s
processes.start_web().base_url                      a web process under gunicorn, on a port of its own
"""

from dataclasses import dataclass, field
from pathlib import Path

import redis

from app.domain.worker_loops import WORKER_PROCESSES
from app.failover.redis_failover import INGRESS_ENABLED_KEY
from app.operations.heartbeats import HEARTBEATS_KEY
from harness.environment import build_environment
from harness.processes import ManagedProcess, create_web_process, create_worker, stop_all
from harness.waiting import WaitTimeoutError, wait_until

PROCESS_NAMES = WORKER_PROCESSES
STOP_TIMEOUT_SECONDS = 4.0
START_TIMEOUT_SECONDS = 90.0
"""Imports take two seconds of CPU time, and the machine may be busy."""


@dataclass
class ProcessGroup:
    environment: dict[str, str]
    log_dir: Path
    redis: "redis.Redis"
    process_by_name: dict[str, ManagedProcess] = field(default_factory=dict)
    all_processes: list[ManagedProcess] = field(default_factory=list)

    def start_named(self, name: str, **extra_environment: str) -> ManagedProcess:
        """Starts a process under this name. A previous process of the name keeps running if it still does."""
        process = self.start_extra(name, **extra_environment)
        self.process_by_name[name] = process
        return process

    def start_extra(self, name: str, **extra_environment: str) -> ManagedProcess:
        """Starts a further process; the caller stops it."""
        return self._start(create_worker(name, self._process_environment(), self.log_dir), extra_environment)

    def start_web(self, port: int = 0, **extra_environment: str) -> ManagedProcess:
        """Starts a web process on the given or a free port and waits until it answers."""
        web = create_web_process("web", self._process_environment(), self.log_dir, port=port or None)
        self._start(web, extra_environment).wait_until_responding(START_TIMEOUT_SECONDS)
        return web

    def _process_environment(self) -> dict[str, str]:
        return build_environment({}, self.environment)

    def _start(self, process: ManagedProcess, extra_environment: dict[str, str]) -> ManagedProcess:
        """Starts it with a log file of its own: several processes have the same name."""
        process.log_path = self.log_dir / f"{len(self.all_processes):03d}-{process.name}.log"
        self.all_processes.append(process)
        process.start(**extra_environment)
        return process

    def restart(self, name: str, **extra_environment: str) -> ManagedProcess:
        previous = self.process_by_name[name]
        wait_until(
            lambda: self.has_heartbeat(previous),
            f"the first heartbeat of {previous.log_tail()}",
            START_TIMEOUT_SECONDS,
        )
        previous.stop_gracefully()
        return self.start_named(name, **extra_environment)

    def start_missing(self) -> None:
        """Starts the workers that are not running: all of them, or those that a failed test has killed."""
        for name in PROCESS_NAMES:
            if name not in self.process_by_name or not self.process_by_name[name].is_running:
                self.start_named(name)

    def wait_until_redis_enabled(self) -> None:
        """Waits until writes go through Redis; until then they take the failover path."""
        try:
            wait_until(
                lambda: self.redis.exists(INGRESS_ENABLED_KEY),
                "writes through Redis",
                2 * START_TIMEOUT_SECONDS,
            )
        except WaitTimeoutError as exc:
            raise WaitTimeoutError(f"{exc}\n{self.log_tails()}") from None

    def has_heartbeat(self, process: ManagedProcess) -> bool:
        """Whether its loop has run once: imports are done and signal handlers installed."""
        return any(self.redis.hscan_iter(HEARTBEATS_KEY, match=f"*:{process.pid}"))

    def log_tails(self) -> str:
        return "\n".join(process.log_tail() for process in self.process_by_name.values())

    def stop_all(self) -> None:
        """Stops every process that was started here; kills those that do not stop in time."""
        stop_all(self.all_processes, STOP_TIMEOUT_SECONDS)
