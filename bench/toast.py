"""S4: from the click to the toast, through all five processes, against emitting in the request.

Every like is the first of a fresh post, so each is told at once. Times between the ends come from
what the pipeline writes anyway: the event's seq, the records' append times, the outbox rows.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection

import gevent

from app.domain.loops import PROCESSES
from bench.figures import Figure, Goal, Slice, alternate, latencies, percentile, slowness, spread
from bench.hops import hops
from bench.people import people, posts, token, warm
from bench.sockets import Listener
from bench.stage import SECRET, Running, Stage

AT_ONCE = 16
TOAST_SECONDS = 15.0
FIRST_TOAST_SECONDS = 60.0
ALONE, CROWDED, DIRECT, DIRECT_CROWDED = (
    "click to toast, one at a time",
    f"click to toast, {AT_ONCE} at once",
    "direct emit, one at a time",
    f"direct emit, {AT_ONCE} at once",
)


@dataclass(slots=True)
class Click:
    """One like: wall-clock times, since the others' stamps are such."""

    post: str
    clicked: float
    answered: float
    toasted: float
    alone: bool = True


@dataclass
class Side:
    """A server, and per pair an owner who listens and somebody who likes."""

    stage: Stage
    server: Running
    processes: list[Running]
    owners: list[str]
    likers: list[str]
    ears: list[Listener]
    links: list[HTTPConnection]
    clicks: list[Click] = field(default_factory=list)

    def alone(self, likes: int) -> Slice:
        """Pauses are drawn, so that no poll of the pipeline falls into step with us."""
        some = []
        fresh = self._ready(0, likes)
        began = time.perf_counter()
        for post in fresh:
            gevent.sleep(random.uniform(0.05, 0.15))
            some.append(self.click(0, post))
        return self._slice(some, began)

    def crowded(self, likes: int) -> Slice:
        fresh = [self._ready(place, max(1, likes // 4)) for place in range(AT_ONCE)]
        before = self.spent()
        began = time.perf_counter()

        def row(place: int) -> list[Click]:
            return [self.click(place, post, alone=False) for post in fresh[place]]

        jobs = [gevent.spawn(row, place) for place in range(AT_ONCE)]
        made = self._slice([one for job in jobs for one in job.get()], began)
        costs = {name: one - before[name] for name, one in self.spent().items()}
        each = {name: one * 1000 / made.done for name, one in costs.items()}
        return replace(made, cpu_seconds=sum(costs.values()), phases_ms=each)

    def first(self) -> None:
        """The consumers join their groups meanwhile."""
        [post] = self._ready(0, 1)
        self.click(0, post, FIRST_TOAST_SECONDS)

    def click(
        self, place: int, post: str, patience: float = TOAST_SECONDS, alone: bool = True
    ) -> Click:
        owner = self.owners[place]
        headers = {"Authorization": f"Bearer {self.likers[place]}", "X-Owner": owner}
        link = self.links[place]
        clicked = time.time()
        link.request("PUT", f"/api/posts/{post}/like", headers=headers)
        answer = link.getresponse()
        said = answer.read()
        answered = time.time()
        if answer.status != 200:
            raise RuntimeError(f"a like was answered {answer.status}: {said[:200]!r}")
        toasted = self.ears[place].heard(post, patience)
        return Click(post, clicked, answered, toasted, alone)

    def close(self) -> None:
        for ear, link in zip(self.ears, self.links, strict=True):
            ear.close()
            link.close()

    def _ready(self, place: int, many: int) -> list[str]:
        """Made before the clock starts: on our one hub it would delay the hearing. The connection
        is opened afresh as well, since gunicorn closes those that idled while others had a turn."""
        parts, owner = self.stage.parts.parts, self.owners[place]
        self.links[place].close()
        self.links[place].connect()
        made = posts(parts.engine, owner, many)
        warm(parts.memberships, owner, made)
        return made

    def _slice(self, some: Sequence[Click], began: float) -> Slice:
        self.clicks += some
        times = tuple((one.toasted - one.clicked) * 1000 for one in some)
        return Slice(len(some), time.perf_counter() - began, latencies_ms=times)

    def spent(self) -> dict[str, float]:
        """CPU so far of each process that has a part in it."""
        return {one.name: one.cpu_seconds() for one in self.processes}


def figure(stage: Stage, rounds: int, likes: int) -> Figure:
    web = stage.web("app.wsgi:app")
    bare = stage.web("bench.baselines:app", {"BENCH_APP": "direct"})
    workers = [stage.worker(name) for name in PROCESSES]
    ours = _side(stage, [web, *workers], lambda user: token(user, SECRET))
    direct = _side(stage, [bare], lambda user: user)
    ours.first()
    for side in (ours, direct):
        side.alone(likes)
        side.crowded(likes)
        side.clicks.clear()
    contestants = {
        ALONE: lambda: ours.alone(likes),
        DIRECT: lambda: direct.alone(likes),
        CROWDED: lambda: ours.crowded(likes),
        DIRECT_CROWDED: lambda: direct.crowded(likes),
    }
    measured = alternate(contestants, rounds)
    made = Figure("S4", "click to toast of an instant like", "likes/s", measured, DIRECT)
    made.beside = {CROWDED: DIRECT_CROWDED, DIRECT_CROWDED: DIRECT_CROWDED}
    made.compare = slowness
    late = {name: latencies(some) for name, some in measured.items()}
    made.goals = [
        Goal("p50 in ms, one at a time", percentile(late[ALONE], 50), 25, at_most=True),
        Goal("p99 in ms, one at a time", percentile(late[ALONE], 99), 100, at_most=True),
        Goal(f"p99 in ms, {AT_ONCE} at once", percentile(late[CROWDED], 99), 250, at_most=True),
    ]
    made.facts = hops(stage, [one for one in ours.clicks if one.alone])
    made.facts["CPU of a toast in ms, 16 at once"] = ", ".join(
        f"{name} {spread([one.phases_ms[name] for one in measured[CROWDED]]).median:.1f}"
        for name in measured[CROWDED][0].phases_ms
    )
    made.notes = [
        "x baseline: by the p50 of each round, more is slower. Likes/s count the pauses between.",
        "Direct: the same Socket.IO stack and Redis channel; nothing is stored, counted or logged.",
    ]
    for side in (ours, direct):
        side.close()
    stage.stop()
    return made


def _side(stage: Stage, processes: list[Running], credential: Callable[[str], str]) -> Side:
    server = processes[0]
    engine = stage.parts.parts.engine
    owners, likers = people(engine, AT_ONCE), people(engine, AT_ONCE)
    return Side(
        stage,
        server,
        processes,
        owners,
        [token(one, SECRET) for one in likers],
        [Listener(server.port, one, credential(one)) for one in owners],
        [HTTPConnection("127.0.0.1", server.port, timeout=10) for _ in owners],
    )
