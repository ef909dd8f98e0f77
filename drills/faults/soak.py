"""Ten minutes of whatever comes: one fault after the other, drawn, and memory that stays flat."""

import time
from collections.abc import Callable

from app.domain.loops import PROCESSES
from drills.drill import EVERYTHING, Drill, Scene
from infra.services import NAMES as SERVICES

MINUTES = 10.0
Fault = tuple[str, Callable[[Scene], None]]


def _away(service: str) -> Fault:
    return f"{service} away", lambda scene: scene.away(scene.draw.uniform(0.5, 6), service)


def _frozen(service: str) -> Fault:
    return f"{service} frozen", lambda scene: scene.frozen(scene.draw.uniform(0.5, 6), service)


def _killed(name: str) -> Fault:
    return f"{name} killed", lambda scene: scene.process(name).kill()


def _asleep(name: str) -> Fault:
    def act(scene: Scene) -> None:
        one = scene.process(name)
        one.freeze()
        try:
            scene.load(scene.draw.uniform(1, 12))
        finally:
            one.thaw()

    return f"{name} frozen", act


FAULTS: list[Fault] = [
    *map(_away, SERVICES),
    *map(_frozen, SERVICES),
    *map(_killed, (*PROCESSES, "web-1", "web-2")),
    *map(_asleep, PROCESSES),
]


def act(scene: Scene) -> None:
    told: list[str] = []
    end = time.monotonic() + 60 * scene.pick(1, MINUTES)
    while time.monotonic() < end:
        name, fault = scene.draw.choice(FAULTS)
        scene.say(f"    {name}")
        told.append(name)
        fault(scene)
        scene.load(10)
    scene.figures["faults"] = told


DRILLS = (
    Drill(
        "soak",
        "ten minutes of faults that are drawn",
        ("P1", "P2", "P3", "P11", "P12"),
        act,
        may_put_off=EVERYTHING,
        may_cut=True,
        critical=5.0,
        longest=3.0,
        rest_seconds=300,
        slope_mb=8.0,
    ),
)
