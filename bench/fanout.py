"""S6: latency of client events to many sockets at once and to single sockets, compared with python-socketio.

Both servers run one gunicorn worker of the same class and get events through a Redis channel. The
product also authorizes rooms, drops duplicates, keeps the order and bounds the queues.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import gevent
import socketio

from app.domain.post_update_throttle import WATCHED_INTERVAL_SECONDS
from app.messaging.socket_push import (
    ALL_POSTS_ROOM,
    POSTS_CHANGED_EVENT,
    POSTS_CHANGED_ROOM,
    SocketPushPublisher,
    user_room,
)
from bench.harness import BenchHarness
from bench.results import (
    BenchmarkResult,
    Goal,
    Measurement,
    MeasurementsByVariant,
    latency_ratio,
    latency_spread,
    measure_alternately,
    spread,
    throughput_ratio,
)
from bench.socket_clients import EVENT_NAME, REDIS_CHANNEL, SocketClients
from harness.environment import TEST_SECRET_KEY
from harness.fixtures import create_access_token, create_posts, create_users, init_caches
from harness.processes import ManagedProcess

CLIENT_COUNT = 2_000
SINGLE_EVENT_COUNT, SINGLE_EVENT_INTERVAL_SECONDS = 200, 0.01
DELIVERY_TIMEOUT_SECONDS = 30.0
POST_UPDATE_VARIANTS = {
    f"one post_updated to {watcher_count:,} sockets": (watcher_count, goal_ms)
    for watcher_count, goal_ms in ((500, 100), (1_000, 200))
}
"""The number of watchers and the goal for the p99 in ms."""
BROADCAST_VARIANT, BARE_BROADCAST_VARIANT, SINGLE_VARIANT, BARE_SINGLE_VARIANT = (
    f"one event to {CLIENT_COUNT:,} sockets",
    f"python-socketio: one event to {CLIENT_COUNT:,} sockets",
    f"{1 / SINGLE_EVENT_INTERVAL_SECONDS:.0f} events per second, each to one of {CLIENT_COUNT:,}",
    f"python-socketio: {1 / SINGLE_EVENT_INTERVAL_SECONDS:.0f} events per second, each to one",
)
EmitToRoom = Callable[[str, dict[str, object], str], object]


@dataclass
class FanoutServer:
    """A server, its socket clients, and the function that emits to a room."""

    process: ManagedProcess
    emit_to_room: EmitToRoom
    user_ids: list[str]
    socket_clients: SocketClients
    broadcast_completion_ms: list[float] = field(default_factory=list)
    """Per broadcast, when the last client received it."""

    def measure_broadcast(self, broadcast_count: int) -> Measurement:
        """Each broadcast starts when every client has received the previous one."""
        return self._measure(broadcast_count * CLIENT_COUNT, partial(self._broadcast, broadcast_count))

    def measure_single_events(self) -> Measurement:
        """Events at a fixed rate to random clients: the last part of a toast's latency."""

        def emit_and_wait() -> list[float]:
            emitter = gevent.spawn(self._emit_single_events)
            latencies_ms = self.socket_clients.wait_for_events(SINGLE_EVENT_COUNT, DELIVERY_TIMEOUT_SECONDS)
            emitter.get()
            return latencies_ms

        return self._measure(SINGLE_EVENT_COUNT, emit_and_wait)

    def measure_post_update(self, post_id: str, watcher_count: int) -> Measurement:
        """One change of a post's counts, until each watcher has received `post_updated`."""
        gevent.sleep(1.5 * WATCHED_INTERVAL_SECONDS)  # the throttle emits the next change at once

        def emit_and_wait() -> list[float]:
            # The actor of a change is sent on as it is, here with the time of the change.
            change = ["bench", {"sentAt": time.time() * 1000}]
            self.emit_to_room(POSTS_CHANGED_EVENT, {"posts": {post_id: change}}, POSTS_CHANGED_ROOM)
            return self.socket_clients.wait_for_events(watcher_count, DELIVERY_TIMEOUT_SECONDS)

        return self._measure(watcher_count, emit_and_wait)

    def _broadcast(self, broadcast_count: int) -> list[float]:
        latencies_ms: list[float] = []
        for _ in range(broadcast_count):
            self._emit_event(ALL_POSTS_ROOM)
            broadcast_latencies_ms = self.socket_clients.wait_for_events(
                CLIENT_COUNT, DELIVERY_TIMEOUT_SECONDS
            )
            self.broadcast_completion_ms.append(max(broadcast_latencies_ms))
            latencies_ms += broadcast_latencies_ms
        return latencies_ms

    def _emit_single_events(self) -> None:
        for _ in range(SINGLE_EVENT_COUNT):
            self._emit_event(user_room(random.choice(self.user_ids)))
            gevent.sleep(SINGLE_EVENT_INTERVAL_SECONDS)

    def _emit_event(self, room: str) -> None:
        self.emit_to_room(EVENT_NAME, {"targetId": "bench", "sentAt": time.time() * 1000}, room)

    def _measure(self, event_count: int, action: Callable[[], list[float]]) -> Measurement:
        cpu_seconds, started_at = self.process.cpu_seconds(), time.perf_counter()
        latencies_ms = action()
        seconds, cpu_seconds = (
            time.perf_counter() - started_at,
            self.process.cpu_seconds() - cpu_seconds,
        )
        return Measurement(event_count, seconds, cpu_seconds=cpu_seconds, latencies_ms=tuple(latencies_ms))


def run_benchmark(harness: BenchHarness, rounds: int, broadcast_count: int) -> BenchmarkResult:
    user_ids = create_users(harness.worker_services.services.engine, CLIENT_COUNT)
    credentials = [(user_id, create_access_token(user_id, TEST_SECRET_KEY)) for user_id in user_ids]
    web = harness.start_web("app.wsgi:app")
    bare_web = harness.start_web("bench.baselines:app", {"BENCH_APP": "socketio"})
    manager = socketio.RedisManager(harness.redis_url, channel=REDIS_CHANNEL, write_only=True)

    def emit_with_manager(event: str, data: dict[str, object], room: str) -> None:
        manager.emit(event, data, room=room)

    pipeline_server = FanoutServer(
        web,
        SocketPushPublisher(harness.redis_url).emit,
        user_ids,
        SocketClients(web.port, credentials),
    )
    bare_server = FanoutServer(
        bare_web,
        emit_with_manager,
        user_ids,
        SocketClients(bare_web.port, [(user_id, user_id) for user_id in user_ids]),
    )
    measure_by_variant = {
        BROADCAST_VARIANT: lambda: pipeline_server.measure_broadcast(broadcast_count),
        BARE_BROADCAST_VARIANT: lambda: bare_server.measure_broadcast(broadcast_count),
        SINGLE_VARIANT: pipeline_server.measure_single_events,
        BARE_SINGLE_VARIANT: bare_server.measure_single_events,
    }
    for measure in measure_by_variant.values():
        measure()
    pipeline_server.broadcast_completion_ms.clear()
    measurements = measure_alternately(measure_by_variant, rounds)
    post_update_goals = _measure_post_updates(
        harness, pipeline_server, measurements, rounds * broadcast_count
    )
    benchmark_result = BenchmarkResult(
        "S6",
        f"fan-out to {CLIENT_COUNT:,} sockets",
        "events/s",
        measurements,
        BARE_BROADCAST_VARIANT,
    )
    benchmark_result.baseline_by_variant = {
        SINGLE_VARIANT: BARE_SINGLE_VARIANT,
        BARE_SINGLE_VARIANT: BARE_SINGLE_VARIANT,
    } | {variant: variant for variant in POST_UPDATE_VARIANTS}
    benchmark_result.goals = [
        Goal(
            "broadcast / python-socketio's",
            throughput_ratio(measurements[BROADCAST_VARIANT], measurements[BARE_BROADCAST_VARIANT]),
            0.95,
        ),
        Goal(
            f"broadcast received by all {CLIENT_COUNT:,}, ms",
            spread(pipeline_server.broadcast_completion_ms),
            500,
            is_upper_bound=True,
        ),
        Goal("single event in ms, p99", latency_spread(measurements[SINGLE_VARIANT], 99), 10, True),
        *post_update_goals,
    ]
    benchmark_result.facts["p99 of a single event / python-socketio's"] = latency_ratio(
        measurements[SINGLE_VARIANT], measurements[BARE_SINGLE_VARIANT], 99
    )
    benchmark_result.notes = [
        "Events/s: received events of one server process. CPU: the server's, per event.",
        "The socket clients are in a process of their own on the same cores.",
    ]
    for fanout_server in (pipeline_server, bare_server):
        fanout_server.socket_clients.close()
    harness.stop()
    return benchmark_result


def _measure_post_updates(
    harness: BenchHarness, server: FanoutServer, measurements: MeasurementsByVariant, rounds: int
) -> list[Goal]:
    """Adds a variant per number of watchers. Comes last: sockets with a list get no other posts."""
    services = harness.worker_services.services
    post_ids = create_posts(services.engine, server.user_ids[0], len(POST_UPDATE_VARIANTS))
    init_caches(services.memberships, server.user_ids[0], post_ids)
    watch_lists: list[list[str]] = []
    for post_id, (watcher_count, _) in zip(post_ids, POST_UPDATE_VARIANTS.values(), strict=True):
        watch_lists += [[post_id]] * watcher_count
    server.socket_clients.watch_posts(watch_lists + [[]] * (CLIENT_COUNT - len(watch_lists)))
    goals = []
    for post_id, (variant, (watcher_count, goal_ms)) in zip(
        post_ids, POST_UPDATE_VARIANTS.items(), strict=True
    ):
        server.measure_post_update(post_id, watcher_count)
        measured = [server.measure_post_update(post_id, watcher_count) for _ in range(rounds)]
        measurements[variant] = measured
        goals.append(Goal(f"{variant} in ms, p99", latency_spread(measured, 99), goal_ms, True))
    return goals
