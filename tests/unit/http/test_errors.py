"""Statuses and codes of error responses."""

import pytest
from flask.testing import FlaskClient

from tests.support.fake_app import auth_header


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nowhere", 404, "not_found"),
        ("PUT", "/api/posts", 405, "method_not_allowed"),
        ("POST", "/api/auth/register", 400, "not_json"),
        ("GET", "/api/posts?limit=51", 400, "out_of_range"),
        ("GET", "/api/posts?page=0", 400, "out_of_range"),
        ("GET", "/api/posts?page=x", 400, "out_of_range"),
        ("GET", "/api/posts?limit=10&page=101", 400, "page_too_far"),
        ("GET", "/api/posts?limit=10&page=101&cursor=x", 400, "bad_cursor"),
        ("GET", "/api/posts?cursor=x", 400, "bad_cursor"),
        ("GET", "/api/users", 400, "invalid"),
        ("GET", "/api/comments", 400, "invalid"),
        ("GET", "/api/comments?postId=1", 400, "bad_id"),
        ("POST", "/api/events", 401, "no_service_key"),
        ("POST", "/api/test/simulate-likes", 401, "no_token"),
        ("GET", "/api/admin/db/likes", 401, "no_token"),
    ],
)
def test_errors_are_json(client: FlaskClient, method: str, path: str, status: int, code: str) -> None:
    response = client.open(path, method=method)
    assert response.status_code == status
    assert response.json is not None
    assert (response.json["success"], response.json["code"]) == (False, code)


def test_oversized_body_is_413(client: FlaskClient) -> None:
    response = client.post("/api/auth/login", data=b"x" * (1024 * 1024 + 1))
    assert response.status_code == 413


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"x"', b"{", b"\xff"])
def test_non_object_body_is_400(client: FlaskClient, user_id: str, raw: bytes) -> None:
    response = client.post("/api/posts", data=raw, headers=auth_header(user_id))
    assert (response.status_code, response.json and response.json["code"]) == (400, "not_json")


def test_token_is_checked_before_the_body(client: FlaskClient) -> None:
    assert client.post("/api/posts", data=b"{").status_code == 401


def test_missing_page_is_html(client: FlaskClient) -> None:
    response = client.get("/nowhere", headers={"Accept": "text/html"})
    assert (response.status_code, response.mimetype) == (404, "text/html")
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in response.headers["Content-Security-Policy"]


def test_invalid_host_header_is_not_copied_into_the_csp(client: FlaskClient) -> None:
    response = client.get("/nowhere", headers={"Accept": "text/html", "Host": "x;script-src *"})
    assert "script-src" not in response.headers.get("Content-Security-Policy", "")


def test_liveness_needs_no_service(client: FlaskClient) -> None:
    response = client.get("/health")
    assert response.json is not None
    assert (response.json["status"], response.json["connectedUsers"]) == ("healthy", 0)
