"""Who sees the operator's screens: in testing mode everybody signed in, in production the role."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from app.web import create_app
from app.wiring import Parts
from tests.blueprints.stage import Cast
from tests.blueprints.stage import app as app
from tests.blueprints.stage import cast as cast
from tests.blueprints.stage import parts as parts
from tests.blueprints.test_forms import sign_in

pytestmark = pytest.mark.service
SCREENS = ("/dashboard", "/database")


def _email(cast: Cast, who: str) -> str:
    return f"{who}_{getattr(cast, who)[-12:]}@example.org"


@pytest.fixture
def production(parts: Parts) -> FlaskClient:
    web = replace(parts.settings.web, mode="production")
    app = create_app(replace(parts, settings=replace(parts.settings, web=web)))
    app.config["SESSION_COOKIE_SECURE"] = False  # the test client speaks plain HTTP
    return app.test_client()


@pytest.mark.parametrize("path", SCREENS)
def test_the_anonymous_are_sent_to_log_in_and_back(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/login?next={path}")


@pytest.mark.parametrize("path", SCREENS)
def test_in_testing_mode_they_open_to_everybody_signed_in(
    client: FlaskClient, cast: Cast, path: str
) -> None:
    sign_in(client, _email(cast, "other"))
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", SCREENS)
@pytest.mark.parametrize(("who", "status"), [("other", 403), ("admin", 200)])
def test_in_production_they_need_the_role(
    production: FlaskClient, cast: Cast, path: str, who: str, status: int
) -> None:
    sign_in(production, _email(cast, who))
    assert production.get(path).status_code == status


def test_what_needs_the_role_is_on_the_dashboard_of_an_administrator_only(
    client: FlaskClient, cast: Cast
) -> None:
    sign_in(client, _email(cast, "other"))
    seen = client.get("/dashboard").text
    assert 'id="flush"' not in seen
    assert f"create-admin {_email(cast, 'other')}" in seen
    client.delete_cookie("session")
    sign_in(client, _email(cast, "admin"))
    assert 'id="flush"' in client.get("/dashboard").text


def test_production_has_neither_switches_nor_the_post_tester(
    production: FlaskClient, cast: Cast
) -> None:
    sign_in(production, _email(cast, "admin"))
    seen = production.get("/dashboard").text
    assert "data-demo" not in seen
    assert "switch-said" not in seen
    assert "data-dials" not in production.get(f"/posts/{cast.post}").text
