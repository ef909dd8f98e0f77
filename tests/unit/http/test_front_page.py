"""The front page for anonymous users: what it offers in each mode, and its figures. No services."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from app.bootstrap import SharedServices
from tests.support.web_application import create_web_application


@pytest.fixture
def production_client(fake_services: SharedServices) -> FlaskClient:
    web = replace(fake_services.settings.web, mode="production")
    services = replace(fake_services, settings=replace(fake_services.settings, web=web))
    return create_web_application(services).flask_app.test_client()


def test_anonymous_user_sees_the_front_page_without_any_service(client: FlaskClient) -> None:
    response = client.get("/")

    assert response.status_code == 200
    page = response.text
    assert 'action="/enter-as-ada"' in page
    assert 'action="/login"' in page
    assert "/register?next=/" in page
    assert "tour.js" not in page


def test_production_has_no_demo(production_client: FlaskClient) -> None:
    response = production_client.get("/")

    assert response.status_code == 200
    assert "enter-as-ada" not in response.text
    assert 'action="/login"' in response.text
    assert production_client.post("/enter-as-ada").status_code == 404
    assert production_client.post("/api/test/demo-people").status_code == 404


def test_entering_the_demo_needs_a_csrf_token(client: FlaskClient) -> None:
    assert client.post("/enter-as-ada").status_code == 403


@pytest.mark.parametrize("client_fixture", ["client", "production_client"])
def test_figures_are_null_without_services_and_reveal_no_reason(
    request: pytest.FixtureRequest, client_fixture: str
) -> None:
    client: FlaskClient = request.getfixturevalue(client_fixture)

    response = client.get("/api/figures")

    assert response.status_code == 200
    assert response.json is not None
    assert set(response.json) == {"success", "accepted", "waiting", "written", "delivered", "openWindows"}
    assert response.json["written"] in (0, None)
