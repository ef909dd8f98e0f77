"""Who is let in."""

import uuid
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.blueprints.conftest import FakeClock, bearer, token

POST = f"/api/posts/{uuid.uuid4()}/like"


def test_a_token_made_from_the_contract_alone_is_good(client: FlaskClient, user_id: str) -> None:
    assert client.put(POST, headers=bearer(user_id)).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"exp": 1}, id="it has run out"),
        pytest.param({"exp": None}, id="it never runs out"),
        pytest.param({"type": "refresh"}, id="it is for refreshing"),
        pytest.param({"jti": None}, id="it cannot be revoked"),
        pytest.param({"sub": "admin"}, id="it names no user"),
        pytest.param({"sid": 7}, id="its session is no text"),
        pytest.param({"secret": "another secret that is just as long as ours"}, id="it is forged"),
    ],
)
def test_a_bad_token_is_refused(client: FlaskClient, user_id: str, claims: dict[str, Any]) -> None:
    answer = client.put(POST, headers=bearer(user_id, **claims))
    assert answer.status_code == 401
    assert answer.json == {
        "success": False,
        "error": "Invalid or expired token",
        "code": "invalid_token",
    }


def test_a_token_without_signature_is_refused(client: FlaskClient) -> None:
    unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."
    assert client.put(POST, headers={"Authorization": f"Bearer {unsigned}"}).status_code == 401


def test_a_remembered_token_runs_out_all_the_same(
    client: FlaskClient, clock: FakeClock, user_id: str
) -> None:
    headers = bearer(user_id)
    assert client.put(POST, headers=headers).status_code == 200
    clock.now += 61
    assert client.put(POST, headers=headers).status_code == 401


def test_the_prefix_is_spelled_as_the_seed_spells_it(client: FlaskClient) -> None:
    answer = client.put(POST, headers={"Authorization": "Basic abc"})
    assert (answer.status_code, answer.json and answer.json["error"]) == (401, "No token provided")


def test_a_remembered_token_ends_with_its_session(
    app: Flask, client: FlaskClient, user_id: str
) -> None:
    headers = bearer(user_id, sid="session-1")
    assert client.put(POST, headers=headers).status_code == 200
    app.extensions["revocations"].note(["session-1"])
    assert client.put(POST, headers=headers).status_code == 401
    assert client.put(POST, headers=bearer(user_id, sid="session-2")).status_code == 200


def test_a_look_into_memory_is_all_a_revocation_costs(app: Flask, user_id: str) -> None:
    """NoDatabase and the fakes would raise: reading a token asks nobody."""
    with app.app_context():
        claims = app.extensions["tokens"].read(token(user_id, sid="session-1"))
    assert (claims.user_id, claims.session_id) == (user_id, "session-1")
