"""S4: latency from a like request to the toast, compared with emitting in the request itself.

Every like is the first of a new post, so that it is announced at once.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPConnection

import gevent

from app.domain.worker_loops import WORKER_PROCESSES
from bench.harness import BenchHarness
from bench.results import (
    BenchmarkResult,
    Goal,
    Measurement,
    latency_ratio,
    latency_spread,
    measure_alternately,
)
from bench.sockets import ToastListener
from harness.environment import TEST_SECRET_KEY
from harness.fixtures import create_access_token, create_posts, create_users, init_caches
from harness.processes import ManagedProcess

PAIR_COUNT = 16
TOAST_TIMEOUT_SECONDS = 15.0
FIRST_TOAST_TIMEOUT_SECONDS = 60.0
SEQUENTIAL_VARIANT, CONCURRENT_VARIANT, DIRECT_SEQUENTIAL_VARIANT, DIRECT_CONCURRENT_VARIANT = (
    "like to toast, one at a time",
    f"like to toast, {PAIR_COUNT} at once",
    "direct emit, one at a time",
    f"direct emit, {PAIR_COUNT} at once",
)


@dataclass
class ToastServer:
    """A server and pairs of users: one owns posts and listens on a socket, the other likes them."""

    harness: BenchHarness
    server: ManagedProcess
    processes: list[ManagedProcess]
    owner_ids: list[str]
    liker_tokens: list[str]
    listeners: list[ToastListener]
    http_connections: list[HTTPConnection]

    def measure_sequential(self, like_count: int) -> Measurement:
        """Pauses are random, so that likes are not in phase with the pipeline's polling."""
        latencies_ms = []
        post_ids = self._prepare_posts(0, like_count)
        started_at = time.perf_counter()
        for post_id in post_ids:
            gevent.sleep(random.uniform(0.05, 0.15))
            latencies_ms.append(self.like_and_await_toast(0, post_id))
        return _to_measurement(latencies_ms, started_at)

    def measure_concurrent(self, like_count: int) -> Measurement:
        post_ids_by_pair = [
            self._prepare_posts(pair_index, max(1, like_count // 4)) for pair_index in range(PAIR_COUNT)
        ]
        cpu_seconds_before = self.cpu_seconds_by_process()
        started_at = time.perf_counter()

        def run_pair(pair_index: int) -> list[float]:
            return [
                self.like_and_await_toast(pair_index, post_id) for post_id in post_ids_by_pair[pair_index]
            ]

        greenlets = [gevent.spawn(run_pair, pair_index) for pair_index in range(PAIR_COUNT)]
        measurement = _to_measurement(
            [latency_ms for greenlet in greenlets for latency_ms in greenlet.get()], started_at
        )
        cpu_seconds_spent = {
            name: seconds - cpu_seconds_before[name]
            for name, seconds in self.cpu_seconds_by_process().items()
        }
        cpu_ms_per_like = {
            name: seconds * 1000 / measurement.completed for name, seconds in cpu_seconds_spent.items()
        }
        return replace(measurement, cpu_seconds=sum(cpu_seconds_spent.values()), parts=cpu_ms_per_like)

    def wait_for_first_toast(self) -> None:
        """Waits until the consumers have joined their groups."""
        [post_id] = self._prepare_posts(0, 1)
        self.like_and_await_toast(0, post_id, FIRST_TOAST_TIMEOUT_SECONDS)

    def like_and_await_toast(
        self, pair_index: int, post_id: str, timeout_seconds: float = TOAST_TIMEOUT_SECONDS
    ) -> float:
        """Milliseconds from the request to the toast."""
        owner_id = self.owner_ids[pair_index]
        headers = {"Authorization": f"Bearer {self.liker_tokens[pair_index]}", "X-Owner": owner_id}
        http_connection = self.http_connections[pair_index]
        sent_at = time.time()
        http_connection.request("PUT", f"/api/posts/{post_id}/like", headers=headers)
        response = http_connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"a like was answered with {response.status}: {body[:200]!r}")
        toast_at = self.listeners[pair_index].wait_for_toast(post_id, timeout_seconds)
        return (toast_at - sent_at) * 1000

    def close(self) -> None:
        for listener, http_connection in zip(self.listeners, self.http_connections, strict=True):
            listener.close()
            http_connection.close()

    def _prepare_posts(self, pair_index: int, post_count: int) -> list[str]:
        """Called before the time is taken, since it would delay the listeners on the same hub.

        Reopens the HTTP connection too: gunicorn closes connections that were idle.
        """
        services, owner_id = self.harness.worker_services.services, self.owner_ids[pair_index]
        self.http_connections[pair_index].close()
        self.http_connections[pair_index].connect()
        post_ids = create_posts(services.engine, owner_id, post_count)
        init_caches(services.memberships, owner_id, post_ids)
        return post_ids

    def cpu_seconds_by_process(self) -> dict[str, float]:
        """CPU seconds so far, of each process on the path of a like."""
        return {process.name: process.cpu_seconds() for process in self.processes}


def _to_measurement(latencies_ms: Sequence[float], started_at: float) -> Measurement:
    return Measurement(len(latencies_ms), time.perf_counter() - started_at, latencies_ms=tuple(latencies_ms))


def run_benchmark(harness: BenchHarness, rounds: int, like_count: int) -> BenchmarkResult:
    web = harness.start_web("app.wsgi:app")
    direct_web = harness.start_web("bench.baselines:app", {"BENCH_APP": "direct"})
    workers = [harness.start_worker(name) for name in WORKER_PROCESSES]
    pipeline_server = _prepare_server(
        harness, [web, *workers], lambda user_id: create_access_token(user_id, TEST_SECRET_KEY)
    )
    direct_server = _prepare_server(harness, [direct_web], lambda user_id: user_id)
    pipeline_server.wait_for_first_toast()
    for server in (pipeline_server, direct_server):
        server.measure_sequential(like_count)
        server.measure_concurrent(like_count)
    measure_by_variant = {
        SEQUENTIAL_VARIANT: lambda: pipeline_server.measure_sequential(like_count),
        DIRECT_SEQUENTIAL_VARIANT: lambda: direct_server.measure_sequential(like_count),
        CONCURRENT_VARIANT: lambda: pipeline_server.measure_concurrent(like_count),
        DIRECT_CONCURRENT_VARIANT: lambda: direct_server.measure_concurrent(like_count),
    }
    measurements = measure_alternately(measure_by_variant, rounds)
    benchmark_result = BenchmarkResult(
        "S4",
        "like to toast, for an instant like",
        "likes/s",
        measurements,
        DIRECT_SEQUENTIAL_VARIANT,
    )
    benchmark_result.baseline_by_variant = {
        CONCURRENT_VARIANT: DIRECT_CONCURRENT_VARIANT,
        DIRECT_CONCURRENT_VARIANT: DIRECT_CONCURRENT_VARIANT,
    }
    benchmark_result.compare_to_baseline = latency_ratio
    sequential, concurrent = measurements[SEQUENTIAL_VARIANT], measurements[CONCURRENT_VARIANT]
    benchmark_result.goals = [
        Goal("p50 in ms, one at a time", latency_spread(sequential, 50), 25, is_upper_bound=True),
        Goal("p99 in ms, one at a time", latency_spread(sequential, 99), 100, is_upper_bound=True),
        Goal(f"p99 in ms, {PAIR_COUNT} at once", latency_spread(concurrent, 99), 250, is_upper_bound=True),
    ]
    benchmark_result.notes = [
        "x baseline: ratio of the p50 of each round; above 1 is slower. Likes/s include the pauses.",
        "Direct emit: the same Socket.IO stack and Redis channel; nothing is stored, counted or logged.",
    ]
    for server in (pipeline_server, direct_server):
        server.close()
    harness.stop()
    return benchmark_result


def _prepare_server(
    harness: BenchHarness, processes: list[ManagedProcess], create_token: Callable[[str], str]
) -> ToastServer:
    web_process = processes[0]
    engine = harness.worker_services.services.engine
    owner_ids, liker_ids = create_users(engine, PAIR_COUNT), create_users(engine, PAIR_COUNT)
    return ToastServer(
        harness,
        web_process,
        processes,
        owner_ids,
        [create_access_token(user_id, TEST_SECRET_KEY) for user_id in liker_ids],
        [ToastListener(web_process.port, user_id, create_token(user_id)) for user_id in owner_ids],
        [HTTPConnection("127.0.0.1", web_process.port, timeout=10) for _ in owner_ids],
    )
