"""Kafka and PostgreSQL both away: two failures. Writes go on into a bounded ingress, then 503; what
was accepted is there afterwards."""

from drills.drill import EVERYTHING, Drill, Scene
from drills.ground import Setup

ROOM = 1500


def act(scene: Scene) -> None:
    scene.kill("kafka", "postgres")
    scene.load(scene.pick(25, 60))
    length = sum(scene.rig.redis.xlen(f"ingress:{shard}") for shard in range(5))
    scene.figures["ingress"] = length
    if length > ROOM + 5:
        scene.complaints.append(f"the ingress holds {length}, more than {ROOM}")
    scene.rig.services.start("kafka", "postgres")


DRILLS = (
    Drill(
        "both-away",
        f"Kafka and PostgreSQL both away, ingress limit {ROOM}",
        ("P1", "P2", "P11"),
        act,
        setup=Setup(settings=(("INGRESS_MAX_LENGTH", str(ROOM)),)),
        may_put_off=EVERYTHING,
        rest_seconds=240,
    ),
)
