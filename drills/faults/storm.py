"""Likes and unlikes back and forth through a Kafka outage and its drain."""

from drills.drill import Drill, Scene

MIX = {"like": 50.0, "unlike": 45.0, "comment": 3.0, "read": 2.0}
STORM = (("mix", MIX), ("hot_share", 0.7), ("rate", 150.0))
PROMISES = ("P1", "P2", "P3", "P6")


def through(scene: Scene) -> None:
    scene.away(scene.pick(8, 40), "kafka")
    scene.load(scene.pick(2, 6))


def dying(scene: Scene) -> None:
    """At every line of the bridge that a drain passes, while newer words arrive."""
    scene.away(scene.pick(8, 40), "kafka")
    for _ in range(3):
        scene.process("bridge").kill()
        scene.load(scene.pick(1.5, 3))


DRILLS = (
    Drill("storm-kafka", "Kafka: away through a storm", PROMISES, through, behaviour=STORM),
    Drill(
        "storm-kafka-bridge", "Kafka away through a storm, the bridge killed as it drains",
        PROMISES, dying, True, behaviour=STORM,
    ),
)  # fmt: skip
