"""Health: the queries of all services, and reports on those that a view needs.

In: Redis, PostgreSQL, Kafka, DynamoDB and the web process, whichever respond; it only reads. Out: a report
with what was measured and the results of the checks, for /health and /ready (blueprints/api/health.py), the
dashboard (blueprints/admin/pipeline.py), /metrics (app/operations/metrics.py) and diagnose
(app/operations/diagnose.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import redis
from sqlalchemy import Engine

from app.clients import circuit_breaker
from app.operations.consumer_lag import read_kafka_figures
from app.operations.health import checks, probes
from app.operations.health.postgres_figures import (
    read_failover,
    read_fan_outs,
    read_finished_fallback_figures,
    read_migration,
    read_table_figures,
)
from app.operations.health.queries import Answer, Query, run_queries
from app.operations.health.redis_figures import RedisServerReader, read_pipeline_figures
from app.operations.health.results import CheckLevel, CheckResult
from app.operations.heartbeats import Heartbeat, read_heartbeats
from app.operations.open_windows import OpenWindows
from app.settings import PipelineLimits, ServiceUrls

T = TypeVar("T")
UP, DOWN, REFUSED = "up", "down", "refused"
PING_TIMEOUT_SECONDS, QUERY_TIMEOUT_SECONDS = 1.0, 1.7
"""No request waits longer than two seconds."""
POSTGRES_PING_MAX_AGE_SECONDS, KAFKA_MAX_AGE_SECONDS = 1.0, 2.0
"""The load of PostgreSQL and Kafka does not grow with the number of load balancers and open dashboards."""
FINISHED_MAX_AGE_SECONDS = 10.0
"""Counting all finished rows of a table is for the dashboard only."""
SERVICE_HINTS = {
    name: f"Embedded: python -m infra start {name}. Otherwise check its address in the settings."
    for name in ("redis", "postgres", "kafka", "dynamodb")
} | {"web": "Start it: make run. On another port: make diagnose PORT=8001."}
TIMEOUT_HINT = "The service hangs, or this machine is busy: see its process and its log."


@dataclass(frozen=True)
class HealthReport:
    answers: Mapping[Query[Any], Answer[Any]]
    results: Sequence[CheckResult]
    """Of the checks of all answers, and one for each service that did not respond."""
    unavailable: Mapping[str, str]
    """Service -> code and reason."""

    def get(self, query: Query[T]) -> T | None:
        """What was measured; None if the service did not respond, or was not asked."""
        answer: Answer[T] | None = self.answers.get(query)
        return None if answer is None else answer.value

    def service_state(self, query: Query[Any]) -> tuple[str, str]:
        """UP, DOWN or REFUSED (it responds, but no write is accepted), and the reason."""
        answer = self.answers[query]
        if answer.code:
            return DOWN, f"{answer.code}: {answer.reason}"
        for result in self.results:
            if result.stage == query.service and result.refuses_writes:
                return REFUSED, f"{result.check} {result.value}: {result.hint}"
        return UP, ""

    @property
    def problems(self) -> list[CheckResult]:
        return [result for result in self.results if result.level is not CheckLevel.OK]


class Health:
    def __init__(
        self,
        service_urls: ServiceUrls,
        limits: PipelineLimits,
        connection: redis.Redis,
        engine: Engine,
        web_netloc: str = "",
        timeout_seconds: float = QUERY_TIMEOUT_SECONDS,
    ) -> None:
        """`web_netloc`: the web process to check, as host:port; for diagnose."""
        shards = range(limits.ingress_shards + 1)  # the last one is the critical shard
        kafka = service_urls.kafka_connection

        def ping(service: str, probe: Callable[[], None], max_age_seconds: float = 0.0) -> Query[None]:
            return Query(service, probe, PING_TIMEOUT_SECONDS, max_age_seconds)

        def query(service: str, read: Callable[[], T], max_age_seconds: float = 0.0) -> Query[T]:
            return Query(service, read, timeout_seconds, max_age_seconds)

        self.postgres_ping = ping(
            "postgres",
            partial(probes.ping_postgres, service_urls.database_url),
            POSTGRES_PING_MAX_AGE_SECONDS,
        )
        self.kafka_ping = ping("kafka", partial(probes.connect_to_kafka, kafka))
        self.dynamodb_ping = ping("dynamodb", partial(probes.connect_to_dynamodb, service_urls))
        self.web = query("web", partial(probes.read_ready_status, web_netloc))
        redis_server = RedisServerReader(service_urls.redis_url, PING_TIMEOUT_SECONDS)
        self.redis_server = query("redis", redis_server.read)
        self.pipeline = query("redis", partial(read_pipeline_figures, connection, shards))
        self.windows = query("redis", OpenWindows(connection).read_figures)
        self.heartbeats = query("redis", partial(read_heartbeats, connection))
        self.migration = query("postgres", partial(read_migration, engine))
        self.tables = query("postgres", partial(read_table_figures, engine, limits.fallback_max_retries))
        self.finished_fallback = query(
            "postgres", partial(read_finished_fallback_figures, engine), FINISHED_MAX_AGE_SECONDS
        )
        self.fan_outs = query("postgres", partial(read_fan_outs, engine))
        self.failover = query("postgres", partial(read_failover, engine))
        self.kafka = query("kafka", partial(read_kafka_figures, kafka), KAFKA_MAX_AGE_SECONDS)
        self.delivery_log = query("dynamodb", partial(probes.read_delivery_log_status, service_urls))
        self._checks: dict[Query[Any], Callable[[Any], list[CheckResult]]] = {
            self.web: checks.check_web,
            self.redis_server: checks.check_redis_server,
            self.pipeline: checks.check_ingress,
            self.windows: checks.check_windows,
            self.heartbeats: checks.check_loops,
            self.migration: checks.check_migration,
            self.tables: checks.check_tables,
            self.failover: checks.check_failover,
            self.kafka: checks.check_kafka,
            self.delivery_log: checks.check_delivery_log,
        }

    @property
    def checked_queries(self) -> list[Query[Any]]:
        """Those that a check evaluates, in the order of the stages."""
        return list(self._checks)

    def report(
        self, queries: Sequence[Query[Any]], timeout_seconds: float = QUERY_TIMEOUT_SECONDS
    ) -> HealthReport:
        """Runs the queries at the same time, each once. Raises nothing."""
        answers = dict(zip(queries, run_queries(queries, timeout_seconds), strict=True))
        results: list[CheckResult] = []
        unavailable: dict[str, str] = {}
        for query, answer in answers.items():
            if not answer.code:
                results += self._checks[query](answer.value) if query in self._checks else []
            elif query.service not in unavailable:
                unavailable[query.service] = f"{answer.code}: {answer.reason}"
                hint = TIMEOUT_HINT if answer.code == "timeout" else SERVICE_HINTS[query.service]
                result = CheckResult(query.service, "responds", unavailable[query.service])
                results.append(result.error_if(True, hint))
        return HealthReport(answers, results, unavailable)

    def report_stages(self) -> HealthReport:
        """What list_stages() needs (app/operations/health/stages.py), without reading rows that are done."""
        return self.report([self.pipeline, self.windows, self.tables, self.kafka])

    def read_readiness(self) -> HealthReport:
        """Whether each service responds, the failover state and the circuit breakers, within a second."""
        return self.report(
            [
                self.redis_server,
                self.postgres_ping,
                self.kafka_ping,
                self.dynamodb_ping,
                self.failover,
                self.heartbeats,
            ],
            PING_TIMEOUT_SECONDS,
        )

    def accepts_writes(self, report: HealthReport) -> bool:
        """Writes go through Redis, or through PostgreSQL while Redis is down. Neither is possible with a
        Redis that may lose them."""
        redis_state, _ = report.service_state(self.redis_server)
        postgres_state, _ = report.service_state(self.postgres_ping)
        return redis_state == UP or (redis_state == DOWN and postgres_state == UP)

    def breaker_states(self, report: HealthReport) -> dict[str, Mapping[str, str]]:
        """The circuit breaker states of this process ("web") and of each loop, by service."""
        return {
            "web": circuit_breaker.breaker_states(),
            **{item.name: item.breaker_states for item in self.alive_heartbeats(report)},
        }

    def alive_heartbeats(self, report: HealthReport) -> list[Heartbeat]:
        return [item for item in report.get(self.heartbeats) or () if checks.is_alive(item)]
