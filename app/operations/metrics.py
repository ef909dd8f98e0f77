"""Prometheus metrics, computed when they are read, so that requests do not pay for them.

Input: counters of this process, and a health report. Output: text for blueprints/api/metrics.py. Workers open
no port: their counters are in Redis and PostgreSQL, and every web process reports the same values, which must
not be summed over processes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

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
from app.domain.worker_loops import WORKER_LOOPS
from app.operations.health.checks import LOOPS_STAGE
from app.operations.health.postgres_figures import TableFigures
from app.operations.health.redis_figures import PipelineFigures
from app.operations.health.report import Health
from app.operations.health.results import CheckLevel, CheckResult
from app.operations.heartbeats import Heartbeat

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
    def __init__(self, health: Health, count_connected_users: Callable[[], int]) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        registry.register(WebProcessCollector(count_connected_users))
        registry.register(CRITICAL_DELIVERY_SECONDS)
        registry.register(HealthCollector(health))
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


class HealthCollector(Collector):
    """Same values in every process; omitted while the service that has them is unavailable."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def describe(self) -> Iterable[Metric]:
        return ()  # otherwise registering would query the services

    def collect(self) -> Iterable[Metric]:
        health = self._health
        report = health.report([health.pipeline, health.heartbeats, health.tables])
        yield _check_gauge(report.results)
        if (pipeline := report.get(health.pipeline)) is not None:
            yield from _pipeline_metrics(pipeline)
        if report.get(health.heartbeats) is not None:
            yield from _loop_metrics(report.results, health.alive_heartbeats(report))
        if (tables := report.get(health.tables)) is not None:
            yield from table_metrics(tables)


def _check_gauge(results: Sequence[CheckResult]) -> Metric:
    gauge = GaugeMetricFamily(
        "notifications_check_level", "0 ok, 1 warning, 2 error", labels=["stage", "check"]
    )
    for result in results:
        gauge.add_metric([result.stage, result.check], list(CheckLevel).index(result.level))
    return gauge


def _pipeline_metrics(figures: PipelineFigures) -> Iterable[Metric]:
    events = CounterMetricFamily(
        "notifications_pipeline_events",
        "Events by stage and outcome (flusher/in: events that entered windows)",
        labels=["stage", "outcome"],
    )
    for stage, outcomes in figures.outcomes_by_stage.items():
        for outcome, count in sorted(outcomes.items()):
            events.add_metric([stage, outcome], count)
    yield events
    ingress_gauge = GaugeMetricFamily(
        "notifications_ingress_entries", "Entries not moved by the bridge", labels=["shard"]
    )
    for shard in figures.ingress:
        ingress_gauge.add_metric([str(shard.shard)], shard.length)
    yield ingress_gauge


def _loop_metrics(results: Sequence[CheckResult], heartbeats: Sequence[Heartbeat]) -> Iterable[Metric]:
    yield _breaker_gauge(
        "notifications_worker_breaker_state", {item.name: item.breaker_states for item in heartbeats}
    )
    alive_gauge = GaugeMetricFamily(
        "notifications_loop_alive",
        "1 if a worker process runs this loop, else 0",
        labels=["loop", "process"],
    )
    for result in results:
        if result.stage == LOOPS_STAGE:
            process = WORKER_LOOPS[result.check].process
            alive_gauge.add_metric([result.check, process], float(result.level is CheckLevel.OK))
    yield alive_gauge


def table_metrics(figures: TableFigures) -> Iterable[Metric]:
    yield GaugeMetricFamily(
        "notifications_mail_waiting", "E-mails and text messages not sent yet", figures.mail_waiting
    )
    yield GaugeMetricFamily(
        "notifications_mail_oldest_seconds",
        "Age of the oldest message not sent yet",
        figures.mail_oldest_seconds or 0.0,
    )
    deleted_rows = CounterMetricFamily(
        "notifications_retention_deleted_rows", "Rows deleted after their retention", labels=["category"]
    )
    completed_at = GaugeMetricFamily(
        "notifications_retention_completed_timestamp_seconds",
        "When no row past its retention was left, as Unix time",
        labels=["category"],
    )
    for category, progress in figures.retention.items():
        deleted_rows.add_metric([category], progress.deleted_count)
        if progress.completed_at is not None:
            completed_at.add_metric([category], progress.completed_at.timestamp())
    yield deleted_rows
    yield completed_at
