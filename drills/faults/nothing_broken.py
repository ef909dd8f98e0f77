"""Nothing is broken: what the others are compared with."""

from drills.drill import Drill, Scene


def act(scene: Scene) -> None:
    scene.load(scene.pick(6, 20))


DRILLS = (Drill("nothing-broken", "nothing", ("P1", "P3", "P4", "P12"), act, critical=1.0),)
