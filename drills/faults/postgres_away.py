"""PostgreSQL is killed and away, or frozen: warm likes go on, the rest is told to come later."""

from app.stores.subjects import PERSON, POST
from app.stores.warming import Warming
from drills.drill import NEEDS_POSTGRES, Drill, Scene

PROMISES = ("P1", "P2", "P8", "P11")


def warm(scene: Scene) -> None:
    """Everything is known to Redis, as what people look at is."""
    warming = Warming(scene.rig.redis, scene.rig.engine)
    for one in scene.cast.people:
        warming.warm(PERSON, one)
    for one in scene.cast.posts:
        warming.warm(POST, one)


def killed(scene: Scene) -> None:
    warm(scene)
    scene.away(scene.pick(8, 60), "postgres")


def mid_batch(scene: Scene) -> None:
    warm(scene)
    for _ in range(4):
        scene.away(0.3, "postgres")
        scene.load(scene.pick(3, 6))


def frozen(scene: Scene) -> None:
    warm(scene)
    scene.frozen(scene.pick(6, 50), "postgres")


WARM = frozenset({"like", "unlike"})
DRILLS = (
    Drill(
        "postgres-killed", "PostgreSQL: SIGKILL, away", PROMISES, killed, True,
        may_put_off=NEEDS_POSTGRES, rarely=WARM,
    ),
    Drill(
        "postgres-killed-4", "PostgreSQL: SIGKILL four times", PROMISES, mid_batch,
        may_put_off=NEEDS_POSTGRES, rarely=WARM,
    ),
    Drill(
        "postgres-frozen", "PostgreSQL: SIGSTOP", PROMISES, frozen, True,
        may_put_off=NEEDS_POSTGRES, rarely=WARM, rest_seconds=200,
    ),
)  # fmt: skip
