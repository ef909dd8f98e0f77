"""Many likes and unlikes of the same posts during a Kafka outage and the replay of the fallback queue."""

from drills.drill import Drill, Scenario

REQUEST_WEIGHTS = {"like": 50.0, "unlike": 45.0, "comment": 3.0, "read": 2.0}
LIKE_STORM_PROFILE = (
    ("request_weights", REQUEST_WEIGHTS),
    ("hot_post_share", 0.7),
    ("requests_per_second", 150.0),
)
GUARANTEE_IDS = ("P1", "P2", "P3", "P6")


def kill_kafka(scenario: Scenario) -> None:
    scenario.kill_and_restart(scenario.pick_short_or_full(8, 40), "kafka")
    scenario.run_load(scenario.pick_short_or_full(2, 6))


def kill_bridge_during_replay(scenario: Scenario) -> None:
    """Kills the bridge three times while it replays the queue and new events arrive."""
    scenario.kill_and_restart(scenario.pick_short_or_full(8, 40), "kafka")
    for _ in range(3):
        scenario.get_process("bridge").kill()
        scenario.run_load(scenario.pick_short_or_full(1.5, 3))


DRILLS = (
    Drill(
        "storm-kafka",
        "Kafka: unavailable during a storm of likes",
        GUARANTEE_IDS,
        kill_kafka,
        load_profile=LIKE_STORM_PROFILE,
    ),
    Drill(
        "storm-kafka-bridge",
        "Kafka unavailable during a storm of likes, the bridge killed during the replay",
        GUARANTEE_IDS,
        kill_bridge_during_replay,
        in_short_run=True,
        load_profile=LIKE_STORM_PROFILE,
    ),
)
