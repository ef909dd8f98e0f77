"""Each worker is killed at each of its fail points."""

from app.failpoints import FAILPOINT_NAMES, process_for_failpoint
from drills.drill import Drill, Scenario
from drills.published_posts import publish_for_subscriber, publish_mention

BRIDGE_ENQUEUED, BRIDGE_DRAINED = "bridge.enqueued", "bridge.drained"
"""Reached only while Kafka is unavailable, and when it is back."""
FAN_OUT_TRIGGERS = {"fan-out.mentions": publish_mention, "fan-out.page": publish_for_subscriber}
"""The simulated users mention nobody and have no subscribers."""
UNPROCESSED_FALLBACK_QUERY = "select 1 from kafka_fallback_queue where not processed limit 1"


def create_drill(worker_name: str) -> Drill:
    fail_points = [
        fail_point for fail_point in FAILPOINT_NAMES if process_for_failpoint(fail_point) == worker_name
    ]

    def crash_at_each_fail_point(scenario: Scenario) -> None:
        for fail_point in fail_points:
            if not _crash_at_fail_point(scenario, worker_name, fail_point):
                scenario.violations.append(f"{worker_name} never reached {fail_point}")
        scenario.run_load(scenario.pick_short_or_full(1, 3))

    return Drill(
        f"{worker_name}-fail-points",
        f"{worker_name}: killed at {len(fail_points)} fail points",
        ("P1", "P3"),
        crash_at_each_fail_point,
    )


def _crash_at_fail_point(scenario: Scenario, worker_name: str, fail_point: str) -> bool:
    if publish := FAN_OUT_TRIGGERS.get(fail_point):
        return scenario.crash_at_fail_point(worker_name, fail_point, trigger=lambda: publish(scenario))
    if fail_point not in (BRIDGE_ENQUEUED, BRIDGE_DRAINED):
        return scenario.crash_at_fail_point(worker_name, fail_point)
    services = scenario.cluster.services
    scenario.kill_services("kafka")
    try:
        if fail_point == BRIDGE_ENQUEUED:
            return scenario.crash_at_fail_point(worker_name, fail_point)
        scenario.wait_for(
            lambda: bool(scenario.cluster.query(UNPROCESSED_FALLBACK_QUERY)), "an event in the fallback queue"
        )
        return scenario.crash_at_fail_point(worker_name, fail_point, trigger=lambda: services.start("kafka"))
    finally:
        services.start("kafka")


DRILLS = tuple(
    create_drill(name) for name in dict.fromkeys(map(process_for_failpoint, FAILPOINT_NAMES)) if name != "web"
)
