"""Kafka is killed for a while: writes go on into the fallback queue, which is replayed afterwards."""

from drills.drill import Drill, Scenario


def kill_kafka(scenario: Scenario) -> None:
    scenario.kill_and_restart(scenario.pick_short_or_full(8, 60), "kafka")
    scenario.measurements["queued"] = len(scenario.cluster.query("select 1 from kafka_fallback_queue"))
    if not scenario.measurements["queued"]:
        scenario.violations.append("no event went through the fallback queue")


DRILLS = (
    Drill(
        "kafka-killed",
        "Kafka: SIGKILL, restarted later",
        ("P1", "P2", "P5", "P6"),
        kill_kafka,
        in_short_run=True,
    ),
)
