"""The unsubscribe page: without log-in, with a signed link, for one type of notification only."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from itsdangerous import URLSafeSerializer
from sqlalchemy import text

from app.bootstrap import SharedServices, new_id
from app.delivery.links import NotificationLinks
from app.domain.events import Kind
from app.social.preferences import PreferenceStore
from tests.support.real_store_app import RouteTestData
from tests.support.real_store_app import app as app
from tests.support.real_store_app import app_services as app_services
from tests.support.real_store_app import route_data as route_data

pytestmark = pytest.mark.service
HTML = {"Accept": "text/html"}


def _store(app_services: SharedServices) -> PreferenceStore:
    return PreferenceStore(app_services.engine, app_services.now)


@pytest.fixture
def unsubscribe_path(app_services: SharedServices, route_data: RouteTestData) -> str:
    """The link of an e-mail about a like, as a path; e-mails of likes and comments are on."""
    matrix = {kind: {"email": True, "push": True} for kind in ("LIKE", "COMMENT")}
    _store(app_services).merge(route_data.owner, {"matrix": matrix})
    settings = app_services.settings
    links = NotificationLinks(settings.web.secret_key, settings.public_url)
    return links.unsubscribe_url(route_data.owner, Kind.LIKE).removeprefix(settings.public_url)


def _matrix(app_services: SharedServices, route_data: RouteTestData) -> Any:
    return _store(app_services).get(route_data.owner)["matrix"]


def test_get_shows_what_will_be_disabled_and_changes_nothing(
    client: FlaskClient, app_services: SharedServices, route_data: RouteTestData, unsubscribe_path: str
) -> None:
    response = client.get(unsubscribe_path)
    assert response.status_code == 200
    assert "Likes on your posts: e-mails of this kind will be switched off" in response.text
    assert 'method="post"' in response.text
    assert _matrix(app_services, route_data)["LIKE"]["email"] is True


def test_post_without_cookie_and_csrf_field_disables_that_kind_only(
    client: FlaskClient, app_services: SharedServices, route_data: RouteTestData, unsubscribe_path: str
) -> None:
    """As a mail program does it (RFC 8058)."""
    for _ in range(2):
        response = client.post(unsubscribe_path, data={"List-Unsubscribe": "One-Click"})
        assert response.status_code == 200
        assert "e-mails are off" in response.text
    assert _matrix(app_services, route_data) == {
        "LIKE": {"email": False, "push": True},
        "COMMENT": {"email": True, "push": True},
    }
    assert "e-mails are off" in client.get(unsubscribe_path).text


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path[:-3], id="cut"),
        pytest.param(lambda path: path.replace("/unsubscribe/", "/unsubscribe/x"), id="changed"),
        pytest.param(lambda path: "/unsubscribe/nonsense", id="nonsense"),
        pytest.param(lambda path: "/unsubscribe/%00.%ff", id="no text"),
    ],
)
def test_link_with_an_invalid_signature_changes_nothing(
    client: FlaskClient,
    app_services: SharedServices,
    route_data: RouteTestData,
    unsubscribe_path: str,
    method: str,
    change: Any,
) -> None:
    response = client.open(change(unsubscribe_path), method=method, headers=HTML)
    assert response.status_code == 404
    assert "This unsubscribe link is not valid" in response.text
    assert _matrix(app_services, route_data)["LIKE"]["email"] is True


def test_link_signed_for_another_purpose_is_not_found(
    client: FlaskClient, app_services: SharedServices, route_data: RouteTestData
) -> None:
    signer = URLSafeSerializer(app_services.settings.web.secret_key, salt="session")
    token = signer.dumps([route_data.owner, "LIKE"])
    assert client.get(f"/unsubscribe/{token}").status_code == 404


def test_link_of_a_removed_account_is_not_found(
    client: FlaskClient, app_services: SharedServices, unsubscribe_path: str, route_data: RouteTestData
) -> None:
    links = NotificationLinks(app_services.settings.web.secret_key, "")
    assert client.post(links.unsubscribe_url(new_id(), Kind.LIKE)).status_code == 404
    with app_services.engine.begin() as conn:
        conn.execute(text("delete from users where id = :id"), {"id": route_data.owner})
    for method in ("GET", "POST"):
        response = client.open(unsubscribe_path, method=method, headers=HTML)
        assert (response.status_code, "User not found" in response.text) == (404, True)
