"""Each worker is killed three times at random moments."""

from drills.drill import Drill, Scenario, create_drill_per_worker


def create_drill(worker_name: str) -> Drill:
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


DRILLS = create_drill_per_worker(create_drill)
