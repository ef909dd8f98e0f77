"""Workers at random moments: killed three times; frozen past their lease, while another takes over, so that
their work must be rejected when they resume; added and removed while windows are open."""

from drills.drill import Drill, Scenario, create_drill_per_worker

FREEZE_SECONDS_BY_WORKER = {"bridge": 8.0, "aggregator": 14.0, "flusher": 33.0, "deliverer": 14.0}


def create_killed_drill(worker_name: str) -> Drill:
    def kill_worker_repeatedly(scenario: Scenario) -> None:
        for _ in range(3):
            scenario.get_process(worker_name).kill()
            scenario.run_load(scenario.pick_short_or_full(3, 6))
            scenario.wait_for(
                lambda: scenario.get_process(worker_name).is_running, f"restart of {worker_name}"
            )

    return Drill(
        f"{worker_name}-killed",
        f"{worker_name}: SIGKILL three times",
        ("P1", "P2", "P3"),
        kill_worker_repeatedly,
    )


def create_frozen_drill(worker_name: str) -> Drill:
    def freeze_past_lease(scenario: Scenario) -> None:
        standby_worker = scenario.cluster.add_worker(worker_name)
        scenario.run_load(4)
        scenario.freeze_process(worker_name, FREEZE_SECONDS_BY_WORKER[worker_name])
        scenario.run_load(scenario.pick_short_or_full(3, 8))
        scenario.cluster.remove_worker(standby_worker)

    return Drill(
        f"{worker_name}-frozen",
        f"{worker_name}: SIGSTOP past its lease, beside a second one",
        ("P2", "P3"),
        freeze_past_lease,
        in_short_run=worker_name == "bridge",
        max_quiescence_seconds=200,
    )


def add_and_remove_workers(scenario: Scenario) -> None:
    for _ in range(int(scenario.pick_short_or_full(1, 3))):
        extra_workers = [
            scenario.cluster.add_worker(name) for name in FREEZE_SECONDS_BY_WORKER for _ in range(2)
        ]
        scenario.run_load(scenario.pick_short_or_full(8, 12))
        for worker in extra_workers:
            scenario.cluster.remove_worker(worker)
        scenario.run_load(scenario.pick_short_or_full(3, 6))


DRILLS = (
    *create_drill_per_worker(create_killed_drill),
    *create_drill_per_worker(create_frozen_drill),
    Drill("rebalances", "workers: 1, 3, 1 of each kind", ("P1", "P2", "P3"), add_and_remove_workers),
)
