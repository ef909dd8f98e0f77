"""Ten minutes of random faults; memory must not grow."""

import time
from collections.abc import Callable

from app.domain.worker_loops import WORKER_PROCESSES
from drills.drill import ALL_REQUEST_KINDS, Drill, Scenario
from infra.services import SERVICE_NAMES

FULL_RUN_MINUTES = 10.0
NamedFault = tuple[str, Callable[[Scenario], None]]


def _create_restart_fault(service: str) -> NamedFault:
    return f"{service} killed and restarted", lambda scenario: scenario.kill_and_restart(
        scenario.rng.uniform(0.5, 6), service
    )


def _create_freeze_service_fault(service: str) -> NamedFault:
    return f"{service} frozen", lambda scenario: scenario.freeze_services(
        scenario.rng.uniform(0.5, 6), service
    )


def _create_kill_process_fault(process_name: str) -> NamedFault:
    return f"{process_name} killed", lambda scenario: scenario.get_process(process_name).kill()


def _create_freeze_worker_fault(worker_name: str) -> NamedFault:
    return f"{worker_name} frozen", lambda scenario: scenario.freeze_process(
        worker_name, scenario.rng.uniform(1, 12)
    )


RANDOM_FAULTS: list[NamedFault] = [
    *map(_create_restart_fault, SERVICE_NAMES),
    *map(_create_freeze_service_fault, SERVICE_NAMES),
    *map(_create_kill_process_fault, (*WORKER_PROCESSES, "web-1", "web-2")),
    *map(_create_freeze_worker_fault, WORKER_PROCESSES),
]


def inject_random_faults(scenario: Scenario) -> None:
    injected_fault_names: list[str] = []
    ends_at = time.monotonic() + 60 * scenario.pick_short_or_full(1, FULL_RUN_MINUTES)
    while time.monotonic() < ends_at:
        fault_name, inject_fault = scenario.rng.choice(RANDOM_FAULTS)
        scenario.print_progress(f"    {fault_name}")
        injected_fault_names.append(fault_name)
        inject_fault(scenario)
        scenario.run_load(10)
    scenario.measurements["faults"] = injected_fault_names


DRILLS = (
    Drill(
        "soak",
        "ten minutes of random faults",
        ("P1", "P2", "P3", "P11", "P12"),
        inject_random_faults,
        retry_later_kinds=ALL_REQUEST_KINDS,
        may_drop_connections=True,
        max_critical_p99_seconds=5.0,
        max_response_seconds=3.0,
        max_quiescence_seconds=300,
        max_memory_growth_mb_per_minute=8.0,
    ),
)
