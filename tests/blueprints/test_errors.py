"""The error table."""

import pytest
from flask.testing import FlaskClient

from tests.blueprints.conftest import bearer


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nowhere", 404, "not_found"),
        ("PUT", "/api/posts", 405, "method_not_allowed"),
        ("POST", "/api/auth/register", 400, "not_json"),
        ("GET", "/api/posts?limit=51", 400, "out_of_range"),
        ("GET", "/api/posts?page=0", 400, "out_of_range"),
        ("GET", "/api/posts?page=x", 400, "out_of_range"),
        ("GET", "/api/posts?cursor=x", 400, "bad_cursor"),
        ("GET", "/api/users", 400, "invalid"),
        ("GET", "/api/comments", 400, "invalid"),
        ("GET", "/api/comments?postId=1", 400, "bad_id"),
        ("POST", "/api/events", 401, "no_service_key"),
        ("POST", "/api/test/simulate-likes", 401, "no_token"),
        ("GET", "/api/admin/db/likes", 401, "no_token"),
    ],
)
def test_what_is_wrong_is_told_in_json(
    client: FlaskClient, method: str, path: str, status: int, code: str
) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert answer.json is not None
    assert (answer.json["success"], answer.json["code"]) == (False, code)


def test_too_much_is_413(client: FlaskClient) -> None:
    answer = client.post("/api/auth/login", data=b"x" * (1024 * 1024 + 1))
    assert answer.status_code == 413


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"x"', b"{", b"\xff"])
def test_a_body_that_is_no_object_is_400(client: FlaskClient, user_id: str, raw: bytes) -> None:
    answer = client.post("/api/posts", data=raw, headers=bearer(user_id))
    assert (answer.status_code, answer.json and answer.json["code"]) == (400, "not_json")


def test_the_token_comes_before_the_body(client: FlaskClient) -> None:
    assert client.post("/api/posts", data=b"{").status_code == 401


def test_a_page_that_is_missing_is_a_page(client: FlaskClient) -> None:
    answer = client.get("/nowhere", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]


def test_a_strange_host_does_not_reach_the_policy(client: FlaskClient) -> None:
    answer = client.get("/nowhere", headers={"Accept": "text/html", "Host": "x;script-src *"})
    assert "script-src" not in answer.headers.get("Content-Security-Policy", "")


def test_alive_without_any_service(client: FlaskClient) -> None:
    answer = client.get("/health")
    assert answer.json is not None
    assert (answer.json["status"], answer.json["connectedUsers"]) == ("healthy", 0)
