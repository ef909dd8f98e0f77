"""Kafka is frozen: its kernel goes on confirming, so only our own deadlines help. Once briefly,
once past the session time-outs, after which every consumer has to join again."""

from drills.drill import Drill, Scene

SESSION_SECONDS = 15.0


def briefly(scene: Scene) -> None:
    scene.frozen(3, "kafka")


def long(scene: Scene) -> None:
    scene.frozen(scene.pick(SESSION_SECONDS, 50), "kafka")


PROMISES = ("P1", "P2", "P3", "P5", "P6")
DRILLS = (
    Drill("kafka-frozen", "Kafka: SIGSTOP 3 s", PROMISES, briefly),
    Drill("kafka-frozen-long", "Kafka: SIGSTOP past the session time-out", PROMISES, long),
)
