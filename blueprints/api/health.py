"""GET /health (the process is alive) and GET /ready (writes are accepted)."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Blueprint

from app.clients.circuit_breaker import most_degraded_breaker_state
from app.domain.events import to_iso_utc
from app.operations.health.report import Health, HealthReport
from blueprints.http.serializers import JsonObject

_STARTED_AT = time.monotonic()
HEALTH_WAIT_SECONDS = 0.5
"""Load balancers often wait no longer than a second."""


def blueprint(
    health: Health, count_connected_users: Callable[[], int], now: Callable[[], float]
) -> Blueprint:
    routes = Blueprint("health", __name__)

    @routes.get("/health")
    def get_health() -> JsonObject:
        """A superset of the responses of the seed's four services. The status is 200 also when
        PostgreSQL is down, which `database` shows."""
        report = health.report([health.postgres_ping], HEALTH_WAIT_SECONDS)
        return {
            "status": "healthy",
            "service": "notifications",
            "timestamp": to_iso_utc(datetime.fromtimestamp(now(), UTC)),
            "database": "disconnected" if report.unavailable else "connected",
            "connectedUsers": count_connected_users(),
            "uptime": round(time.monotonic() - _STARTED_AT, 3),
        }

    @routes.get("/ready")
    def get_readiness() -> tuple[JsonObject, int]:
        report = health.read_readiness()
        accepts_writes = health.accepts_writes(report)
        payload = {
            "success": accepts_writes,
            "status": "ready" if accepts_writes else "not ready",
            "dependencies": _dependencies_json(report),
            **_failover_json(report),
        }
        return payload, 200 if accepts_writes else 503

    def _dependencies_json(report: HealthReport) -> JsonObject:
        """The breaker is the most degraded one of all processes: the workers use Kafka most."""
        breakers = health.breaker_states(report).values()
        payload: JsonObject = {}
        for query in (health.redis_server, health.postgres_ping, health.kafka_ping, health.dynamodb_ping):
            service = query.service
            state, reason = report.service_state(query)
            payload[service] = {
                "state": state,
                "latencyMs": report.answers[query].latency_ms,
                "breaker": most_degraded_breaker_state(
                    [states[service] for states in breakers if service in states]
                ),
            } | ({"reason": reason} if reason else {})
        return payload

    def _failover_json(report: HealthReport) -> JsonObject:
        """State of the Redis failover, its reason, and the loss when Redis was last emptied. All null
        without PostgreSQL."""
        failover = report.get(health.failover)
        data_loss = failover.data_loss if failover else None
        if data_loss is not None:
            data_loss = data_loss | {"at": to_iso_utc(datetime.fromtimestamp(data_loss["at"], UTC))}
        # Before Redis is enabled for the first time, writes bypass it.
        return {
            "redisFailover": (failover.status or "failover") if failover else None,
            "redisFailoverReason": failover.reason if failover else None,
            "redisDataLoss": data_loss,
        }

    return routes
