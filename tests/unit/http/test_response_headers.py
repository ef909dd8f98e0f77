"""What a security review would look for in every response."""

import dataclasses
import logging

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import log_config
from app.bootstrap import SharedServices
from app.trace_context import get_or_create_correlation_id, get_or_create_traceparent
from tests.support.fake_app import auth_header
from tests.support.web_application import create_web_application

ORIGIN, IPV6_ORIGIN = "https://friend.example", "http://[::1]:5173"


def test_personal_response_is_not_cacheable(client: FlaskClient, user_id: str) -> None:
    response = client.put(f"/api/posts/{user_id}/like", headers=auth_header(user_id))
    assert response.headers["Cache-Control"] == "no-store"


def test_head_has_the_headers_without_the_body(client: FlaskClient) -> None:
    got, head = client.get("/api/nowhere"), client.head("/api/nowhere")
    assert got.data
    assert (head.data, head.content_length) == (b"", got.content_length)


@pytest.fixture
def cors_client(fake_services: SharedServices) -> FlaskClient:
    web = dataclasses.replace(fake_services.settings.web, cors_origins=(ORIGIN, IPV6_ORIGIN))
    services = dataclasses.replace(
        fake_services, settings=dataclasses.replace(fake_services.settings, web=web)
    )
    return create_web_application(services).flask_app.test_client()


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        pytest.param(ORIGIN, ORIGIN, id="on the list"),
        pytest.param(IPV6_ORIGIN, IPV6_ORIGIN, id="an IPv6 address"),
        pytest.param("http://1:5173", None, id="what a pattern would match"),
        pytest.param("https://friend.example.evil.org", None, id="not on the list"),
        pytest.param("null", None, id="no origin at all"),
    ],
)
def test_only_configured_origins_are_allowed(
    cors_client: FlaskClient, user_id: str, origin: str, allowed: str | None
) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
    response = cors_client.options(f"/api/posts/{user_id}/like", headers=headers)
    assert response.headers.get("Access-Control-Allow-Origin") == allowed
    assert ("PUT" in response.headers.get("Access-Control-Allow-Methods", "")) == bool(allowed)


@pytest.mark.parametrize("origin", [ORIGIN, None])
def test_response_to_an_allowed_origin_shows_it_what_it_may_read(
    cors_client: FlaskClient, origin: str | None
) -> None:
    """Also an error; a cache must not give it to another origin."""
    response = cors_client.get("/api/nothing", headers={"Origin": origin} if origin else {})
    assert response.headers.get("Access-Control-Allow-Origin") == origin
    assert ("Retry-After" in response.headers.get("Access-Control-Expose-Headers", "")) == bool(origin)
    assert ("Origin" in response.headers.get("Vary", "")) == bool(origin)
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_no_origin_is_allowed_without_configuration(client: FlaskClient, user_id: str) -> None:
    response = client.put(f"/api/posts/{user_id}/like", headers=auth_header(user_id) | {"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    ("depth", "code"),
    [
        pytest.param(15, "invalid", id="allowed depth"),
        pytest.param(100, "not_json", id="too deep"),
    ],
)
def test_deeply_nested_body_is_refused(client: FlaskClient, depth: int, code: str) -> None:
    body = '{"email": ' + "[" * depth + "]" * depth + "}"
    response = client.post("/api/auth/login", data=body)
    assert (response.status_code, (response.json or {})["code"]) == (400, code)


def test_brackets_in_strings_are_not_nesting(client: FlaskClient) -> None:
    body = '{"email": "x", "password": "\\"' + "[" * 100 + '"}'
    response = client.post("/api/auth/login", data=body)
    assert (response.json or {})["error"] == "Invalid email format"


def test_request_log_line_has_its_ids(app: Flask) -> None:
    record = logging.LogRecord("x", logging.INFO, "x", 1, "something", (), None)
    handler = log_config.create_log_handler(as_text=False)
    with app.test_request_context(headers={"X-Correlation-Id": "corr-1"}):
        get_or_create_correlation_id()
        trace_id = get_or_create_traceparent().split("-")[1]
        handler.filter(record)
    line = handler.format(record)
    assert '"correlation_id": "corr-1"' in line
    assert f'"trace_id": "{trace_id}"' in line
