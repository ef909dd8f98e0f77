"""GET /health (the process is alive) and GET /ready (writes are accepted)."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from marshmallow import fields, validate

from app.clients.circuit_breaker import most_degraded_breaker_state
from app.domain.events import to_iso_utc
from app.operations.health.report import DOWN, REFUSED, UP, Health, HealthReport
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.response_schemas import ObjectSchema
from blueprints.http.serializers import JsonObject

_STARTED_AT = time.monotonic()
HEALTH_WAIT_SECONDS = 0.5
"""Load balancers often wait no longer than a second."""


class HealthSchema(ObjectSchema):
    status = fields.String(validate=validate.OneOf(["healthy"]))
    service = fields.String()
    timestamp = fields.DateTime()
    database = fields.String(validate=validate.OneOf(["connected", "disconnected"]))
    connectedUsers = fields.Integer()
    uptime = fields.Float(metadata={"description": "seconds"})


class DependencySchema(ObjectSchema):
    optional_fields = frozenset({"reason"})
    state = fields.String(validate=validate.OneOf([UP, DOWN, REFUSED]))
    latencyMs = fields.Float(allow_none=True)
    breaker = fields.String()
    reason = fields.String()


class DependenciesSchema(ObjectSchema):
    redis = fields.Nested(DependencySchema)
    postgres = fields.Nested(DependencySchema)
    kafka = fields.Nested(DependencySchema)
    dynamodb = fields.Nested(DependencySchema)


class ReadinessResponse(ObjectSchema):
    success = fields.Boolean()
    status = fields.String(validate=validate.OneOf(["ready", "not ready"]))
    dependencies = fields.Nested(DependenciesSchema)
    redisFailover = fields.String(
        allow_none=True, metadata={"description": "normal, failover or switching_back; null if unknown"}
    )
    redisFailoverReason = fields.String(allow_none=True)
    redisDataLoss = fields.Dict(allow_none=True, metadata={"description": "when Redis was last emptied"})


def blueprint(
    health: Health, count_connected_users: Callable[[], int], now: Callable[[], float]
) -> ApiBlueprint:
    routes = ApiBlueprint("health", __name__)

    @routes.get("/health")
    @routes.returns(HealthSchema)
    def get_health() -> JsonObject:
        """The process is alive.

        A superset of the responses of the seed's four services. The status is 200 also when PostgreSQL is
        down, which `database` shows.
        """
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
    @routes.returns(ReadinessResponse)
    @routes.returns(ReadinessResponse, 503, description="Cannot accept writes durably now")
    def get_readiness() -> tuple[JsonObject, int]:
        """Whether writes are accepted durably.

        Writes go through Redis, or through PostgreSQL while Redis is down. Neither is possible with a
        Redis that may evict keys.
        """
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
