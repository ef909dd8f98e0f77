"""Each worker is frozen past its lease and another takes over; when it resumes, its work must be rejected."""

from drills.drill import Drill, Scenario, create_drill_per_worker

FREEZE_SECONDS_BY_WORKER = {"bridge": 8.0, "aggregator": 14.0, "flusher": 33.0, "deliverer": 14.0}


def create_drill(worker_name: str) -> Drill:
    def freeze_past_lease(scenario: Scenario) -> None:
        standby_worker = scenario.cluster.add_worker(worker_name)
        scenario.run_load(4)
        frozen_worker = scenario.get_process(worker_name)
        frozen_worker.freeze()
        try:
            scenario.run_load(FREEZE_SECONDS_BY_WORKER[worker_name])
        finally:
            frozen_worker.resume()
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


DRILLS = create_drill_per_worker(create_drill)
