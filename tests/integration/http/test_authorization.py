"""Every route for each caller: anonymous, another user, the owner of the object, an administrator.

On real PostgreSQL, Redis, Kafka and DynamoDB. Each case has users and content of its own, because some
cases delete them.
"""

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.accounts.service_keys import ServiceKeys
from app.bootstrap import SharedServices, new_id
from tests.support.api_routes import CALLERS, ApiRoute, api_routes, request_bodies
from tests.support.api_user import PASSWORD
from tests.support.openapi_check import schema_violations
from tests.support.real_store_app import RouteTestData, auth_headers
from tests.support.real_store_app import app as app
from tests.support.real_store_app import app_services as app_services
from tests.support.real_store_app import route_data as route_data
from tests.support.web_application import create_web_application

pytestmark = pytest.mark.service


def _refresh_token(client: FlaskClient, route_data: RouteTestData) -> str:
    credentials = {"email": route_data.email, "password": PASSWORD}
    session: Any = client.post("/api/auth/login", json=credentials).json
    return str(session["refreshToken"])


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("route", api_routes(), ids=str)
def test_each_caller_gets_the_status_of_its_authority_and_the_documented_response(
    app_services: SharedServices,
    client: FlaskClient,
    route_data: RouteTestData,
    route: ApiRoute,
    caller: str,
) -> None:
    body = request_bodies(route_data).get(str(route))
    if str(route) == "POST /api/auth/refresh":
        body = {"refreshToken": _refresh_token(client, route_data)}

    response = client.open(
        route.path.format(**vars(route_data)),
        method=route.method,
        json=body,
        headers=auth_headers(app_services, route_data, caller),
    )

    assert response.status_code == route.expected_status(caller), response.get_data(as_text=True)[:300]
    assert schema_violations(route, response) == []


@pytest.mark.parametrize("route", [route for route in api_routes() if route.authority != "open"], ids=str)
def test_unauthorized_caller_is_refused_before_the_body_is_read(
    client: FlaskClient, route_data: RouteTestData, route: ApiRoute
) -> None:
    response = client.open(route.path.format(**vars(route_data)), method=route.method, data=b"{not JSON")

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
