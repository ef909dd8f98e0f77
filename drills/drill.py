"""A drill: the fault that is injected under load, and the limits that must hold. See drills/faults/."""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.devtools.checker.request_log import REQUEST_LOG_NAME, RequestLog, read_request_log
from app.domain.worker_loops import WORKER_PROCESSES
from drills.checker import CheckLimits
from drills.cluster import Cluster
from drills.fixtures import DrillFixtures
from drills.sandbox import ClusterSpec
from harness.processes import ManagedProcess
from harness.waiting import wait_until

REDIS_WRITE_KINDS = frozenset({"like", "unlike", "follow", "unfollow", "comment"})
POSTGRES_KINDS = frozenset({"otp", "read", "comment", "follow", "unfollow"})
ALL_REQUEST_KINDS = REDIS_WRITE_KINDS | POSTGRES_KINDS
MAX_RESPONSE_SECONDS, MAX_CRITICAL_P99_SECONDS, MAX_PUSH_RECOVERY_SECONDS = 2.0, 2.0, 5.0
TIME_LIMIT_SLACK_SECONDS = float(os.environ.get("DRILL_SLACK_SECONDS", "1.5"))
"""Added to each time limit for a busy machine, besides the measured timer delay."""


@dataclass
class Scenario:
    """What `Drill.inject_fault` works with."""

    cluster: Cluster
    fixtures: DrillFixtures
    rng: random.Random
    is_short_run: bool
    print_progress: Callable[[str], None]
    drill_name: str
    expected_dead_letters: set[tuple[str, str]] = field(default_factory=set)
    measurements: dict[str, Any] = field(default_factory=dict)
    redis_recovery_times: list[float] = field(default_factory=list)
    """Unix times at which Redis was available again."""
    unawaited_loops: set[str] = field(default_factory=set)
    """Worker loops that may have a backlog at the end, because it takes too long to process."""
    violations: list[str] = field(default_factory=list)
    """Added by the drill for conditions of its own."""

    def pick_short_or_full(self, short_value: float, full_value: float) -> float:
        return short_value if self.is_short_run else full_value

    def read_request_log(self) -> RequestLog:
        """The requests of this drill until now."""
        return read_request_log(self.cluster.folder / self.drill_name / REQUEST_LOG_NAME)

    def run_load(self, seconds: float) -> None:
        """Waits about so long while the clients send requests, so that faults hit random moments."""
        time.sleep(seconds * self.rng.uniform(0.8, 1.2))

    def wait_for(
        self, condition: Callable[[], bool], description: str, timeout_seconds: float = 60.0
    ) -> None:
        wait_until(condition, description, timeout_seconds)

    def kill_services(self, *services: str) -> None:
        for service in services:
            self.cluster.require_owned_pid(service)
        self.cluster.services.kill(*services)

    def kill_service_if_running(self, service: str) -> None:
        if self.cluster.services.status(service)[service].state != "stopped":
            self.kill_services(service)

    def kill_and_restart(self, downtime_seconds: float, *services: str) -> None:
        """Kills the services and starts them again after that time."""
        self.kill_services(*services)
        self.run_load(downtime_seconds)
        self.cluster.services.start(*services)
        self._record_redis_recovery(services)

    def freeze_services(self, frozen_seconds: float, *services: str) -> None:
        for service in services:
            self.cluster.require_owned_pid(service)
        self.cluster.services.pause(*services)
        try:
            self.run_load(frozen_seconds)
        finally:
            self.cluster.services.resume(*services)
            self._record_redis_recovery(services)

    def freeze_process(self, process_name: str, frozen_seconds: float) -> None:
        process = self.get_process(process_name)
        process.freeze()
        try:
            self.run_load(frozen_seconds)
        finally:
            process.resume()

    def _record_redis_recovery(self, services: tuple[str, ...]) -> None:
        if "redis" in services:
            self.redis_recovery_times.append(time.time())

    def get_process(self, process_name: str) -> ManagedProcess:
        return next(process for process in self.cluster.processes if process.name == process_name)

    def crash_at_fail_point(
        self,
        worker_name: str,
        fail_point: str,
        timeout_seconds: float = 60.0,
        trigger: Callable[[], object] = lambda: None,
    ) -> bool:
        """Restarts the worker so that it is killed at the fail point. False if it was not reached."""
        process = self.get_process(worker_name)
        exits_before = process.unexpected_exits
        self.cluster.restart_with_env(process, FAILPOINT=fail_point)
        trigger()
        deadline = time.monotonic() + timeout_seconds
        while process.unexpected_exits == exits_before and time.monotonic() < deadline:
            time.sleep(0.1)
        return process.unexpected_exits > exits_before


@dataclass(frozen=True)
class Drill:
    """`in_short_run`: it also runs in `make test` and with --short, with short times."""

    name: str
    fault_description: str
    guarantee_ids: tuple[str, ...]
    inject_fault: Callable[[Scenario], None]
    in_short_run: bool = False
    cluster_spec: ClusterSpec = ClusterSpec()  # noqa: RUF009 - frozen
    load_profile: tuple[tuple[str, Any], ...] = ()
    retry_later_kinds: frozenset[str] = frozenset()
    rare_retry_later_kinds: frozenset[str] = frozenset()
    may_drop_connections: bool = False
    may_require_reload: bool = False
    may_lose_writes: bool = False
    """At most as many as the drill sets in Scenario.measurements["may lose"]."""
    max_recovery_seconds: float = float("inf")
    """After the last recovery of Redis; later no response may be stale."""
    max_response_seconds: float = MAX_RESPONSE_SECONDS
    max_critical_p99_seconds: float = MAX_CRITICAL_P99_SECONDS
    max_memory_mb: float = 600.0
    max_memory_growth_mb_per_minute: float = float("inf")
    """Per process, checked if the drill runs long enough to measure it."""
    max_quiescence_seconds: float = 150.0
    unsupported_reason: Callable[[], str | None] = lambda: None
    """Returns why this machine cannot run it, or None."""

    def create_cluster(self, folder: Path, print_progress: Callable[[str], None]) -> Cluster:
        return Cluster(folder, print_progress, self.cluster_spec)

    def can_run_on(self, cluster: Cluster) -> bool:
        return self.cluster_spec == cluster.spec

    def max_lost_writes(self, scenario: Scenario) -> int:
        return int(scenario.measurements.get("may lose", 0)) if self.may_lose_writes else 0

    def build_check_limits(self, scenario: Scenario, timer_delay_seconds: float) -> CheckLimits:
        slack = TIME_LIMIT_SLACK_SECONDS + timer_delay_seconds
        return CheckLimits(
            max_response_seconds=self.max_response_seconds + slack,
            max_critical_p99_seconds=self.max_critical_p99_seconds + slack,
            retry_later_kinds=self.retry_later_kinds | self.rare_retry_later_kinds,
            rare_retry_later_kinds=self.rare_retry_later_kinds,
            may_drop_connections=self.may_drop_connections,
            may_require_reload=self.may_require_reload,
            max_lost_writes=self.max_lost_writes(scenario),
            max_memory_mb=self.max_memory_mb,
            max_memory_growth_mb_per_minute=self.max_memory_growth_mb_per_minute,
            expected_dead_letters=frozenset(scenario.expected_dead_letters),
            unawaited_loops=frozenset(scenario.unawaited_loops),
            max_push_recovery_seconds=MAX_PUSH_RECOVERY_SECONDS + slack,
            redis_recovery_times=tuple(scenario.redis_recovery_times),
            max_recovery_seconds=self.max_recovery_seconds + slack,
        )


def create_drill_per_worker(create_drill: Callable[[str], Drill]) -> tuple[Drill, ...]:
    return tuple(create_drill(worker_name) for worker_name in WORKER_PROCESSES)
