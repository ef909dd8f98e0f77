"""Redis recovers under load: normal operation is restored within 10 s and continues."""

import json
import time
from collections.abc import Callable
from typing import Any

from drills.drill import ALL_REQUEST_KINDS, Drill, Scenario
from harness.waiting import wait_until

GUARANTEE_IDS = ("P1", "P2", "P4", "P7")
FAILOVER_ENDED_EVENT, FAILOVER_STARTED_EVENT = "redis_failover_ended", "redis_failover_started"
REDIS_EMPTIED_EVENT = "redis_emptied"
REPORT_TIMEOUT_SECONDS = 10.0
MAX_RECOVERY_SECONDS = 10.0
IN_FLIGHT_REQUESTS = 60
"""Requests between reading the stream lengths and FLUSHALL, at a hundred per second."""


def _run_load_after_recovery(scenario: Scenario) -> None:
    """Two minutes of writes, in which failbacks and failovers are counted."""
    counts_before = _count_failbacks_and_failovers(scenario)
    time.sleep(scenario.pick_short_or_full(20, 120))
    failback_count, failover_count = (
        current - previous
        for current, previous in zip(_count_failbacks_and_failovers(scenario), counts_before, strict=True)
    )
    scenario.measurements |= {
        "failbacks after the recovery": failback_count,
        "failovers after the recovery": failover_count,
    }


def _count_failbacks_and_failovers(scenario: Scenario) -> tuple[int, int]:
    return (
        _count_log_events(scenario, FAILOVER_ENDED_EVENT),
        _count_log_events(scenario, FAILOVER_STARTED_EVENT),
    )


def _count_log_events(scenario: Scenario, event_name: str) -> int:
    """JSON log lines of all processes with this `event`."""
    return sum(
        _read_event_name(line) == event_name
        for process in scenario.cluster.processes
        for line in process.read_log().splitlines()
        if event_name in line
    )


def _read_event_name(line: str) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry.get("event") if isinstance(entry, dict) else None


def kill_redis(scenario: Scenario) -> None:
    scenario.kill_and_restart(scenario.pick_short_or_full(3, 10), "redis")
    _run_load_after_recovery(scenario)


def kill_redis_briefly(scenario: Scenario) -> None:
    scenario.kill_and_restart(1, "redis")
    _run_load_after_recovery(scenario)


def freeze_redis(scenario: Scenario) -> None:
    scenario.freeze_services(scenario.pick_short_or_full(5, 15), "redis")
    _run_load_after_recovery(scenario)


def flush_redis_twice(scenario: Scenario) -> None:
    """FLUSHALL twice in quick succession. Both losses must be reported."""
    max_lost_per_flush = [_flush_redis(scenario), _flush_redis(scenario)]
    scenario.measurements["may lose"] = sum(max_lost_per_flush) + 2 * IN_FLIGHT_REQUESTS
    _run_load_after_recovery(scenario)


def _flush_redis(scenario: Scenario) -> int:
    ingress_entries = sum(scenario.cluster.redis.xlen(f"ingress:{shard}") for shard in range(5))
    reports_before = _count_log_events(scenario, REDIS_EMPTIED_EVENT)
    scenario.cluster.redis.flushall()
    scenario.redis_recovery_times.append(time.time())
    wait_until(
        lambda: _count_log_events(scenario, REDIS_EMPTIED_EVENT) > reports_before,
        "log event of the data loss",
        REPORT_TIMEOUT_SECONDS,
    )
    return ingress_entries


def _create_drill(
    name: str, fault_description: str, inject_fault: Callable[[Scenario], None], **drill_fields: Any
) -> Drill:
    return Drill(
        name,
        fault_description,
        GUARANTEE_IDS,
        inject_fault,
        rare_retry_later_kinds=ALL_REQUEST_KINDS,
        max_recovery_seconds=MAX_RECOVERY_SECONDS,
        **drill_fields,
    )


DRILLS = (
    _create_drill(
        "redis-returns-killed", "Redis: SIGKILL, then two minutes of load", kill_redis, in_short_run=True
    ),
    _create_drill("redis-returns-killed-1s", "Redis: SIGKILL for 1 s, then load", kill_redis_briefly),
    _create_drill("redis-returns-frozen", "Redis: SIGSTOP, then two minutes of load", freeze_redis),
    _create_drill(
        "redis-returns-emptied",
        "Redis: FLUSHALL twice, then two minutes of load",
        flush_redis_twice,
        may_lose_writes=True,
        may_require_reload=True,
    ),
)
