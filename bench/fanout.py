"""S6: one frame to many sockets, and single frames to single people, against bare python-socketio.

Both servers: one gunicorn worker, the same worker class, frames through a Redis channel. Ours does
beside that what it promises: rooms by token, no frame twice, none out of turn, bounded queues.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import gevent
import socketio

from app.streams.push import SIGNED_IN, Push, room_of
from bench.audience import CHANNEL, EVENT, Audience
from bench.figures import Figure, Goal, Slice, alternate, latencies, percentile, slowness
from bench.people import people, token
from bench.stage import SECRET, Running, Stage

CLIENTS = 2_000
SINGLES, PAUSE_SECONDS = 200, 0.01
PATIENCE_SECONDS = 30.0
ALL, BARE_ALL, ONE, BARE_ONE = (
    f"one frame to {CLIENTS:,} sockets",
    f"python-socketio: one frame to {CLIENTS:,} sockets",
    f"{1 / PAUSE_SECONDS:.0f} frames a second, each to one of {CLIENTS:,}",
    f"python-socketio: {1 / PAUSE_SECONDS:.0f} frames a second, each to one",
)
Emit = Callable[[str, dict[str, object], str], object]


@dataclass
class House:
    """A server, its audience, and how one speaks to it."""

    server: Running
    emit: Emit
    people: list[str]
    audience: Audience
    whole_ms: list[float] = field(default_factory=list)
    """Of each frame to all, when the last had it."""

    def to_all(self, times: int) -> Slice:
        """One after the other: the next when everybody has heard the last."""
        return self._slice(times * CLIENTS, partial(self._all, times))

    def to_each(self) -> Slice:
        """Paced, with a drawn recipient: what one person's toast waits on this last stretch."""

        def act() -> list[float]:
            speaking = gevent.spawn(self._singles)
            late = self.audience.hears(SINGLES, PATIENCE_SECONDS)
            speaking.get()
            return late

        return self._slice(SINGLES, act)

    def _all(self, times: int) -> list[float]:
        late: list[float] = []
        for _ in range(times):
            self._say(SIGNED_IN)
            some = self.audience.hears(CLIENTS, PATIENCE_SECONDS)
            self.whole_ms.append(max(some))
            late += some
        return late

    def _singles(self) -> None:
        for _ in range(SINGLES):
            self._say(room_of(random.choice(self.people)))
            gevent.sleep(PAUSE_SECONDS)

    def _say(self, room: str) -> None:
        self.emit(EVENT, {"targetId": "bench", "sentAt": time.time() * 1000}, room)

    def _slice(self, frames: int, act: Callable[[], list[float]]) -> Slice:
        spent, began = self.server.cpu_seconds(), time.perf_counter()
        late = act()
        seconds, spent = time.perf_counter() - began, self.server.cpu_seconds() - spent
        return Slice(frames, seconds, cpu_seconds=spent, latencies_ms=tuple(late))


def figure(stage: Stage, rounds: int, times: int) -> Figure:
    ids = people(stage.parts.parts.engine, CLIENTS)
    known = [(one, token(one, SECRET)) for one in ids]
    web = stage.web("app.wsgi:app")
    bare = stage.web("bench.baselines:app", {"BENCH_APP": "rooms"})
    manager = socketio.RedisManager(stage.redis_url, channel=CHANNEL, write_only=True)

    def plainly(event: str, data: dict[str, object], room: str) -> None:
        manager.emit(event, data, room=room)

    ours = House(web, Push(stage.redis_url).emit, ids, Audience(web.port, known))
    theirs = House(bare, plainly, ids, Audience(bare.port, [(one, one) for one in ids]))
    contestants = {
        ALL: lambda: ours.to_all(times),
        BARE_ALL: lambda: theirs.to_all(times),
        ONE: ours.to_each,
        BARE_ONE: theirs.to_each,
    }
    for one in contestants.values():
        one()
    ours.whole_ms.clear()
    measured = alternate(contestants, rounds)
    made = Figure("S6", f"fan-out to {CLIENTS:,} sockets", "frames/s", measured, BARE_ALL)
    made.beside = {ONE: BARE_ONE, BARE_ONE: BARE_ONE}
    single = percentile(latencies(measured[ONE]), 99)
    made.goals = [
        Goal(f"all {CLIENTS:,} have it, ms", percentile(ours.whole_ms, 50), 500, at_most=True),
        Goal("a single frame in ms, p99", single, 10, at_most=True),
    ]
    late = slowness(measured[ONE], measured[BARE_ONE], 99)
    made.facts["p99 of a single frame, times python-socketio's"] = f"{late.median:.2f}"
    made.notes = [
        "Frames/s: frames that arrived, of one server process. CPU: the server's, per frame.",
        "The sockets and their clocks are in a process of their own on the same cores.",
    ]
    for house in (ours, theirs):
        house.audience.close()
    stage.stop()
    return made
