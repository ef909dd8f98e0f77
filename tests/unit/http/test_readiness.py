"""GET /ready: the decision whether writes are accepted, and the response without any service."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.bootstrap import SharedServices
from app.operations.health.checks import check_redis_server
from app.operations.health.queries import Answer, Query
from app.operations.health.redis_figures import RedisServer
from app.operations.health.report import Health, HealthReport

DURABLE = {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "always"}
SERVICE_DOWN: Answer[Any] = Answer(None, code="redis_unavailable", reason="Redis did not respond")


def _redis(**settings: str) -> Answer[RedisServer]:
    return Answer(RedisServer(DURABLE | settings, {"redis_version": "7.4.0"}, "ok"), 1.0)


@pytest.mark.parametrize(
    ("redis_answer", "postgres_answer", "redis_state", "accepts_writes"),
    [
        pytest.param(_redis(), Answer(None, 1.0), "up", True, id="both up"),
        pytest.param(_redis(), SERVICE_DOWN, "up", True, id="PostgreSQL down"),
        pytest.param(SERVICE_DOWN, Answer(None, 1.0), "down", True, id="Redis down"),
        pytest.param(SERVICE_DOWN, SERVICE_DOWN, "down", False, id="both down"),
        pytest.param(_redis(appendfsync="no"), Answer(None, 1.0), "up", True, id="slower fsync"),
        pytest.param(_redis(appendonly="no"), Answer(None, 1.0), "refused", False, id="no append-only file"),
    ],
)
def test_writes_are_accepted_through_redis_or_around_it(
    fake_services: SharedServices,
    redis_answer: Answer[RedisServer],
    postgres_answer: Answer[None],
    redis_state: str,
    accepts_writes: bool,
) -> None:
    settings = fake_services.settings
    health = Health(settings.service_urls, settings.limits, fake_services.redis, fake_services.engine)
    answers: dict[Query[Any], Answer[Any]] = {
        health.redis_server: redis_answer,
        health.postgres_ping: postgres_answer,
    }
    results = check_redis_server(redis_answer.value) if redis_answer.value else []
    report = HealthReport(answers, results, {})

    assert report.service_state(health.redis_server)[0] == redis_state
    assert health.accepts_writes(report) is accepts_writes


def test_each_unavailable_service_has_a_coded_reason(client: FlaskClient) -> None:
    response = client.get("/ready")
    payload: Any = response.json

    assert response.status_code == 503
    assert set(payload["dependencies"]) == {"redis", "postgres", "kafka", "dynamodb"}
    for name, dependency in payload["dependencies"].items():
        assert dependency["reason"].startswith(f"{name}_unavailable: ")
        assert (dependency["state"], dependency["breaker"]) == ("down", "closed")
    assert payload["redisFailover"] is None
