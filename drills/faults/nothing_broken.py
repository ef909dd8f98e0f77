"""No fault: the reference for the other drills."""

from drills.drill import Drill, Scenario


def run_load_only(scenario: Scenario) -> None:
    scenario.run_load(scenario.pick_short_or_full(6, 20))


DRILLS = (
    Drill(
        "nothing-broken",
        "nothing",
        ("P1", "P3", "P4", "P12"),
        run_load_only,
        max_critical_p99_seconds=1.0,
    ),
)
