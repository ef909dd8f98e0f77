"""FLUSHALL under load. May be lost: what the bridge had not moved at that moment, and no more."""

from bench.stage import wait_until
from drills.drill import EVERYTHING, Drill, Scene

MARGIN = 60
"""Requests between our look at the streams and the FLUSHALL, at a hundred a second."""


def act(scene: Scene) -> None:
    store = scene.rig.redis
    waiting = sum(store.xlen(f"ingress:{shard}") for shard in range(5))
    store.flushall()
    scene.figures["may lose"] = waiting + MARGIN
    wait_until(lambda: bool(store.exists("windows:epoch")), "Redis to be known as emptied", 30)


DRILLS = (
    Drill(
        "redis-emptied",
        "Redis: FLUSHALL",
        ("P7",),
        act,
        short=True,
        rarely=EVERYTHING,
        may_lose=True,
        may_reload=True,
    ),
)
