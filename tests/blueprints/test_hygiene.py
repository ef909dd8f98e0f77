"""What a security review would look for in every answer."""

import dataclasses
import logging
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import logs
from app.web import create_app
from blueprints.identity import correlation_id, traceparent
from tests.blueprints.conftest import bearer

ORIGIN = "https://friend.example"


def test_a_personal_answer_is_kept_by_no_cache(client: FlaskClient, user_id: str) -> None:
    answer = client.put(f"/api/posts/{user_id}/like", headers=bearer(user_id))
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.fixture
def friendly(fakes: Any) -> FlaskClient:
    web = dataclasses.replace(fakes.settings.web, cors_origins=(ORIGIN,))
    fakes.settings = dataclasses.replace(fakes.settings, web=web)
    app: Flask = create_app(fakes)
    return app.test_client()


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        pytest.param(ORIGIN, ORIGIN, id="on the list"),
        pytest.param("https://friend.example.evil.org", None, id="not on the list"),
        pytest.param("null", None, id="no origin at all"),
    ],
)
def test_only_listed_origins_may_read(
    friendly: FlaskClient, user_id: str, origin: str, allowed: str | None
) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
    answer = friendly.options(f"/api/posts/{user_id}/like", headers=asked)
    assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    assert ("PUT" in answer.headers.get("Access-Control-Allow-Methods", "")) == bool(allowed)


def test_without_a_list_no_origin_may_read(client: FlaskClient, user_id: str) -> None:
    answer = client.put(f"/api/posts/{user_id}/like", headers=bearer(user_id) | {"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("depth", "code"),
    [
        pytest.param(15, "invalid", id="deep: looked at"),
        pytest.param(100, "not_json", id="too deep: not even that"),
    ],
)
def test_a_body_may_not_nest_for_ever(client: FlaskClient, depth: int, code: str) -> None:
    body = '{"email": ' + "[" * depth + "]" * depth + "}"
    answer = client.post("/api/auth/login", data=body)
    assert (answer.status_code, (answer.json or {})["code"]) == (400, code)


def test_brackets_in_a_text_are_no_depth(client: FlaskClient) -> None:
    body = '{"email": "x", "password": "\\"' + "[" * 100 + '"}'
    answer = client.post("/api/auth/login", data=body)
    assert (answer.json or {})["error"] == "Invalid email format"


def _line(message: str, *values: object, as_text: bool = True) -> str:
    record = logging.LogRecord("x", logging.INFO, "x", 1, message, values, None)
    handler = logs.handler(as_text)
    handler.filter(record)
    return handler.format(record)


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        pytest.param("Authorization: Bearer abcdefgh.ijkl", "abcdefgh", id="a bearer"),
        pytest.param("got eyJhbGciOi.eyJzdWIi.c2ln here", "eyJzdWIi", id="a token anywhere"),
        pytest.param("redis://app:hunter2@host:1/0 is away", "hunter2", id="a URL's password"),
        pytest.param('{"password": "hunter2"}', "hunter2", id="a password in JSON"),
        pytest.param("{'newPassword': 'hunter2'}", "hunter2", id="a password in a dictionary"),
        pytest.param("a reset: token=abc-def_1 It is", "abc-def_1", id="a reset token"),
        pytest.param("Your code is 123456. It", "123456", id="a code"),
        pytest.param('{"code": "123456"}', "123456", id="a code in JSON"),
    ],
)
@pytest.mark.parametrize("as_text", [True, False], ids=["text", "json"])
def test_no_secret_gets_into_a_log(said: str, secret: str, as_text: bool) -> None:
    line = _line("%s", said, as_text=as_text)
    assert secret not in line
    assert logs.WITHHELD in line


@pytest.mark.parametrize("said", ["status code: 200", "offset 123456", "Dead letter from a/0:12"])
def test_plain_words_stay(said: str) -> None:
    assert said in _line("%s", said)


def test_a_line_of_a_request_carries_its_ids(app: Flask) -> None:
    with app.test_request_context(headers={"X-Correlation-Id": "corr-1"}):
        correlation_id()
        trace = traceparent().split("-")[1]
        line = _line("something", as_text=False)
    assert '"correlation_id": "corr-1"' in line
    assert f'"trace_id": "{trace}"' in line
