"""Validation of access tokens."""

import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.web import WebApplication
from tests.support.fake_app import CallableClock, auth_header, make_access_token

LIKE_PATH = f"/api/posts/{uuid.uuid4()}/like"


def test_token_built_from_the_contract_is_accepted(client: FlaskClient, user_id: str) -> None:
    assert client.put(LIKE_PATH, headers=auth_header(user_id)).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"exp": 1}, id="expired"),
        pytest.param({"exp": None}, id="no expiry"),
        pytest.param({"type": "refresh"}, id="refresh token"),
        pytest.param({"jti": None}, id="no jti"),
        pytest.param({"sub": "admin"}, id="subject is no user id"),
        pytest.param({"sid": 7}, id="session id is no string"),
        pytest.param({"secret": "another secret that is just as long as ours"}, id="wrong signature"),
    ],
)
def test_a_bad_token_is_refused(client: FlaskClient, user_id: str, claims: dict[str, Any]) -> None:
    response = client.put(LIKE_PATH, headers=auth_header(user_id, **claims))
    assert response.status_code == 401
    assert response.json == {
        "success": False,
        "error": "Invalid or expired token",
        "code": "invalid_token",
    }


def test_a_token_without_signature_is_refused(client: FlaskClient) -> None:
    unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."
    assert client.put(LIKE_PATH, headers={"Authorization": f"Bearer {unsigned}"}).status_code == 401


def test_cached_token_still_expires(client: FlaskClient, clock: CallableClock, user_id: str) -> None:
    headers = auth_header(user_id)
    assert client.put(LIKE_PATH, headers=headers).status_code == 200
    clock.now += 600
    assert client.put(LIKE_PATH, headers=headers).status_code == 401


def test_missing_bearer_prefix_has_the_documented_error(client: FlaskClient) -> None:
    response = client.put(LIKE_PATH, headers={"Authorization": "Basic abc"})
    assert (response.status_code, response.json and response.json["error"]) == (401, "No token provided")


def test_cached_token_ends_with_its_session(
    web_application: WebApplication, client: FlaskClient, user_id: str
) -> None:
    headers = auth_header(user_id, sid="ended-session")
    assert client.put(LIKE_PATH, headers=headers).status_code == 200
    web_application.web_services.auth.revocations.mark_sessions_revoked(["ended-session"])
    assert client.put(LIKE_PATH, headers=headers).status_code == 401
    assert client.put(LIKE_PATH, headers=auth_header(user_id, sid="session-2")).status_code == 200


def test_revocation_check_reads_memory_only(web_application: WebApplication, user_id: str) -> None:
    """The fake engine would raise an error."""
    with web_application.flask_app.app_context():
        claims = web_application.web_services.access_tokens.verify(
            make_access_token(user_id, sid="session-1")
        )
    assert (claims.user_id, claims.session_id) == (user_id, "session-1")
