"""Paths with slashes where none belong, and a Host header that is somebody else's."""

import re
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.blueprints.conftest import bearer

EVIL = "evil.example"


def ask(client: FlaskClient, path: str, method: str = "GET", **headers: str) -> Any:
    """With this very path: the test client takes what follows // for a host."""
    return client.open(
        "/",
        method=method,
        headers={"Host": EVIL} | headers,
        environ_overrides={"PATH_INFO": unquote(path)},
    )


HOSTS = [EVIL, "evil.example:80", "[::1", "x y", "evil.example/@here", "", "a" * 300]


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
        answer = ask(client, path, method, Accept=accept, **bearer(user_id))

        assert answer.status_code in (400, 404), (method, answer.headers)
        assert "Location" not in answer.headers
        assert EVIL not in answer.get_data(as_text=True)
        assert path.endswith("socket.io//") or (answer.json or {})["code"] == "not_found"


@pytest.mark.parametrize("path", ["//", "//login", "/login/", "/posts//x", "//evil.example/%2f.."])
def test_a_page_with_slashes_too_many_is_not_found(client: FlaskClient, path: str) -> None:
    answer = ask(client, path, Accept="text/html")

    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "Location" not in answer.headers


def _paths(app: Flask) -> list[tuple[str, str]]:
    """Of each route a path, with a slash too many at each place, and with one at its end."""
    found = []
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        method = "GET" if "GET" in (rule.methods or ()) else sorted(rule.methods or ())[0]
        places = [at for at, letter in enumerate(path) if letter == "/"]
        changed = [path[:at] + "/" + path[at:] for at in places]
        found += [(method, one) for one in (path, path + "/", *changed)]
    return found


def test_no_route_redirects_to_the_host_that_the_caller_names(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a view itself does is no matter here: most need a database.
    for name in app.view_functions:
        monkeypatch.setitem(app.view_functions, name, lambda **_: "reached")
    wrong = []
    for method, path in _paths(app):
        answer = ask(client, path, method)
        if 300 <= answer.status_code < 400 or "Location" in answer.headers:
            wrong.append((method, path, answer.headers.get("Location")))
        if "//" in path:
            assert answer.status_code in (404, 405), (method, path)

    assert wrong == []


@pytest.mark.parametrize("host", HOSTS)
def test_a_page_leads_nowhere_else_whatever_host_the_caller_names(
    client: FlaskClient, host: str
) -> None:
    for path in ("/notifications", "/posts", "/", "/favicon.ico", "/nowhere"):
        answer = ask(client, path, Accept="text/html", Host=host)

        assert answer.headers.get("Location", "/").startswith("/"), path
        assert not answer.headers.get("Location", "/").startswith("//"), path
        assert EVIL not in answer.get_data(as_text=True), path


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/login", "/register"])
def test_no_answer_repeats_the_host(client: FlaskClient, path: str) -> None:
    answer = ask(client, path, **{"X-Forwarded-Host": EVIL})

    assert answer.status_code == 200
    assert EVIL not in answer.get_data(as_text=True)
