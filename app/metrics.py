"""Metrics: what this process counts, read when somebody asks, so that no request pays for it.

In    app/web.py (one addition per answer), the sockets, stores/figures.py, stores/outgoing.py
Out   Prometheus text (blueprints/metrics.py)

Workers open no port of their own: what they did is in Redis (stage figures), and each web process
tells it. Sum those over nothing: they are the same in every process.
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

from app import breakers
from app.domain.errors import Unavailable
from app.domain.loops import LOOPS, STAGES
from app.stores.figures import Figures
from app.stores.heartbeats import Heartbeats
from app.stores.outgoing import OutgoingMessages
from app.stores.redis import key, speaking

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ANSWERS: defaultdict[int, int] = defaultdict(int)
"""Answers of this process by status: a plain addition, since a like pays for it."""

CRITICAL_SECONDS = Histogram(
    "notifications_critical_seconds",
    "Dwell of critical frames: from their own time to the sockets of this process, by way",
    labelnames=["way"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 30),
    registry=None,
)


class Metrics:
    def __init__(
        self,
        connection: redis.Redis,
        shards: range,
        people: Callable[[], int],
        messages: OutgoingMessages,
    ) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        registry.register(_Here(people))
        registry.register(CRITICAL_SECONDS)
        registry.register(_Pipeline(connection, shards))
        registry.register(_Mail(messages))
        self._registry = registry

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _Here(Collector):
    """This process's own."""

    def __init__(self, people: Callable[[], int]) -> None:
        self._people = people

    def collect(self) -> Iterable[Metric]:
        answers = CounterMetricFamily(
            "notifications_http_answers", "Answers of this process", labels=["status"]
        )
        for status, count in sorted(ANSWERS.items()):
            answers.add_metric([str(status)], count)
        yield answers
        yield _breakers("notifications_breaker_state", {"web": breakers.states()})
        yield GaugeMetricFamily(
            "notifications_connected_users", "People on this process's sockets", self._people()
        )


def _breakers(name: str, processes: Mapping[str, Mapping[str, str]]) -> Metric:
    gauge = GaugeMetricFamily(
        name, "0 closed, 1 open, 2 half-open", labels=["dependency", "process"]
    )
    for process, states in sorted(processes.items()):
        for dependency, state in states.items():
            gauge.add_metric([dependency, process], breakers.STATES.index(state))
    return gauge


class _Mail(Collector):
    """The same in every process; left out while PostgreSQL is away."""

    def __init__(self, messages: OutgoingMessages) -> None:
        self._messages = messages

    def describe(self) -> Iterable[Metric]:
        return ()  # else registering would ask PostgreSQL

    def collect(self) -> Iterable[Metric]:
        try:
            waiting, oldest = self._messages.backlog()
        except Unavailable:
            return
        yield GaugeMetricFamily(
            "notifications_mail_waiting", "E-mails and text messages not sent yet", waiting
        )
        yield GaugeMetricFamily(
            "notifications_mail_oldest_seconds", "Age of the oldest of them", oldest or 0.0
        )


class _Pipeline(Collector):
    """The same in every process; left out while Redis is away."""

    def __init__(self, connection: redis.Redis, shards: range) -> None:
        self._redis = connection
        self._shards = shards

    def describe(self) -> Iterable[Metric]:
        return ()  # else registering would ask Redis

    def collect(self) -> Iterable[Metric]:
        try:
            stages = Figures(self._redis).outcomes(STAGES)
            waiting = self._waiting()
            told = Heartbeats(self._redis).breakers()
            silent = Heartbeats(self._redis).silent()
        except Unavailable:
            return
        events = CounterMetricFamily(
            "notifications_stage_events",
            "What became of the events at each stage (flusher/in: what entered windows)",
            labels=["stage", "outcome"],
        )
        for stage, outcomes in stages.items():
            for outcome, count in sorted(outcomes.items()):
                events.add_metric([stage, outcome], count)
        yield events
        lengths = GaugeMetricFamily(
            "notifications_ingress_entries", "Entries not moved by the bridge", labels=["shard"]
        )
        for shard, count in zip(self._shards, waiting, strict=True):
            lengths.add_metric([str(shard)], count)
        yield lengths
        yield _breakers("notifications_worker_breaker_state", told)
        alive = GaugeMetricFamily(
            "notifications_loop_alive",
            "1 if a worker process runs this loop, else 0",
            labels=["loop", "process"],
        )
        for loop in LOOPS.values():
            alive.add_metric([loop.name, loop.process], float(loop.name not in silent))
        yield alive

    def _waiting(self) -> list[int]:
        with speaking("tell its lengths"):
            pipeline = self._redis.pipeline(transaction=False)
            for shard in self._shards:
                pipeline.xlen(key("ingress", shard))
            return [int(one) for one in pipeline.execute()]
