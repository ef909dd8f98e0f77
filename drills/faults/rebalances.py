"""Workers of each kind are added and removed (1, 3, 1) while windows are open."""

from drills.drill import Drill, Scenario

WORKER_NAMES = ("aggregator", "flusher", "deliverer", "bridge")


def add_and_remove_workers(scenario: Scenario) -> None:
    for _ in range(int(scenario.pick_short_or_full(1, 3))):
        extra_workers = [scenario.cluster.add_worker(name) for name in WORKER_NAMES for _ in range(2)]
        scenario.run_load(scenario.pick_short_or_full(8, 12))
        for worker in extra_workers:
            scenario.cluster.remove_worker(worker)
        scenario.run_load(scenario.pick_short_or_full(3, 6))


DRILLS = (Drill("rebalances", "workers: 1, 3, 1 of each kind", ("P1", "P2", "P3"), add_and_remove_workers),)
