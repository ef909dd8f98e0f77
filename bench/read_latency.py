"""S5: latency of the feed query while ten thousand likes of one post arrive.

Runs the query of app/social/posts.py at most a hundred times a second: idle, beside the pipeline, and
beside an endpoint that writes a row per like. Likes come over HTTP from 64 connections in a closed loop.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import gevent
from sqlalchemy import text

from app.domain.worker_loops import WORKER_PROCESSES
from app.persistence.pages import PageRequest
from app.social.posts import PostReader
from bench.harness import BenchHarness
from bench.like_throughput import CONNECTION_COUNT
from bench.load import LoadClient, build_request
from bench.results import (
    BenchmarkResult,
    Goal,
    Measurement,
    latency_ratio,
    measure_alternately,
    spread,
)
from harness.environment import TEST_SECRET_KEY
from harness.fixtures import create_access_token, create_posts, create_users, init_caches
from harness.processes import ManagedProcess
from harness.waiting import wait_until

LIKE_COUNT, SMALL_LIKE_COUNT = 10_000, 1_280
PAGE_SIZE = 20
READ_INTERVAL_SECONDS, IDLE_DURATION_SECONDS = 0.01, 3.0
SETTLE_TIMEOUT_SECONDS = 60.0
WRITE_DURATION_SECONDS = 2.0
WINDOW_SETTINGS = {"AGGREGATION_WINDOW_SECONDS": "1", "AGGREGATION_JITTER_SECONDS": "0.2"}
"""Short windows, so that the flusher writes while the feed is read."""
IDLE_VARIANT, PIPELINE_VARIANT, INSERT_VARIANT = (
    "idle",
    f"{LIKE_COUNT:,} likes through the pipeline",
    f"{SMALL_LIKE_COUNT:,} likes, INSERT + UPDATE + commit each",
)
_SELECT_COUNT_WHEN_SETTLED = text(
    "select like_count from posts where id = :post "
    "and not exists (select from outbox where published_at is null)"
)


@dataclass
class FeedReadBenchmark:
    """Measures reads, and the rate of likes meanwhile."""

    harness: BenchHarness
    client: LoadClient
    owner_id: str
    tokens: Sequence[str]
    like_rates_by_variant: dict[str, list[float]] = field(default_factory=dict)

    def measure_idle(self) -> Measurement:
        return self._measure_reads(lambda: gevent.sleep(IDLE_DURATION_SECONDS))

    def measure_under_load(self, variant: str, server: ManagedProcess, like_count: int) -> Measurement:
        """All users like a new post once. Returns when the likes are written."""
        services = self.harness.worker_services.services
        [post_id] = create_posts(services.engine, self.owner_id, 1)
        init_caches(services.memberships, self.owner_id, [post_id])
        likes_per_connection = like_count // CONNECTION_COUNT
        requests = [
            build_request("PUT", f"/api/posts/{post_id}/like", access_token) for access_token in self.tokens
        ]
        requests_by_connection = [
            requests[connection_index::CONNECTION_COUNT][: likes_per_connection + 1]
            for connection_index in range(CONNECTION_COUNT)
        ]
        self.client.prepare(variant, requests_by_connection)

        def load() -> None:
            started_at = time.perf_counter()
            completed = self.client.run(variant, server.port, seconds=0.0, min_requests=likes_per_connection)[
                "completed"
            ]
            self.like_rates_by_variant.setdefault(variant, []).append(
                completed / (time.perf_counter() - started_at)
            )
            gevent.sleep(WRITE_DURATION_SECONDS)  # the window is closed and written while reads go on

        measurement = self._measure_reads(load)
        wait_until(
            lambda: self._count_written_likes(post_id) >= like_count,
            f"the likes of {variant}",
            SETTLE_TIMEOUT_SECONDS,
        )
        return measurement

    def _measure_reads(self, background_action: Callable[[], object]) -> Measurement:
        post_store, latencies_ms = PostReader(self.harness.worker_services.services.engine), []
        started_at = time.perf_counter()
        greenlet = gevent.spawn(background_action)
        while not greenlet.ready():
            read_started_at = time.perf_counter()
            post_store.list_newest(None, PageRequest(PAGE_SIZE))
            latencies_ms.append((time.perf_counter() - read_started_at) * 1000)
            gevent.sleep(READ_INTERVAL_SECONDS)
        greenlet.get()
        return Measurement(
            len(latencies_ms), time.perf_counter() - started_at, latencies_ms=tuple(latencies_ms)
        )

    def _count_written_likes(self, post_id: str) -> int:
        with self.harness.worker_services.services.engine.connect() as conn:
            return int(conn.execute(_SELECT_COUNT_WHEN_SETTLED, {"post": post_id}).scalar() or 0)


def run_benchmark(harness: BenchHarness, rounds: int) -> BenchmarkResult:
    engine = harness.worker_services.services.engine
    web = harness.start_web("app.wsgi:app")
    for name in WORKER_PROCESSES:
        harness.start_worker(name, WINDOW_SETTINGS)
    insert_web = harness.start_web("bench.baselines:app", {"BENCH_APP": "insert"})
    [owner_id] = create_users(engine, 1)
    tokens = [
        create_access_token(user_id, TEST_SECRET_KEY)
        for user_id in create_users(engine, LIKE_COUNT + CONNECTION_COUNT)
    ]
    client = LoadClient()
    try:
        benchmark = FeedReadBenchmark(harness, client, owner_id, tokens)
        create_posts(engine, owner_id, PAGE_SIZE)
        measure_by_variant: dict[str, Callable[[], Measurement]] = {
            IDLE_VARIANT: benchmark.measure_idle,
            PIPELINE_VARIANT: lambda: benchmark.measure_under_load(PIPELINE_VARIANT, web, LIKE_COUNT),
            INSERT_VARIANT: lambda: benchmark.measure_under_load(
                INSERT_VARIANT, insert_web, SMALL_LIKE_COUNT
            ),
        }
        for measure in measure_by_variant.values():
            measure()
        benchmark.like_rates_by_variant.clear()
        measurements = measure_alternately(measure_by_variant, rounds)
    finally:
        client.close()
    benchmark_result = BenchmarkResult(
        "S5", "feed query while one post gets many likes", "reads/s", measurements, IDLE_VARIANT
    )
    benchmark_result.compare_to_baseline = partial(latency_ratio, percent=99)
    p99_ratio = benchmark_result.compare_to_baseline(
        measurements[PIPELINE_VARIANT], measurements[IDLE_VARIANT]
    )
    benchmark_result.goals = [Goal("p99 beside the pipeline / idle", p99_ratio, 4, is_upper_bound=True)]
    for name, like_rates in benchmark.like_rates_by_variant.items():
        benchmark_result.facts[f"likes per second: {name}"] = spread(like_rates)
    benchmark_result.notes = [
        f"The newest {PAGE_SIZE} posts with their authors. x baseline: ratio of the p99 of each round.",
        f"{SMALL_LIKE_COUNT:,} likes where each writes a row, which is slow; a new post in each round.",
        "All processes share the cores with the readers, so their CPU use is part of the figure.",
    ]
    harness.stop()
    return benchmark_result
