"""Paths with extra slashes, and forged Host headers."""

import re
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.fake_app import auth_header

FORGED_HOST = "evil.example"


def _request(client: FlaskClient, path: str, method: str = "GET", **headers: str) -> Any:
    """Sends exactly this path: the test client would take the part after // for a host."""
    return client.open(
        "/",
        method=method,
        headers={"Host": FORGED_HOST} | headers,
        environ_overrides={"PATH_INFO": unquote(path)},
    )


HOST_HEADERS = [FORGED_HOST, "evil.example:80", "[::1", "x y", "evil.example/@here", "", "a" * 300]


@pytest.mark.parametrize(
    "path",
    [
        "/api//posts",
        "//api/posts",
        "//api//posts",
        "/api/posts//",
        "/api/posts/",
        "/api",
        "/api/",
        "/api/posts/%2e%2e%2f/like",
        "/api/posts/..%2f..%2fusers/like",
        "/api/posts/%2f/like",
        "/api/%2fposts",
        "/api%2f%2fposts",
        "/api/.%2e/posts/x",
        "/socket.io//",
        "//socket.io/",
        "/socket.io",
    ],
)
def test_an_api_path_with_slashes_too_many_is_not_found_in_json(
    client: FlaskClient, user_id: str, path: str
) -> None:
    for method, accept in (("GET", "text/html"), ("PUT", "*/*"), ("POST", "application/json")):
        response = _request(client, path, method, Accept=accept, **auth_header(user_id))

        assert response.status_code in (400, 404), (method, response.headers)
        assert "Location" not in response.headers
        assert FORGED_HOST not in response.get_data(as_text=True)
        assert path.endswith("socket.io//") or (response.json or {})["code"] == "not_found"


@pytest.mark.parametrize("path", ["//", "//login", "/login/", "/posts//x", "//evil.example/%2f.."])
def test_page_with_repeated_slashes_is_not_found(client: FlaskClient, path: str) -> None:
    response = _request(client, path, Accept="text/html")

    assert (response.status_code, response.mimetype) == (404, "text/html")
    assert "Location" not in response.headers


def _paths(app: Flask) -> list[tuple[str, str]]:
    """A path of each route, and the path with each of its slashes doubled or one more at its end."""
    paths = []
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        method = "GET" if "GET" in (rule.methods or ()) else sorted(rule.methods or ())[0]
        slash_indexes = [at for at, letter in enumerate(path) if letter == "/"]
        changed = [path[:at] + "/" + path[at:] for at in slash_indexes]
        paths += [(method, changed_path) for changed_path in (path, path + "/", *changed)]
    return paths


def test_no_route_redirects_to_the_host_that_the_caller_names(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The views themselves are replaced: most need a database.
    for name in app.view_functions:
        monkeypatch.setitem(app.view_functions, name, lambda **_: "reached")
    wrong = []
    for method, path in _paths(app):
        response = _request(client, path, method)
        if 300 <= response.status_code < 400 or "Location" in response.headers:
            wrong.append((method, path, response.headers.get("Location")))
        if "//" in path:
            assert response.status_code in (404, 405), (method, path)

    assert wrong == []


@pytest.mark.parametrize("host", HOST_HEADERS)
def test_a_page_leads_nowhere_else_whatever_host_the_caller_names(client: FlaskClient, host: str) -> None:
    for path in ("/notifications", "/posts", "/", "/favicon.ico", "/nowhere"):
        response = _request(client, path, Accept="text/html", Host=host)

        assert response.headers.get("Location", "/").startswith("/"), path
        assert not response.headers.get("Location", "/").startswith("//"), path
        assert FORGED_HOST not in response.get_data(as_text=True), path


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/login", "/register"])
def test_no_answer_repeats_the_host(client: FlaskClient, path: str) -> None:
    response = _request(client, path, **{"X-Forwarded-Host": FORGED_HOST})

    assert response.status_code == 200
    assert FORGED_HOST not in response.get_data(as_text=True)
