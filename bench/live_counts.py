"""S6b: CPU time per like of a popular post with 2,000 open sockets: none says what it watches, or all do.

The likes go directly into the ingress, so that the web process does nothing but send counts. The same sockets
are measured without a list first, then with one: 20 watch the popular post, the others other posts.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import gevent

from app.bootstrap import new_id
from app.domain.worker_loops import WORKER_PROCESSES
from app.ingest.membership_kinds import POST_LIKES
from app.ingest.memberships import DesiredState, SetMembershipRequest
from bench.harness import BENCH_TRACEPARENT, BenchHarness
from bench.results import BenchmarkResult, Measurement, MeasurementsByVariant, spread
from bench.socket_clients import SocketClients
from harness.environment import TEST_SECRET_KEY
from harness.fixtures import create_access_token, create_posts, create_users, init_caches
from harness.processes import ManagedProcess

CLIENT_COUNT, WATCHER_COUNT = 2_000, 20
LIKES_PER_SECOND, LIKES_PER_BATCH = 1_000, 10
OTHER_POST_COUNT = 10
SETTLE_SECONDS = 3.0
"""After the last like: the last counts are sent within it. Its CPU time is included."""
WATCHED_PER_SECOND, UNFILTERED_PER_SECOND = 2, 10
NO_LISTS_VARIANT, LISTS_VARIANT = (
    f"no socket of {CLIENT_COUNT:,} sent watch_posts",
    f"all {CLIENT_COUNT:,} did, {WATCHER_COUNT} watch the post",
)
MEASURED_PROCESSES = ("web", "aggregator", "deliverer")


@dataclass
class LiveCountsBench:
    harness: BenchHarness
    processes: dict[str, ManagedProcess]
    owner_id: str
    liker_ids: list[str]
    other_post_ids: list[str]
    messages_per_like: dict[str, list[float]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def measure_likes(
        self, variant: str, post_id: str, socket_clients: SocketClients, max_messages_per_second: float
    ) -> Measurement:
        """One like of each liker, at a fixed rate."""
        socket_clients.take_received_count("post_updated")
        cpu_seconds_before = self._cpu_seconds()
        started_at = time.perf_counter()
        self._send_likes(post_id)
        like_seconds = time.perf_counter() - started_at
        gevent.sleep(SETTLE_SECONDS)
        elapsed_seconds = time.perf_counter() - started_at
        received_count = socket_clients.take_received_count("post_updated")
        spent = {name: seconds - cpu_seconds_before[name] for name, seconds in self._cpu_seconds().items()}
        like_count = len(self.liker_ids)
        self.messages_per_like.setdefault(variant, []).append(received_count / like_count)
        max_count = max_messages_per_second * (elapsed_seconds + 1)
        if not 0 < received_count <= max_count:
            self.violations.append(f"{variant}: {received_count} messages instead of 1 to {max_count:.0f}")
        parts = {name: seconds * 1000 / like_count for name, seconds in spent.items()}
        return Measurement(like_count, like_seconds, cpu_seconds=sum(spent.values()), parts=parts)

    def new_post(self) -> str:
        services = self.harness.worker_services.services
        [post_id] = create_posts(services.engine, self.owner_id, 1)
        init_caches(services.memberships, self.owner_id, [post_id])
        return post_id

    def watch_lists(self, post_id: str) -> list[list[str]]:
        """One list per socket."""
        return [[post_id]] * WATCHER_COUNT + [self.other_post_ids] * (CLIENT_COUNT - WATCHER_COUNT)

    def _send_likes(self, post_id: str) -> None:
        memberships, started_at = self.harness.worker_services.services.memberships, time.perf_counter()
        for index, liker_id in enumerate(self.liker_ids):
            if index % LIKES_PER_BATCH == 0:
                gevent.sleep(max(0.0, started_at + index / LIKES_PER_SECOND - time.perf_counter()))
            memberships.set_membership(
                SetMembershipRequest(
                    POST_LIKES, liker_id, post_id, DesiredState.ON, new_id(), BENCH_TRACEPARENT
                )
            )

    def _cpu_seconds(self) -> dict[str, float]:
        return {name: self.processes[name].cpu_seconds() for name in MEASURED_PROCESSES}


def run_benchmark(harness: BenchHarness, rounds: int, seconds: float) -> BenchmarkResult:
    engine = harness.worker_services.services.engine
    harness.worker_services.check_dependencies_and_create_topics()
    processes = {name: harness.start_worker(name) for name in WORKER_PROCESSES}
    processes["web"] = harness.start_web("app.wsgi:app")
    owner_id, *client_ids = create_users(engine, CLIENT_COUNT + 1)
    bench = LiveCountsBench(
        harness,
        processes,
        owner_id,
        create_users(engine, round(LIKES_PER_SECOND * seconds)),
        create_posts(engine, owner_id, OTHER_POST_COUNT),
    )
    credentials = [(user_id, create_access_token(user_id, TEST_SECRET_KEY)) for user_id in client_ids]
    measurements: MeasurementsByVariant = {NO_LISTS_VARIANT: [], LISTS_VARIANT: []}
    for _ in range(rounds):
        _measure_round(bench, processes["web"].port, credentials, measurements)
    harness.stop()
    result = BenchmarkResult(
        "S6b", f"live counts of {CLIENT_COUNT:,} sockets", "likes/s", measurements, NO_LISTS_VARIANT
    )
    result.violations = bench.violations
    for variant, counts in bench.messages_per_like.items():
        result.facts[f"messages per like, {variant}"] = spread(counts)
    result.notes = [
        f"CPU: of {', '.join(MEASURED_PROCESSES)} together. Likes arrive at {LIKES_PER_SECOND:,} per second.",
        "The web process does not handle the likes themselves.",
    ]
    return result


def _measure_round(
    bench: LiveCountsBench,
    port: int,
    credentials: Sequence[tuple[str, str]],
    measurements: MeasurementsByVariant,
) -> None:
    """A socket that sent a list cannot take it back, so each round has new sockets."""
    socket_clients = SocketClients(port, credentials)
    try:
        measurements[NO_LISTS_VARIANT].append(
            bench.measure_likes(
                NO_LISTS_VARIANT, bench.new_post(), socket_clients, CLIENT_COUNT * UNFILTERED_PER_SECOND
            )
        )
        post_id = bench.new_post()
        socket_clients.watch_posts(bench.watch_lists(post_id))
        measurements[LISTS_VARIANT].append(
            bench.measure_likes(LISTS_VARIANT, post_id, socket_clients, WATCHER_COUNT * WATCHED_PER_SECOND)
        )
    finally:
        socket_clients.close()
