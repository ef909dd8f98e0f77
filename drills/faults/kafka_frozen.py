"""Kafka is frozen: its kernel still acknowledges data, so only our own deadlines detect it.

Once briefly, once past the session timeouts, after which every consumer has to rejoin its group.
"""

from drills.drill import Drill, Scenario

CONSUMER_SESSION_SECONDS = 15.0


def freeze_kafka_briefly(scenario: Scenario) -> None:
    scenario.freeze_services(3, "kafka")


def freeze_kafka_past_session(scenario: Scenario) -> None:
    scenario.freeze_services(scenario.pick_short_or_full(CONSUMER_SESSION_SECONDS, 50), "kafka")


GUARANTEE_IDS = ("P1", "P2", "P3", "P5", "P6")
DRILLS = (
    Drill("kafka-frozen", "Kafka: SIGSTOP 3 s", GUARANTEE_IDS, freeze_kafka_briefly),
    Drill(
        "kafka-frozen-long",
        "Kafka: SIGSTOP past the session timeout",
        GUARANTEE_IDS,
        freeze_kafka_past_session,
    ),
)
