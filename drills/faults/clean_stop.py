"""Each process in turn is stopped by SIGTERM under load and started again: no request fails.

Each request opens a connection of its own, so that one that is reset had been accepted before the stop.
"""

from drills.drill import Drill, Scenario
from harness.processes import ManagedProcess

MAX_STOP_SECONDS = 10.0


def restart_every_process(scenario: Scenario) -> None:
    for _ in range(int(scenario.pick_short_or_full(1, 2))):
        for process in scenario.cluster.processes:
            _restart_process(scenario, process)
            scenario.run_load(scenario.pick_short_or_full(2, 4))
    scenario.cluster.wait_until_ready()


def _restart_process(scenario: Scenario, process: ManagedProcess) -> None:
    process.is_supervised = False
    stop_seconds = process.stop(MAX_STOP_SECONDS + 5)
    exit_code = process.exit_code
    scenario.measurements[f"{process.name} stopped in"] = round(stop_seconds, 2)
    if stop_seconds > MAX_STOP_SECONDS or exit_code != 0:
        scenario.violations.append(f"{process.name} took {stop_seconds:.1f} s to stop; exit code {exit_code}")
    process.start()
    process.is_supervised = True
    scenario.cluster.wait_until_ready()


DRILLS = (
    Drill(
        "clean-stop", "every process: SIGTERM in turn", ("P13", "P1", "P3"), restart_every_process, True,
        load_profile=(("keep_alive", False),),
    ),
)  # fmt: skip
