"""A drill: what is broken, while people act, and what must hold. The shape of drills/faults/*.py.

In    a fault: DRILLS, each with `act(scene)`
Out   drills/stage.py, which plays it
"""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.domain.loops import PROCESSES
from bench.stage import wait_until
from drills.cast import Cast
from drills.checker import Bounds
from drills.ground import Setup
from drills.processes import Process
from drills.rig import Rig

WRITES_BY_SCRIPT = frozenset({"like", "unlike", "follow", "unfollow", "comment"})
NEEDS_POSTGRES = frozenset({"otp", "read", "comment", "follow", "unfollow"})
EVERYTHING = WRITES_BY_SCRIPT | NEEDS_POSTGRES
LONGEST_SECONDS, CRITICAL_SECONDS, PUSH_BACK_SECONDS = 2.0, 2.0, 5.0
SLACK_SECONDS = float(os.environ.get("DRILL_SLACK_SECONDS", "1.5"))
"""What a busy machine may add to each figure, beside the lateness that is measured."""


@dataclass
class Scene:
    """What an `act` has in its hands."""

    rig: Rig
    cast: Cast
    draw: random.Random
    short: bool
    say: Callable[[str], None]
    poison: set[tuple[str, str]] = field(default_factory=set)
    figures: dict[str, Any] = field(default_factory=dict)
    returns: list[float] = field(default_factory=list)
    """When Redis was back, by the clock of the ledger."""
    complaints: list[str] = field(default_factory=list)
    """What the act itself saw and must not be: its own invariant."""

    def pick(self, short: float, long: float) -> float:
        return short if self.short else long

    def load(self, seconds: float) -> None:
        """People act meanwhile; the moment of what follows is drawn."""
        time.sleep(seconds * self.draw.uniform(0.8, 1.2))

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        wait_until(holds, what, seconds)

    def kill(self, *services: str) -> None:
        for one in services:
            self.rig.own(one)
        self.rig.services.kill(*services)

    def kill_if_running(self, service: str) -> None:
        if self.rig.services.status(service)[service].state != "stopped":
            self.kill(service)

    def away(self, seconds: float, *services: str) -> None:
        """Killed, absent for so long, and back."""
        self.kill(*services)
        self.load(seconds)
        self.rig.services.start(*services)
        self._is_back(services)

    def frozen(self, seconds: float, *services: str) -> None:
        for one in services:
            self.rig.own(one)
        self.rig.services.pause(*services)
        try:
            self.load(seconds)
        finally:
            self.rig.services.resume(*services)
            self._is_back(services)

    def _is_back(self, services: tuple[str, ...]) -> None:
        if "redis" in services:
            self.returns.append(time.time())

    def process(self, name: str) -> Process:
        return next(one for one in self.rig.processes if one.name == name)

    def dies_at(
        self,
        name: str,
        point: str,
        seconds: float = 60.0,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> bool:
        """The worker is replaced by one that dies at that line; False if it never came by."""
        one = self.process(name)
        before = one.deaths
        self.rig.replace(one, FAILPOINT=point)
        meanwhile()
        give_up = time.monotonic() + seconds
        while one.deaths == before and time.monotonic() < give_up:
            time.sleep(0.1)
        return one.deaths > before


@dataclass(frozen=True)
class Drill:
    """`short`: with short times it also runs in `make test` and under --short."""

    name: str
    breaks: str
    promises: tuple[str, ...]
    act: Callable[[Scene], None]
    short: bool = False
    setup: Setup = Setup()  # noqa: RUF009 - frozen
    behaviour: tuple[tuple[str, Any], ...] = ()
    may_put_off: frozenset[str] = frozenset()
    rarely: frozenset[str] = frozenset()
    may_cut: bool = False
    may_reload: bool = False
    may_lose: bool = False
    """As many as the act says in figures["may lose"]."""
    normal_after: float = float("inf")
    """Seconds after Redis's last return from which no answer may be stale."""
    longest: float = LONGEST_SECONDS
    critical: float = CRITICAL_SECONDS
    memory_mb: float = 600.0
    slope_mb: float = float("inf")
    """MB per minute by which a process may grow, where the drill is long enough to tell."""
    rest_seconds: float = 150.0
    impossible: Callable[[], str | None] = lambda: None
    """A sentence when this machine does not allow it."""

    def rig(self, folder: Path, say: Callable[[str], None]) -> Rig:
        return Rig(folder, say, self.setup)

    def fits(self, rig: Rig) -> bool:
        return self.setup == rig.setup

    def most_lost(self, scene: Scene) -> int:
        return int(scene.figures.get("may lose", 0)) if self.may_lose else 0

    def bounds(self, scene: Scene, lateness: float) -> Bounds:
        slack = SLACK_SECONDS + lateness
        return Bounds(
            longest=self.longest + slack,
            critical_p99=self.critical + slack,
            may_put_off=self.may_put_off | self.rarely,
            rarely=self.rarely,
            may_cut=self.may_cut,
            may_reload=self.may_reload,
            may_lose=self.most_lost(scene),
            memory_mb=self.memory_mb,
            slope_mb=self.slope_mb,
            poison=frozenset(scene.poison),
            push_back=PUSH_BACK_SECONDS + slack,
            returns=tuple(scene.returns),
            normal_after=self.normal_after + slack,
        )


def for_each_worker(make: Callable[[str], Drill]) -> tuple[Drill, ...]:
    return tuple(make(name) for name in PROCESSES)


def variant(drill: Drill, **changes: Any) -> Drill:
    return replace(drill, **changes)
