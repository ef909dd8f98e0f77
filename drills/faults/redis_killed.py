"""Redis is killed: once and away for a while; and five times in a row under load."""

from drills.drill import EVERYTHING, Drill, Scene

PROMISES = ("P1", "P2", "P4", "P7")
# Only who had asked it when it died may be told to come again, rather than answered by a guess.


def away(scene: Scene) -> None:
    scene.away(scene.pick(6, 60), "redis")


def again_and_again(scene: Scene) -> None:
    for _ in range(5):
        scene.away(0.5, "redis")
        scene.load(scene.pick(2, 5))


DRILLS = (
    Drill("redis-killed", "Redis: SIGKILL, away", PROMISES, away, True, rarely=EVERYTHING),
    Drill(
        "redis-killed-5", "Redis: SIGKILL five times", PROMISES, again_and_again, rarely=EVERYTHING
    ),
)
