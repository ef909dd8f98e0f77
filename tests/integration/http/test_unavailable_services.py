"""Every route while Redis or PostgreSQL is unavailable: no 500, and 503 only where no fallback exists."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.accounts.service_keys import ServiceKeys
from app.bootstrap import SharedServices, build_shared_services, new_id
from app.failover.redis_failover import INGRESS_ENABLED_KEY
from app.ingest.memberships import DesiredState
from app.messaging.topics import create_missing_topics
from app.settings import load_settings
from tests.support.api_routes import ApiRoute, api_routes, request_bodies
from tests.support.isolated_app import environment_variables
from tests.support.real_store_app import RouteTestData, auth_headers
from tests.support.real_store_app import app_services as app_services
from tests.support.real_store_app import route_data as route_data
from tests.support.web_application import create_web_application

pytestmark = pytest.mark.service
NOWHERE = {
    "redis": {"REDIS_URL": "redis://127.0.0.1:1/0"},
    "postgres": {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"},
}
NEED_REDIS = {"POST /api/admin/windows/flush", "DELETE /api/admin/db/clear"}
REFUSED_HERE = {"POST /api/auth/refresh", "POST /api/test/services/{service}"}
"""Without a token of an earlier answer; where no service is embedded."""
NEED_NOTHING = {"GET /health", "GET /openapi.json", "GET /docs"}


WITHOUT_REDIS = pytest.mark.parametrize("app_without_service", ["redis"], indirect=True)
WITHOUT_POSTGRESQL = pytest.mark.parametrize("app_without_service", ["postgres"], indirect=True)


@pytest.fixture(scope="module", params=list(NOWHERE))
def app_without_service(
    request: pytest.FixtureRequest, environment: dict[str, str], app_services: SharedServices
) -> Iterator[tuple[str, Flask]]:
    """An application that reaches all services but one, and the name of this one."""
    with environment_variables(environment):
        all_there = load_settings()
        # The topics stay when this module is done: with other numbers than everybody's they would
        # be in the way of the tests that come after.
        kafka_connection = all_there.service_urls.kafka_connection
        create_missing_topics(kafka_connection, all_there.kafka.partitions, 1, 3_600_000)
    with environment_variables(environment | NOWHERE[request.param]):
        services = build_shared_services(load_settings())
    yield request.param, create_web_application(services).flask_app
    services.engine.dispose()
    services.critical_engine.dispose()


@pytest.mark.parametrize("route", api_routes(), ids=str)
def test_route_without_one_service_responds_as_documented(
    app_without_service: tuple[str, Flask],
    app_services: SharedServices,
    route_data: RouteTestData,
    route: ApiRoute,
) -> None:
    service, app = app_without_service
    caller = "admin" if route.path.startswith("/api/admin") else "owner"
    _write(app_services, route_data)

    response: Any = app.test_client().open(
        route.path.format(**vars(route_data)),
        method=route.method,
        json=request_bodies(route_data).get(str(route)),
        headers=auth_headers(app_services, route_data, caller),
    )

    body = response.get_data(as_text=True)[:300]
    assert response.status_code < 500 or response.status_code == 503, body
    if response.status_code == 503 and route.path != "/ready":
        assert response.headers["Retry-After"], body
    if service == "redis" and str(route) not in REFUSED_HERE:
        expected = 503 if str(route) in NEED_REDIS else route.expected_status(caller)
        assert response.status_code == expected, body
    if str(route) in NEED_NOTHING:
        assert response.status_code == 200, body


def _write(app_services: SharedServices, route_data: RouteTestData) -> None:
    """Inserts the row of the test data's comment, as after the end of its window. It exists already if the
    comment was written without Redis."""
    with app_services.engine.begin() as conn:
        conn.execute(
            text(
                "insert into comments (id, post_id, user_id, content, seq, active) "
                "values (:comment, :post, :owner, 'Hi', 1, true) on conflict do nothing"
            ),
            vars(route_data),
        )


@WITHOUT_REDIS
@pytest.mark.parametrize("kind", ["OTP", "LIKE", "MARKETING"])
def test_event_of_another_server_is_accepted_without_redis(
    app_without_service: tuple[str, Flask],
    app_services: SharedServices,
    route_data: RouteTestData,
    kind: str,
) -> None:
    _, app = app_without_service
    secret = new_id()
    ServiceKeys(app_services.engine).store_key_hash(new_id(), "a test", secret)
    event = {"type": kind, "targetId": route_data.owner, "actorId": route_data.other}
    event_object = {"targetType": "POST", "targetEntityId": route_data.post, "message": "Hello"}

    response: Any = app.test_client().post(
        "/api/events", json=event | event_object, headers={"X-Api-Key": secret}
    )

    assert response.status_code == 202, response.get_data(as_text=True)


@WITHOUT_REDIS
def test_post_deleted_without_redis_is_not_found_at_once(
    app_without_service: tuple[str, Flask], app_services: SharedServices, route_data: RouteTestData
) -> None:
    _, app = app_without_service
    client, headers = app.test_client(), auth_headers(app_services, route_data, "owner")

    response: Any = client.delete(f"/api/posts/{route_data.post}", headers=headers)

    assert (response.status_code, response.json["success"]) == (200, True)
    assert client.get(f"/api/posts/{route_data.post}", headers=headers).status_code == 404


@WITHOUT_REDIS
def test_like_without_redis_and_the_next_read_are_marked_stale(
    app_without_service: tuple[str, Flask], app_services: SharedServices, route_data: RouteTestData
) -> None:
    _, app = app_without_service
    headers, client = auth_headers(app_services, route_data, "other"), app.test_client()

    like_response: Any = client.put(f"/api/posts/{route_data.post}/like", headers=headers).json
    post_response: Any = client.get(f"/api/posts/{route_data.post}", headers=headers).json

    assert (like_response["liked"], like_response["likesCount"], like_response["stale"]) == (True, 1, True)
    assert (
        post_response["post"]["isLiked"],
        post_response["post"]["likesCount"],
        post_response["stale"],
    ) == (True, 1, True)


@WITHOUT_POSTGRESQL
def test_like_of_a_cached_post_needs_no_postgresql(
    app_without_service: tuple[str, Flask], app_services: SharedServices, route_data: RouteTestData
) -> None:
    _, app = app_without_service
    headers = auth_headers(app_services, route_data, "other")
    with app_services.engine.begin() as conn:  # what earlier tests left of a Redis failover
        conn.execute(text("delete from redis_failover_state"))
    app_services.redis.set(INGRESS_ENABLED_KEY, new_id())
    app_services.actions.set_like(route_data.owner, route_data.post, DesiredState.ON)

    responses = [
        app.test_client().open(f"/api/posts/{route_data.post}/like", method=method, headers=headers)
        for method in ("PUT", "DELETE", "PUT")
    ]

    assert [response.status_code for response in responses] == [200, 200, 200], responses[0].json
    assert responses[-1].json == {"success": True, "liked": True, "likesCount": 2}
