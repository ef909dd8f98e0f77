"""GET /health (the process is alive) and GET /ready (writes are accepted)."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from marshmallow import fields, validate

from app.domain.errors import Unavailable
from app.domain.events import to_iso_utc
from app.failover.redis_failover import RedisFailover
from app.operations.dependency_checks import DOWN, REFUSED, UP, DependencyChecks, DependencyStatus
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.response_schemas import ObjectSchema
from blueprints.http.serializers import JsonObject

_STARTED_AT = time.monotonic()


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


def _dependency_json(status: DependencyStatus) -> JsonObject:
    payload: JsonObject = {
        "state": status.state,
        "latencyMs": status.latency_ms,
        "breaker": status.breaker_state,
    }
    return payload | ({"reason": status.reason} if status.reason else {})


def blueprint(
    dependency_checks: DependencyChecks,
    redis_failover: RedisFailover,
    count_connected_users: Callable[[], int],
    now: Callable[[], float],
) -> ApiBlueprint:
    routes = ApiBlueprint("health", __name__)

    @routes.get("/health")
    @routes.returns(HealthSchema)
    def get_health() -> JsonObject:
        """The process is alive.

        A superset of the responses of the seed's four services. The status is 200 also when PostgreSQL is
        down, which `database` shows.
        """
        return {
            "status": "healthy",
            "service": "notifications",
            "timestamp": to_iso_utc(datetime.fromtimestamp(now(), UTC)),
            "database": dependency_checks.cached_postgres_status(),
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
        statuses = dependency_checks.check_all()
        can_bypass_redis = statuses["redis"].state == DOWN and statuses["postgres"].state == UP
        accepts_writes = statuses["redis"].state == UP or can_bypass_redis
        payload = {
            "success": accepts_writes,
            "status": "ready" if accepts_writes else "not ready",
            "dependencies": {name: _dependency_json(status) for name, status in statuses.items()},
            **_failover_json(statuses["postgres"].state == UP),
        }
        return payload, 200 if accepts_writes else 503

    def _failover_json(is_known: bool) -> JsonObject:
        """State of the Redis failover, its reason, and the loss when Redis was last emptied. All null
        without PostgreSQL."""
        unknown: JsonObject = {
            "redisFailover": None,
            "redisFailoverReason": None,
            "redisDataLoss": None,
        }
        if not is_known:
            return unknown
        try:
            failover_state = redis_failover.read_state()
        except Unavailable:
            return unknown
        data_loss = failover_state.data_loss
        if data_loss is not None:
            data_loss = data_loss | {"at": to_iso_utc(datetime.fromtimestamp(data_loss["at"], UTC))}
        # Before Redis is enabled for the first time, writes bypass it.
        state = "failover" if failover_state.status == "not_initialized" else failover_state.status
        return {
            "redisFailover": state,
            "redisFailoverReason": failover_state.reason,
            "redisDataLoss": data_loss,
        }

    return routes
