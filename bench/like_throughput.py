"""S1: throughput of like requests, compared with an empty endpoint, a conventional one and a row per like.

64 keep-alive connections alternate PUT and DELETE, so that every request changes something. No worker
runs: this measures the cost in the web process.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.harness import BenchHarness
from bench.load import LoadClient, build_request
from bench.query_counts import count_calls
from bench.results import (
    BenchmarkResult,
    Goal,
    Measurement,
    MeasurementsByVariant,
    Spread,
    measure_alternately,
    throughput_ratio,
)
from harness.environment import TEST_SECRET_KEY
from harness.fixtures import create_access_token, create_posts, create_users, init_caches
from harness.processes import ManagedProcess

CONNECTION_COUNT = 64
USER_COUNT = 512
POST_COUNT = 200
(
    LIKE_VARIANT,
    HOT_POST_VARIANT,
    NOOP_VARIANT,
    CONVENTIONAL_VARIANT,
    INSERT_VARIANT,
    INSERT_HOT_POST_VARIANT,
) = (
    "like, 200 posts",
    "like, one hot post",
    "empty endpoint",
    "conventional: jwt-extended, redis-py, Lua",
    "INSERT + UPDATE + commit, 200 posts",
    "INSERT + UPDATE + commit, hot post",
)


@dataclass(frozen=True, slots=True)
class LikeBenchmark:
    """One variant: a server and the requests sent to it."""

    client: LoadClient
    variant: str
    server: ManagedProcess
    clear_ingress: Callable[[], object]

    def run(self, seconds: float, min_requests: int = 0) -> Measurement:
        self.clear_ingress()
        cpu_seconds = self.server.cpu_seconds()
        result = self.client.run(self.variant, self.server.port, seconds, min_requests)
        cpu_seconds = self.server.cpu_seconds() - cpu_seconds
        return Measurement(
            completed=result["completed"],
            elapsed_seconds=result["seconds"],
            cpu_seconds=cpu_seconds * result["completed"] / result["served"],
            latencies_ms=tuple(result["latencies_ms"]),
        )


def run_benchmark(harness: BenchHarness, rounds: int, seconds: float) -> BenchmarkResult:
    web = harness.start_web("app.wsgi:app")
    baseline_servers = {
        name: harness.start_web("bench.baselines:app", {"BENCH_APP": name})
        for name in ("noop", "conventional", "insert")
    }
    servers = {
        LIKE_VARIANT: web,
        HOT_POST_VARIANT: web,
        NOOP_VARIANT: baseline_servers["noop"],
        CONVENTIONAL_VARIANT: baseline_servers["conventional"],
        INSERT_VARIANT: baseline_servers["insert"],
        INSERT_HOT_POST_VARIANT: baseline_servers["insert"],
    }
    user_ids = create_users(harness.worker_services.services.engine, USER_COUNT)
    tokens = [create_access_token(user_id, TEST_SECRET_KEY) for user_id in user_ids]
    client = LoadClient()
    try:
        benchmarks = [_prepare_benchmark(harness, client, name, servers[name], tokens) for name in servers]
        for benchmark in benchmarks:
            # Warm-up: every token is verified once, all pools are filled.
            benchmark.run(seconds, min_requests=2 * USER_COUNT // CONNECTION_COUNT)
        measurements = measure_alternately(
            {benchmark.variant: _measure_once(benchmark, seconds) for benchmark in benchmarks}, rounds
        )
    finally:
        client.close()
    benchmark_result = BenchmarkResult(
        "S1", "like request, 64 connections", "requests/s", measurements, NOOP_VARIANT
    )
    benchmark_result.goals = _goals(measurements)
    benchmark_result.notes = [
        "All servers: one gunicorn worker with gunicorn.conf.py, same URL and headers. "
        "CPU: the server process, per request.",
        "With 64 connections in a closed loop p99 is mostly queueing; 64 / rate is its lower bound.",
        "Tokens were used before; the signature of each is verified only once.",
    ]
    count_calls(benchmark_result, harness, web, tokens[0])
    harness.stop()
    return benchmark_result


def _prepare_benchmark(
    harness: BenchHarness,
    client: LoadClient,
    variant: str,
    server: ManagedProcess,
    tokens: Sequence[str],
) -> LikeBenchmark:
    """Each variant has posts of its own: two on one post would undo each other's likes."""
    services = harness.worker_services.services
    [owner_id] = create_users(services.engine, 1)
    post_ids = create_posts(
        services.engine,
        owner_id,
        1 if variant in (HOT_POST_VARIANT, INSERT_HOT_POST_VARIANT) else POST_COUNT,
    )
    init_caches(services.memberships, owner_id, post_ids)
    client.prepare(variant, build_requests_by_connection(tokens, post_ids, CONNECTION_COUNT))
    shards = [f"ingress:{shard}" for shard in services.ingress.shards]
    # No bridge runs, so its work is done here: otherwise the ingress would fill Redis.
    return LikeBenchmark(client, variant, server, lambda: services.redis.unlink(*shards))


def build_requests_by_connection(
    tokens: Sequence[str], post_ids: Sequence[str], connection_count: int
) -> list[list[bytes]]:
    """The requests of each connection: everybody likes four posts, and takes each like back."""
    requests_by_connection: list[list[bytes]] = [[] for _ in range(connection_count)]
    for step in range(min(4, len(post_ids))):
        for token_index, access_token in enumerate(tokens):
            path = f"/api/posts/{post_ids[(token_index * 7 + step * 53) % len(post_ids)]}/like"
            requests_by_connection[token_index % connection_count] += [
                build_request("PUT", path, access_token),
                build_request("DELETE", path, access_token),
            ]
    return requests_by_connection


def _measure_once(benchmark: LikeBenchmark, seconds: float) -> Callable[[], Measurement]:
    return lambda: benchmark.run(seconds)


def _goals(measurements: MeasurementsByVariant) -> list[Goal]:
    def ratio(variant: str, baseline: str) -> Spread:
        return throughput_ratio(measurements[variant], measurements[baseline])

    return [
        Goal("like, hot post / empty endpoint", ratio(HOT_POST_VARIANT, NOOP_VARIANT), 0.80),
        Goal("like / empty endpoint", ratio(LIKE_VARIANT, NOOP_VARIANT), 0.80),
        Goal("like / conventional", ratio(LIKE_VARIANT, CONVENTIONAL_VARIANT), 2.5),
        Goal("like / row per like", ratio(LIKE_VARIANT, INSERT_VARIANT), 4.0),
        Goal(
            "like / row per like, hot post",
            ratio(HOT_POST_VARIANT, INSERT_HOT_POST_VARIANT),
            10.0,
        ),
    ]
