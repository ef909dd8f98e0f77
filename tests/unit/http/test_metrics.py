"""GET /metrics: figures without any service, and access in production."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from app.bootstrap import SharedServices
from app.clients.postgres import create_pg_engine
from app.domain.worker_loops import WORKER_LOOPS
from app.operations.heartbeats import Heartbeats
from app.settings import Settings
from tests.support.fake_app import FakeWebApplication, build_fake_application
from tests.support.web_application import create_web_application


@pytest.fixture(scope="module")
def shared_fake_application(settings: Settings) -> FakeWebApplication:
    """With a PostgreSQL that is unavailable."""
    return build_fake_application(settings, create_pg_engine(settings.service_urls.database_url))


TOKEN = {"Authorization": "Bearer a-long-token"}


def _production_client(fake_services: SharedServices, token: str | None) -> FlaskClient:
    web = replace(fake_services.settings.web, mode="production", metrics_token=token)
    services = replace(fake_services, settings=replace(fake_services.settings, web=web))
    return create_web_application(services).flask_app.test_client()


def test_responses_are_counted_by_status(client: FlaskClient) -> None:
    client.get("/api/nowhere")
    response = client.get("/metrics")
    assert response.status_code == 200
    assert 'notifications_http_responses_total{status="404"}' in response.text
    assert "notifications_connected_users 0.0" in response.text


def test_stage_counters_are_exported(client: FlaskClient, fake_services: SharedServices) -> None:
    fake_services.redis.hset("stage:bridge", "published", 8)
    line = 'notifications_pipeline_events_total{outcome="published",stage="bridge"} 8.0'
    text = client.get("/metrics").text
    assert (
        line in text
        or line.replace('outcome="published",stage="bridge"', 'stage="bridge",outcome="published"') in text
    )


@pytest.mark.parametrize(
    ("token", "headers", "address", "status"),
    [
        (None, {}, "127.0.0.1", 200),
        (None, {}, "10.0.0.7", 404),
        (None, {"X-Forwarded-For": "10.0.0.7"}, "127.0.0.1", 404),
        ("a-long-token", {}, "127.0.0.1", 404),
        ("a-long-token", TOKEN, "10.0.0.7", 200),
        ("another-token", TOKEN, "10.0.0.7", 404),
    ],
    ids=["loopback", "elsewhere", "behind a proxy", "no token", "token", "wrong token"],
)
def test_metrics_need_loopback_or_a_token_in_production(
    fake_services: SharedServices, token: str | None, headers: dict[str, str], address: str, status: int
) -> None:
    client = _production_client(fake_services, token)
    response = client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})
    assert response.status_code == status


def test_loop_without_heartbeat_is_reported_down(client: FlaskClient, fake_services: SharedServices) -> None:
    Heartbeats(fake_services.redis).record_heartbeat("redis-failback")

    lines = client.get("/metrics").text.splitlines()

    alive = [line for line in lines if line.startswith("notifications_loop_alive{")]
    assert len(alive) == len(WORKER_LOOPS)
    assert [line for line in alive if line.endswith(" 1.0")] == [
        'notifications_loop_alive{loop="redis-failback",process="flusher"} 1.0'
    ]


def test_breakers_of_web_and_workers_are_exported(client: FlaskClient, fake_services: SharedServices) -> None:
    Heartbeats(fake_services.redis, lambda: {"kafka": "open"}).record_heartbeat("bridge")

    lines = client.get("/metrics").text.splitlines()

    assert 'notifications_breaker_state{dependency="redis",process="web"} 0.0' in lines
    assert any("worker_breaker_state" in line and line.endswith(" 1.0") for line in lines)
