"""Redis returns while people go on writing: normal operation is back within 10 s, and stays."""

import time

from bench.stage import wait_until
from drills.drill import EVERYTHING, Drill, Scene

PROMISES = ("P1", "P2", "P4", "P7")
NORMAL_SECONDS = 10.0
MARGIN = 60
"""Requests between the look at the streams and a FLUSHALL, at a hundred a second."""


def _people_go_on(scene: Scene) -> None:
    """Two minutes of writes. Fails when normal operation ends once more in that time."""
    before = _switches(scene)
    time.sleep(scene.pick(20, 120))
    opened, closed = (now - then for now, then in zip(_switches(scene), before, strict=True))
    scene.figures |= {"openings after the return": opened, "closings after the return": closed}


def _switches(scene: Scene) -> tuple[int, int]:
    """How often writes were led back to Redis, and how often away from it, by the logs."""
    logs = [one.log.read_text(errors="replace") for one in scene.rig.processes]
    return (
        sum(log.count("keeper: The gate is open") for log in logs),
        sum(log.count("gate: The gate is closed") for log in logs),
    )


def killed(scene: Scene) -> None:
    scene.away(scene.pick(3, 10), "redis")
    _people_go_on(scene)


def killed_briefly(scene: Scene) -> None:
    scene.away(1, "redis")
    _people_go_on(scene)


def frozen(scene: Scene) -> None:
    scene.frozen(scene.pick(5, 15), "redis")
    _people_go_on(scene)


def emptied(scene: Scene) -> None:
    """Twice, shortly one after the other: both are reported."""
    losses = [_empties(scene), _empties(scene)]
    scene.figures["may lose"] = sum(losses) + 2 * MARGIN
    _people_go_on(scene)


def _empties(scene: Scene) -> int:
    waiting = sum(scene.rig.redis.xlen(f"ingress:{shard}") for shard in range(5))
    before = _reports(scene)
    scene.rig.redis.flushall()
    scene.returns.append(time.time())
    wait_until(lambda: _reports(scene) > before, "the loss to be reported", 10)
    return waiting


def _reports(scene: Scene) -> int:
    log = scene.process("flusher").log.read_text(errors="replace")
    return log.count("Redis was emptied")


def _drill(name: str, breaks: str, act, **more) -> Drill:  # type: ignore[no-untyped-def]
    return Drill(
        name, breaks, PROMISES, act, rarely=EVERYTHING, normal_after=NORMAL_SECONDS, **more
    )


DRILLS = (
    _drill("redis-returns-killed", "Redis: SIGKILL, then two minutes of load", killed, short=True),
    _drill("redis-returns-killed-1s", "Redis: SIGKILL for 1 s, then load", killed_briefly),
    _drill("redis-returns-frozen", "Redis: SIGSTOP, then two minutes of load", frozen),
    _drill(
        "redis-returns-emptied",
        "Redis: FLUSHALL twice, then two minutes of load",
        emptied,
        may_lose=True,
        may_reload=True,
    ),
)
