"""Three brokers, replication 3, two in sync: one after the other is killed, and nobody notices."""

from drills.drill import Drill, Scene
from drills.ground import Setup

BROKERS = ("kafka-1", "kafka-2", "kafka-3")


def act(scene: Scene) -> None:
    chosen = scene.draw.sample(BROKERS, int(scene.pick(1, 3)))
    for broker in chosen:
        scene.away(scene.pick(8, 20), broker)
        scene.load(scene.pick(4, 10))
    scene.figures["killed"] = chosen
    scene.figures["queued"] = len(scene.rig.rows("select 1 from kafka_fallback_queue"))


DRILLS = (
    Drill(
        "three-brokers",
        "one broker of three: SIGKILL, away",
        ("P1", "P2", "P3", "P5"),
        act,
        setup=Setup(brokers=True),
        rest_seconds=240,
    ),
)
