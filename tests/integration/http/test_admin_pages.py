"""Access to the admin pages: any signed-in user in testing mode, administrators in production."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from app.bootstrap import SharedServices
from tests.support.api_user import sign_in
from tests.support.real_store_app import RouteTestData
from tests.support.real_store_app import app as app
from tests.support.real_store_app import app_services as app_services
from tests.support.real_store_app import route_data as route_data
from tests.support.web_application import create_web_application

pytestmark = pytest.mark.service
ADMIN_PAGES = ("/dashboard", "/database")


def _email(route_data: RouteTestData, role: str) -> str:
    return f"{role}_{getattr(route_data, role)[-12:]}@example.org"


@pytest.fixture
def production_client(app_services: SharedServices) -> FlaskClient:
    web = replace(app_services.settings.web, mode="production")
    production_services = replace(app_services, settings=replace(app_services.settings, web=web))
    app = create_web_application(production_services).flask_app
    app.config["SESSION_COOKIE_SECURE"] = False  # the test client uses plain HTTP
    return app.test_client()


@pytest.mark.parametrize("path", ADMIN_PAGES)
def test_anonymous_user_is_redirected_to_log_in_and_back(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.headers["Location"]) == (303, f"/login?next={path}")


@pytest.mark.parametrize("path", ADMIN_PAGES)
def test_admin_pages_are_open_to_logged_in_users_in_testing_mode(
    client: FlaskClient, route_data: RouteTestData, path: str
) -> None:
    sign_in(client, _email(route_data, "other"))
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ADMIN_PAGES)
@pytest.mark.parametrize(("role", "status"), [("other", 403), ("admin", 200)])
def test_admin_pages_need_the_admin_role_in_production(
    production_client: FlaskClient, route_data: RouteTestData, path: str, role: str, status: int
) -> None:
    sign_in(production_client, _email(route_data, role))
    assert production_client.get(path).status_code == status


def test_admin_functions_are_on_the_dashboard_of_administrators_only(
    client: FlaskClient, route_data: RouteTestData
) -> None:
    sign_in(client, _email(route_data, "other"))
    page = client.get("/dashboard").text
    assert 'id="flush"' not in page
    assert f"create-admin {_email(route_data, 'other')}" in page
    client.delete_cookie("session")
    sign_in(client, _email(route_data, "admin"))
    assert 'id="flush"' in client.get("/dashboard").text


def test_production_has_neither_service_control_nor_simulator(
    production_client: FlaskClient, route_data: RouteTestData
) -> None:
    sign_in(production_client, _email(route_data, "admin"))
    page = production_client.get("/dashboard").text
    assert "data-demo" not in page
    assert "service-control-result" not in page
    assert "data-simulator" not in production_client.get(f"/posts/{route_data.post}").text
    assert 'href="/storm"' not in page


def test_storm_is_linked_for_administrators_only(client: FlaskClient, route_data: RouteTestData) -> None:
    for role, link_count in (("other", 0), ("admin", 2)):  # in the menu and beside the page
        sign_in(client, _email(route_data, role))
        assert client.get("/preferences").text.count('<a href="/storm"') == link_count
        client.delete_cookie("session")
