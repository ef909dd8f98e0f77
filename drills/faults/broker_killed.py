"""Three brokers with replication factor 3 and min.insync.replicas 2: one after the other is killed."""

from drills.drill import Drill, Scenario
from drills.sandbox import ClusterSpec

BROKER_NAMES = ("kafka-1", "kafka-2", "kafka-3")


def kill_brokers_in_turn(scenario: Scenario) -> None:
    killed_brokers = scenario.rng.sample(BROKER_NAMES, int(scenario.pick_short_or_full(1, 3)))
    for broker in killed_brokers:
        scenario.kill_and_restart(scenario.pick_short_or_full(8, 20), broker)
        scenario.run_load(scenario.pick_short_or_full(4, 10))
    scenario.measurements["killed"] = killed_brokers
    scenario.measurements["queued"] = len(scenario.cluster.query("select 1 from kafka_fallback_queue"))


DRILLS = (
    Drill(
        "three-brokers",
        "one broker of three: SIGKILL, restarted later",
        ("P1", "P2", "P3", "P5"),
        kill_brokers_in_turn,
        cluster_spec=ClusterSpec(three_brokers=True),
        max_quiescence_seconds=240,
    ),
)
