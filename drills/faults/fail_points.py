"""Each worker dies at each of its named lines, in the middle of its work."""

from app.failpoints import NAMES, process_of
from drills.drill import Drill, Scene

BREATHING = ("bridge.enqueued", "bridge.drained")
"""Reached only while Kafka is away, and when it comes back."""


def drill(name: str) -> Drill:
    points = [one for one in NAMES if process_of(one) == name]

    def act(scene: Scene) -> None:
        for point in points:
            if point in BREATHING:
                scene.kill("kafka")
            try:
                if not scene.dies_at(name, point):
                    scene.complaints.append(f"{name} never came by {point}")
            finally:
                scene.rig.services.start("kafka")
        scene.load(scene.pick(1, 3))

    return Drill(
        f"{name}-fail-points",
        f"{name}: dies at {len(points)} named lines",
        ("P1", "P3"),
        act,
        critical=25.0,
    )


DRILLS = tuple(drill(name) for name in dict.fromkeys(map(process_of, NAMES)) if name != "web")
