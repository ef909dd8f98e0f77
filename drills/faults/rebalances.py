"""Aggregators, flushers and deliverers come and go: 1, 3, 1, in the middle of windows."""

from drills.drill import Drill, Scene

KINDS = ("aggregator", "flusher", "deliverer", "bridge")


def act(scene: Scene) -> None:
    for _ in range(int(scene.pick(1, 3))):
        more = [scene.rig.add(name) for name in KINDS for _ in range(2)]
        scene.load(scene.pick(8, 12))
        for one in more:
            scene.rig.remove(one)
        scene.load(scene.pick(3, 6))


DRILLS = (Drill("rebalances", "workers: 1, 3, 1 of each kind", ("P1", "P2", "P3"), act),)
