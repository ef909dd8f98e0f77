"""Redis is killed: once and away for a while; and five times in a row under load."""

from drills.drill import NEEDS_POSTGRES, WRITES_BY_SCRIPT, Drill, Scene

PROMISES = ("P1", "P2", "P4", "P7")
# A write that Redis was asked for when it died ends in 503 rather than in a guess.
LATER = WRITES_BY_SCRIPT | NEEDS_POSTGRES


def away(scene: Scene) -> None:
    scene.away(scene.pick(6, 60), "redis")


def again_and_again(scene: Scene) -> None:
    for _ in range(5):
        scene.away(0.5, "redis")
        scene.load(scene.pick(2, 5))


DRILLS = (
    Drill("redis-killed", "Redis: SIGKILL, away", PROMISES, away, True, may_put_off=LATER),
    Drill(
        "redis-killed-5", "Redis: SIGKILL five times", PROMISES, again_and_again, may_put_off=LATER
    ),
)
