"""S5: who reads the feed while ten thousand likes of one post arrive: how long its query takes.

In    the feed's own query (app/stores/posts.py), a hundred times a second at most
Out   its latencies: with nothing going on, beside the whole pipeline, beside a row per like

Both get their likes over HTTP from 64 connections, each as fast as it is answered.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import gevent
from sqlalchemy import text

from app.domain.loops import PROCESSES
from app.stores.posts import Posts
from app.stores.posts import Slice as Part
from bench.figures import Figure, Goal, Slice, alternate, slowness, spread
from bench.likes import CONNECTIONS
from bench.load import Client, request
from bench.people import people, posts, token, warm
from bench.stage import SECRET, Running, Stage, wait_until

LIKES, FEW = 10_000, 1_280
PAGE = 20
READ_SECONDS, IDLE_SECONDS = 0.01, 3.0
SETTLE_SECONDS = 60.0
WINDOW = {"AGGREGATION_WINDOW_SECONDS": "1", "AGGREGATION_JITTER_SECONDS": "0.2"}
"""A window a second: the flusher writes while people read."""
IDLE, PIPELINE, INSERT = (
    "nobody likes",
    f"{LIKES:,} likes by the pipeline",
    f"{FEW:,} likes, INSERT + UPDATE + commit each",
)
_COUNTED = text(
    "select like_count from posts where id = :post "
    "and not exists (select from outbox where published_at is null)"
)


@dataclass
class Reading:
    """The readers, and how fast likes were taken meanwhile."""

    stage: Stage
    client: Client
    owner: str
    tokens: Sequence[str]
    taken: dict[str, list[float]] = field(default_factory=dict)

    def idle(self) -> Slice:
        return self._read(lambda: gevent.sleep(IDLE_SECONDS))

    def beside(self, name: str, server: Running, likes: int) -> Slice:
        """Everybody likes a fresh post once; what was accepted is written before others begin."""
        parts = self.stage.parts.parts
        [post] = posts(parts.engine, self.owner, 1)
        warm(parts.memberships, self.owner, [post])
        each = likes // CONNECTIONS
        asks = [request("PUT", f"/api/posts/{post}/like", one) for one in self.tokens]
        lanes = [asks[place::CONNECTIONS][: each + 1] for place in range(CONNECTIONS)]
        self.client.prepare(name, lanes)

        def load() -> None:
            began = time.perf_counter()
            done = self.client.run(name, server.port, seconds=0.0, least=each)["done"]
            self.taken.setdefault(name, []).append(done / (time.perf_counter() - began))
            gevent.sleep(2.0)  # the window closes and is written while they read on

        made = self._read(load)
        wait_until(lambda: self._written(post) >= likes, f"the likes of {name}", SETTLE_SECONDS)
        return made

    def _read(self, act: Callable[[], object]) -> Slice:
        reads, found = Posts(self.stage.parts.parts.engine), []
        began = time.perf_counter()
        acting = gevent.spawn(act)
        while not acting.ready():
            asked = time.perf_counter()
            reads.newest(None, Part(PAGE))
            found.append((time.perf_counter() - asked) * 1000)
            gevent.sleep(READ_SECONDS)
        acting.get()
        return Slice(len(found), time.perf_counter() - began, latencies_ms=tuple(found))

    def _written(self, post: str) -> int:
        with self.stage.parts.parts.engine.connect() as sql:
            return int(sql.execute(_COUNTED, {"post": post}).scalar() or 0)


def figure(stage: Stage, rounds: int) -> Figure:
    engine = stage.parts.parts.engine
    web = stage.web("app.wsgi:app")
    for name in PROCESSES:
        stage.worker(name, WINDOW)
    plain = stage.web("bench.baselines:app", {"BENCH_APP": "insert"})
    [owner] = people(engine, 1)
    tokens = [token(one, SECRET) for one in people(engine, LIKES + CONNECTIONS)]
    client = Client()
    try:
        reading = Reading(stage, client, owner, tokens)
        posts(engine, owner, PAGE)
        contestants = {
            IDLE: reading.idle,
            PIPELINE: lambda: reading.beside(PIPELINE, web, LIKES),
            INSERT: lambda: reading.beside(INSERT, plain, FEW),
        }
        for one in contestants.values():
            one()
        reading.taken.clear()
        measured = alternate(contestants, rounds)
    finally:
        client.close()
    made = Figure("S5", "the feed's query while a post goes viral", "reads/s", measured, IDLE)
    made.compare = partial(slowness, percent=99)
    late = made.compare(measured[PIPELINE], measured[IDLE]).median
    made.goals = [Goal("p99 by the pipeline / idle", late, 4, at_most=True)]
    for name, speeds in reading.taken.items():
        made.facts[f"likes taken a second: {name}"] = f"{spread(speeds).median:,.0f}"
    made.notes = [
        f"The newest {PAGE} posts with their authors. x baseline: by the p99 of each round.",
        f"{FEW:,} likes where a row each takes too long; both on a post of their own each turn.",
        "All processes share these cores with the readers: what is measured is also their hunger.",
    ]
    stage.stop()
    return made
