"""Prometheus metrics, computed when they are read, so that requests do not pay for them.

Input: counters of this process, stage counters in Redis, the backlog of outgoing messages, the progress of
the retention. Output: text for blueprints/api/metrics.py. Workers open no port: their counters are in Redis
and PostgreSQL, and every web process reports the same values, which must not be summed over processes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import redis
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.clients import circuit_breaker
from app.clients.redis import translate_errors
from app.domain.errors import Unavailable
from app.domain.worker_loops import PIPELINE_STAGES, WORKER_LOOPS
from app.ingest.ingress import ingress_key
from app.messaging.stage_counters import StageCounters
from app.operations.heartbeats import Heartbeats
from app.operations.retention_progress import RetentionProgress
from app.persistence.outgoing_messages import OutgoingMessages

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
RESPONSES: defaultdict[int, int] = defaultdict(int)
"""Responses of this process by status. A plain addition, because each request executes it."""

POST_UPDATES: defaultdict[str, int] = defaultdict(int)
"""Live counts of this process: emitted to the watchers of a post, emitted to sockets without a list, merged
into a newer one, dropped."""

CRITICAL_DELIVERY_SECONDS = Histogram(
    "notifications_critical_delivery_seconds",
    "Seconds from the timestamp of a critical event to the sockets of this process, by path",
    labelnames=["path"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 30),
    registry=None,
)


class Metrics:
    def __init__(
        self,
        connection: redis.Redis,
        shards: range,
        count_connected_users: Callable[[], int],
        outgoing_messages: OutgoingMessages,
        retention_progress: RetentionProgress,
    ) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        registry.register(WebProcessCollector(count_connected_users))
        registry.register(CRITICAL_DELIVERY_SECONDS)
        registry.register(PipelineCollector(connection, shards))
        registry.register(MailBacklogCollector(outgoing_messages))
        registry.register(RetentionCollector(retention_progress))
        self._registry = registry

    def render(self) -> bytes:
        return generate_latest(self._registry)


class WebProcessCollector(Collector):
    """Values of this process."""

    def __init__(self, count_connected_users: Callable[[], int]) -> None:
        self._count_connected_users = count_connected_users

    def collect(self) -> Iterable[Metric]:
        responses = CounterMetricFamily(
            "notifications_http_responses", "Responses of this process", labels=["status"]
        )
        for status, count in sorted(RESPONSES.items()):
            responses.add_metric([str(status)], count)
        yield responses
        post_updates = CounterMetricFamily(
            "notifications_post_updates", "Live counts of this process", labels=["outcome"]
        )
        for outcome, count in sorted(POST_UPDATES.items()):
            post_updates.add_metric([outcome], count)
        yield post_updates
        yield _breaker_gauge("notifications_breaker_state", {"web": circuit_breaker.breaker_states()})
        yield GaugeMetricFamily(
            "notifications_connected_users",
            "Users connected to this process",
            self._count_connected_users(),
        )


def _breaker_gauge(name: str, states_by_process: Mapping[str, Mapping[str, str]]) -> Metric:
    gauge = GaugeMetricFamily(name, "0 closed, 1 open, 2 half-open", labels=["dependency", "process"])
    for process, states in sorted(states_by_process.items()):
        for dependency, state in states.items():
            gauge.add_metric([dependency, process], circuit_breaker.STATES.index(state))
    return gauge


class MailBacklogCollector(Collector):
    """Same values in every process; omitted while PostgreSQL is unavailable."""

    def __init__(self, outgoing_messages: OutgoingMessages) -> None:
        self._outgoing_messages = outgoing_messages

    def describe(self) -> Iterable[Metric]:
        return ()  # otherwise registering would query PostgreSQL

    def collect(self) -> Iterable[Metric]:
        try:
            waiting_count, oldest_seconds = self._outgoing_messages.waiting_count_and_oldest_age()
        except Unavailable:
            return
        yield GaugeMetricFamily(
            "notifications_mail_waiting", "E-mails and text messages not sent yet", waiting_count
        )
        yield GaugeMetricFamily(
            "notifications_mail_oldest_seconds",
            "Age of the oldest message not sent yet",
            oldest_seconds or 0.0,
        )


class RetentionCollector(Collector):
    """Same values in every process; omitted while PostgreSQL is unavailable."""

    def __init__(self, progress: RetentionProgress) -> None:
        self._progress = progress

    def describe(self) -> Iterable[Metric]:
        return ()  # otherwise registering would query PostgreSQL

    def collect(self) -> Iterable[Metric]:
        try:
            progress_by_category = self._progress.read_by_category()
        except Unavailable:
            return
        deleted_rows = CounterMetricFamily(
            "notifications_retention_deleted_rows", "Rows deleted after their retention", labels=["category"]
        )
        completed_at = GaugeMetricFamily(
            "notifications_retention_completed_timestamp_seconds",
            "When no row past its retention was left, as Unix time",
            labels=["category"],
        )
        for category, progress in progress_by_category.items():
            deleted_rows.add_metric([category], progress.deleted_count)
            if progress.completed_at is not None:
                completed_at.add_metric([category], progress.completed_at.timestamp())
        yield deleted_rows
        yield completed_at


class PipelineCollector(Collector):
    """Same values in every process; omitted while Redis is unavailable."""

    def __init__(self, connection: redis.Redis, shards: range) -> None:
        self._redis = connection
        self._shards = shards

    def describe(self) -> Iterable[Metric]:
        return ()  # otherwise registering would query Redis

    def collect(self) -> Iterable[Metric]:
        try:
            outcomes_by_stage = StageCounters(self._redis).outcomes_by_stage(PIPELINE_STAGES)
            ingress_lengths = self._read_ingress_lengths()
            worker_breaker_states = Heartbeats(self._redis).breaker_states_by_worker()
            dead_loops = Heartbeats(self._redis).missing_loops()
        except Unavailable:
            return
        events = CounterMetricFamily(
            "notifications_pipeline_events",
            "Events by stage and outcome (flusher/in: events that entered windows)",
            labels=["stage", "outcome"],
        )
        for stage, outcomes in outcomes_by_stage.items():
            for outcome, count in sorted(outcomes.items()):
                events.add_metric([stage, outcome], count)
        yield events
        ingress_gauge = GaugeMetricFamily(
            "notifications_ingress_entries", "Entries not moved by the bridge", labels=["shard"]
        )
        for shard, count in zip(self._shards, ingress_lengths, strict=True):
            ingress_gauge.add_metric([str(shard)], count)
        yield ingress_gauge
        yield _breaker_gauge("notifications_worker_breaker_state", worker_breaker_states)
        alive_gauge = GaugeMetricFamily(
            "notifications_loop_alive",
            "1 if a worker process runs this loop, else 0",
            labels=["loop", "process"],
        )
        for loop in WORKER_LOOPS.values():
            alive_gauge.add_metric([loop.name, loop.process], float(loop.name not in dead_loops))
        yield alive_gauge

    def _read_ingress_lengths(self) -> list[int]:
        with translate_errors("read the ingress lengths"):
            pipeline = self._redis.pipeline(transaction=False)
            for shard in self._shards:
                pipeline.xlen(ingress_key(shard))
            return [int(length) for length in pipeline.execute()]
