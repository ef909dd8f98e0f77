"""PostgreSQL is killed and away, or frozen: warm likes go on, the rest is told to come later."""

from drills.drill import NEEDS_POSTGRES, Drill, Scene
from drills.ledger import WISHES

PROMISES = ("P1", "P2", "P8", "P11")


def killed(scene: Scene) -> None:
    scene.away(scene.pick(8, 60), "postgres")


def mid_batch(scene: Scene) -> None:
    for _ in range(4):
        scene.away(0.3, "postgres")
        scene.load(scene.pick(3, 6))


def frozen(scene: Scene) -> None:
    scene.frozen(scene.pick(6, 50), "postgres")


# Also a like may be the first of its post or of its owner, which is read from the tables.
LATER = NEEDS_POSTGRES | set(WISHES)
DRILLS = (
    Drill(
        "postgres-killed", "PostgreSQL: SIGKILL, away", PROMISES, killed, True, may_put_off=LATER
    ),
    Drill(
        "postgres-killed-4", "PostgreSQL: SIGKILL four times", PROMISES, mid_batch,
        may_put_off=LATER,
    ),
    Drill(
        "postgres-frozen", "PostgreSQL: SIGSTOP", PROMISES, frozen, True, may_put_off=LATER,
        rest_seconds=200,
    ),
)  # fmt: skip
