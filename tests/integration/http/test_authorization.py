"""Every route for each caller: anonymous, another user, the owner of the object, an administrator.

On real PostgreSQL, Redis, Kafka and DynamoDB. Each case has users and content of its own, because some
cases delete them.
"""

import re
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.accounts.service_keys import ServiceKeys
from app.bootstrap import SharedServices, new_id
from blueprints.api.routes import ROUTES
from blueprints.http.route_spec import RequiredAuthority
from tests.support.authority_table import CALLERS, EXPECTED_STATUSES, request_bodies
from tests.support.real_store_app import PASSWORD, RouteTestData, auth_headers
from tests.support.real_store_app import app as app
from tests.support.real_store_app import app_services as app_services
from tests.support.real_store_app import route_data as route_data
from tests.support.web_application import create_web_application

pytestmark = pytest.mark.service
ROUTE_SPECS = {(route.method, route.path): route for route in ROUTES}


def _refresh_token(client: FlaskClient, route_data: RouteTestData) -> str:
    credentials = {"email": route_data.email, "password": PASSWORD}
    session: Any = client.post("/api/auth/login", json=credentials).json
    return str(session["refreshToken"])


def _spec_key(route: str) -> tuple[str, str]:
    method, path = route.split()
    path = path.partition("?")[0].replace("{view}", "{name}")
    return method, re.sub(r"\{(?!name|service)\w+\}", "{id}", path)


CLOSED_ROUTES = [
    route
    for route in EXPECTED_STATUSES
    if ROUTE_SPECS[_spec_key(route)].authority is not RequiredAuthority.OPEN
]


def test_authority_table_has_every_route() -> None:
    assert {_spec_key(route) for route in EXPECTED_STATUSES} == set(ROUTE_SPECS)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("route", EXPECTED_STATUSES)
def test_each_caller_gets_the_status_of_the_table(
    app_services: SharedServices, client: FlaskClient, route_data: RouteTestData, route: str, caller: str
) -> None:
    method, path = route.split()
    body = request_bodies(route_data).get(route)
    if route == "POST /api/auth/refresh":
        body = {"refreshToken": _refresh_token(client, route_data)}

    response = client.open(
        path.format(**vars(route_data)),
        method=method,
        json=body,
        headers=auth_headers(app_services, route_data, caller),
    )

    expected = EXPECTED_STATUSES[route][CALLERS.index(caller)]
    assert response.status_code == expected, response.get_data(as_text=True)[:300]
    spec = ROUTE_SPECS[_spec_key(route)]
    assert expected in (spec.success_status, *spec.error_statuses())


@pytest.mark.parametrize("route", CLOSED_ROUTES)
def test_unauthorized_caller_is_refused_before_the_body_is_read(
    client: FlaskClient, route_data: RouteTestData, route: str
) -> None:
    method, path = route.split()

    response = client.open(path.format(**vars(route_data)), method=method, data=b"{not JSON")

    assert response.status_code == 401


@pytest.mark.parametrize("path", ["/api/events", "/api/events/trigger"])
def test_service_key_may_post_events(
    app_services: SharedServices, client: FlaskClient, route_data: RouteTestData, path: str
) -> None:
    key = new_id()
    ServiceKeys(app_services.engine).store_key_hash(new_id(), "a test", key)
    body = {"type": "OTP", "targetId": route_data.owner, "message": "123456"}

    response = client.post(path, json=body, headers={"X-Api-Key": key})

    assert response.status_code == 202


@pytest.mark.parametrize("caller", CALLERS[1:])
@pytest.mark.parametrize("name", ["likes", "stats"])
def test_table_viewer_is_for_administrators_in_production(
    app_services: SharedServices, route_data: RouteTestData, caller: str, name: str
) -> None:
    web = replace(app_services.settings.web, mode="production")
    production = replace(app_services, settings=replace(app_services.settings, web=web))

    client = create_web_application(production).flask_app.test_client()
    response = client.get(f"/api/admin/db/{name}", headers=auth_headers(app_services, route_data, caller))

    assert response.status_code == (200 if caller == "admin" else 403)
