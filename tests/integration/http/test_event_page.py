"""The page of one event is for the person who caused it, and for administrators."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.bootstrap import SharedServices, new_id
from tests.support.api_user import sign_in
from tests.support.real_store_app import RouteTestData, auth_headers
from tests.support.real_store_app import app as app
from tests.support.real_store_app import app_services as app_services
from tests.support.real_store_app import route_data as route_data

pytestmark = pytest.mark.service


@pytest.fixture
def event_path(client: FlaskClient, app_services: SharedServices, route_data: RouteTestData) -> str:
    """Of a like by `other`."""
    response = client.put(
        f"/api/posts/{route_data.post}/like", headers=auth_headers(app_services, route_data, "other")
    )
    return f"/events/{response.headers['X-Event-Id']}"


def sign_in_as(client: FlaskClient, route_data: RouteTestData, role: str) -> None:
    sign_in(client, f"{role}_{getattr(route_data, role)[-12:]}@example.org")


@pytest.mark.parametrize(("role", "status"), [("other", 200), ("admin", 200), ("owner", 404)])
def test_only_the_actor_and_administrators_see_an_event(
    client: FlaskClient, route_data: RouteTestData, event_path: str, role: str, status: int
) -> None:
    sign_in_as(client, route_data, role)
    response = client.get(event_path)
    assert response.status_code == status
    assert ("Waits to be moved to Kafka" in response.text) == (status == 200)


@pytest.mark.parametrize(
    ("role", "detail"),
    [
        ("other", "It ended without an announcement."),
        ("admin", "The recipient muted the person or the post."),
    ],
)
def test_reason_of_the_recipient_is_for_administrators(
    client: FlaskClient,
    route_data: RouteTestData,
    app_services: SharedServices,
    event_path: str,
    role: str,
    detail: str,
) -> None:
    event_id = event_path.removeprefix("/events/")
    group = f"{route_data.owner} LIKE {route_data.post} {route_data.other}"
    for step, value in (("published", "1000 1000"), ("aggregated", f"1010 muted 1000 {group}")):
        app_services.redis.hset(f"trace:{event_id}", step, value)
    sign_in_as(client, route_data, role)

    text = client.get(event_path).text

    assert detail in text
    assert ("recipient muted" in text) == (role == "admin")


def test_anonymous_visitor_is_asked_to_log_in(client: FlaskClient, event_path: str) -> None:
    response = client.get(event_path)
    assert (response.status_code, response.headers["Location"]) == (303, f"/login?next={event_path}")


@pytest.mark.parametrize(
    "event_id", [pytest.param(new_id(), id="unknown"), pytest.param("nonsense", id="not an id")]
)
def test_unknown_event_is_404(client: FlaskClient, route_data: RouteTestData, event_id: str) -> None:
    sign_in_as(client, route_data, "admin")
    assert client.get(f"/events/{event_id}").status_code == 404


def test_like_response_has_no_further_fields(
    app: Flask, app_services: SharedServices, route_data: RouteTestData
) -> None:
    response = app.test_client().put(
        f"/api/posts/{route_data.post}/like", headers=auth_headers(app_services, route_data, "other")
    )
    assert response.json == {"success": True, "liked": True, "likesCount": 1}
