"""Each worker dies at each of its named lines, in the middle of its work."""

from app.failpoints import NAMES, process_of
from drills.drill import Drill, Scene

ENQUEUED, DRAINED = "bridge.enqueued", "bridge.drained"
"""Reached only while Kafka is away, and when it comes back."""

WAITING = "select 1 from kafka_fallback_queue where not processed limit 1"


def drill(name: str) -> Drill:
    points = [one for one in NAMES if process_of(one) == name]

    def act(scene: Scene) -> None:
        for point in points:
            if not _dies_at(scene, name, point):
                scene.complaints.append(f"{name} never came by {point}")
        scene.load(scene.pick(1, 3))

    return Drill(
        f"{name}-fail-points",
        f"{name}: dies at {len(points)} named lines",
        ("P1", "P3"),
        act,
    )


def _dies_at(scene: Scene, name: str, point: str) -> bool:
    if point not in (ENQUEUED, DRAINED):
        return scene.dies_at(name, point)
    services = scene.rig.services
    scene.kill("kafka")
    try:
        if point == ENQUEUED:
            return scene.dies_at(name, point)
        scene.until(lambda: bool(scene.rig.rows(WAITING)), "something to drain")
        return scene.dies_at(name, point, meanwhile=lambda: services.start("kafka"))
    finally:
        services.start("kafka")


DRILLS = tuple(drill(name) for name in dict.fromkeys(map(process_of, NAMES)) if name != "web")
