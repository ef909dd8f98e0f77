"""GET /metrics: per process, without any service, and not for everybody in production."""

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.domain.loops import LOOPS
from app.stores.heartbeats import Heartbeats
from app.stores.postgres import engine
from app.web import create_app


@pytest.fixture
def fakes(fakes: Any) -> Any:
    """With a PostgreSQL that is away."""
    fakes.engine = engine(fakes.settings.addresses.database_url)
    return fakes


TOKEN = {"Authorization": "Bearer a-long-token"}


def _client(fakes: Any, token: str | None) -> FlaskClient:
    """In production."""
    web = replace(fakes.settings.web, mode="production", metrics_token=token)
    fakes.settings = replace(fakes.settings, web=web)
    return create_app(fakes).test_client()


def test_answers_are_counted_by_status(client: FlaskClient) -> None:
    client.get("/api/nowhere")
    said = client.get("/metrics")
    assert said.status_code == 200
    assert 'notifications_http_answers_total{status="404"}' in said.text
    assert "notifications_connected_users 0.0" in said.text


def test_the_stages_are_told(client: FlaskClient, fakes: Any) -> None:
    fakes.redis.hset("stage:bridge", "published", 8)
    line = 'notifications_stage_events_total{outcome="published",stage="bridge"} 8.0'
    said = client.get("/metrics").text
    assert (
        line in said
        or line.replace('outcome="published",stage="bridge"', 'stage="bridge",outcome="published"')
        in said
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
def test_in_production_it_is_for_loopback_or_a_token(
    fakes: Any, token: str | None, headers: dict[str, str], address: str, status: int
) -> None:
    client = _client(fakes, token)
    told = client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})
    assert told.status_code == status


def test_a_loop_without_a_heartbeat_is_not_alive(client: FlaskClient, fakes: Any) -> None:
    Heartbeats(fakes.redis).beat("keeper")

    lines = client.get("/metrics").text.splitlines()

    alive = [one for one in lines if one.startswith("notifications_loop_alive{")]
    assert len(alive) == len(LOOPS)
    assert [one for one in alive if one.endswith(" 1.0")] == [
        'notifications_loop_alive{loop="keeper",process="flusher"} 1.0'
    ]


def test_breakers_are_told_here_and_of_the_workers(client: FlaskClient, fakes: Any) -> None:
    Heartbeats(fakes.redis, lambda: {"kafka": "open"}).beat("bridge")

    lines = client.get("/metrics").text.splitlines()

    assert 'notifications_breaker_state{dependency="redis",process="web"} 0.0' in lines
    assert any("worker_breaker_state" in one and one.endswith(" 1.0") for one in lines)
