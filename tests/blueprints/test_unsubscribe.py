"""The page behind an unsubscribe link: without log-in, by a signed link, and for one kind only."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from itsdangerous import URLSafeSerializer
from sqlalchemy import text

from app.domain.events import Kind
from app.links import Links
from app.stores.preferences import PreferenceStore
from app.wiring import Parts, new_id
from tests.blueprints.stage import Cast
from tests.blueprints.stage import app as app
from tests.blueprints.stage import cast as cast
from tests.blueprints.stage import parts as parts

pytestmark = pytest.mark.service
HTML = {"Accept": "text/html"}


def _store(parts: Parts) -> PreferenceStore:
    return PreferenceStore(parts.engine, parts.clock)


@pytest.fixture
def path(parts: Parts, cast: Cast) -> str:
    """The link of an e-mail about a like, as a path; e-mails of likes and comments are on."""
    on = {kind: {"email": True, "push": True} for kind in ("LIKE", "COMMENT")}
    _store(parts).merge(cast.owner, {"matrix": on})
    settings = parts.settings
    links = Links(settings.web.secret_key, settings.public_url)
    return links.unsubscribe(cast.owner, Kind.LIKE).removeprefix(settings.public_url)


def _matrix(parts: Parts, cast: Cast) -> Any:
    return _store(parts).of(cast.owner).values["matrix"]


def test_get_says_what_will_be_switched_off_and_changes_nothing(
    client: FlaskClient, parts: Parts, cast: Cast, path: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert "Likes of your posts: e-mails of this kind will be switched off" in answer.text
    assert 'method="post"' in answer.text
    assert _matrix(parts, cast)["LIKE"]["email"] is True


def test_post_without_cookie_and_csrf_field_switches_off_that_kind_alone(
    client: FlaskClient, parts: Parts, cast: Cast, path: str
) -> None:
    """As a mail program does it (RFC 8058)."""
    for _ in range(2):
        answer = client.post(path, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        assert "e-mails are off" in answer.text
    assert _matrix(parts, cast) == {
        "LIKE": {"email": False, "push": True},
        "COMMENT": {"email": True, "push": True},
    }
    assert "e-mails are off" in client.get(path).text


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
def test_a_link_that_was_not_signed_by_us_does_nothing(
    client: FlaskClient, parts: Parts, cast: Cast, path: str, method: str, change: Any
) -> None:
    answer = client.open(change(path), method=method, headers=HTML)
    assert answer.status_code == 404
    assert "This unsubscribe link is not valid" in answer.text
    assert _matrix(parts, cast)["LIKE"]["email"] is True


def test_a_signature_for_another_purpose_is_none(
    client: FlaskClient, parts: Parts, cast: Cast
) -> None:
    signer = URLSafeSerializer(parts.settings.web.secret_key, salt="session")
    token = signer.dumps([cast.owner, "LIKE"])
    assert client.get(f"/unsubscribe/{token}").status_code == 404


def test_a_removed_account_has_nothing_to_switch_off(
    client: FlaskClient, parts: Parts, path: str, cast: Cast
) -> None:
    links = Links(parts.settings.web.secret_key, "")
    assert client.post(links.unsubscribe(new_id(), Kind.LIKE)).status_code == 404
    with parts.engine.begin() as sql:
        sql.execute(text("delete from users where id = :id"), {"id": cast.owner})
    for method in ("GET", "POST"):
        answer = client.open(path, method=method, headers=HTML)
        assert (answer.status_code, "User not found" in answer.text) == (404, True)
