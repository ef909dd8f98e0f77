"""Redis is frozen: calls wait in its socket and must not act over newer words when it wakes."""

from drills.drill import EVERYTHING, Drill, Scene

PROMISES = ("P1", "P2", "P7", "P11")


def briefly(scene: Scene) -> None:
    scene.frozen(3, "redis")


def long(scene: Scene) -> None:
    scene.frozen(scene.pick(8, 30), "redis")


DRILLS = (
    Drill("redis-frozen", "Redis: SIGSTOP 3 s", PROMISES, briefly, True, rarely=EVERYTHING),
    Drill("redis-frozen-long", "Redis: SIGSTOP 30 s", PROMISES, long, rarely=EVERYTHING),
)
