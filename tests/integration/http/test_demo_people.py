"""The people of the demo: created once, completed after a failure; log-in as their administrator."""

import re
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.simple_server import make_server

import gevent
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from app.accounts.rate_limits import RateLimited, RateLimits
from app.devtools.demo import DemoClient, DemoError
from app.domain.errors import Unavailable
from app.domain.events import Kind
from app.ingest.actions import Actions
from tests.support.api_user import ApiUser
from tests.support.auth_client import read_critical_texts as read_critical_texts

pytestmark = pytest.mark.service


@pytest.fixture
def client(isolated_app: Flask) -> FlaskClient:
    return isolated_app.test_client()


def _csrf(client: FlaskClient) -> str:
    match = re.search(r'name="csrf" content="([^"]+)"', client.get("/").text)
    assert match
    return match[1]


def _register_visitor(app: Flask) -> ApiUser:
    return ApiUser(app, f"visitor_{secrets.token_hex(4)}")


def _create_demo(app: Flask) -> Any:
    """As some user who is not of the demo."""
    visitor = _register_visitor(app)
    response = visitor.client.post("/api/test/demo-people", headers=visitor.headers)
    assert response.status_code == 200, response.text
    return response.json


def _enter_as_ada(client: FlaskClient) -> str:
    """The path of the redirect."""
    response = client.post("/enter-as-ada", data={"csrf": _csrf(client)})
    assert response.status_code == 303
    return response.headers["Location"]


def _count_rows(engine: Engine) -> tuple[int, ...]:
    with engine.connect() as conn:
        return tuple(
            conn.execute(text(f"select count(*) from {table}")).scalar_one()  # noqa: S608
            for table in ("users where email like '%@chime.example'", "posts")
        )


def test_demo_has_people_posts_likes_follows_and_comments(isolated_app: Flask) -> None:
    demo = _create_demo(isolated_app)

    client = isolated_app.test_client()
    posts: Any = client.get("/api/posts").json
    assert [person["name"] for person in demo["people"]][:2] == ["Ada", "Ben"]
    assert [post["id"] for post in posts["posts"]] == demo["postIds"]
    assert [post["likesCount"] for post in posts["posts"]] == [7, 6, 5, 4]
    assert [post["commentsCount"] for post in posts["posts"]] == [4, 3, 2, 1]
    credentials = {"email": demo["people"][0]["email"], "password": demo["password"]}
    assert client.post("/api/auth/login", json=credentials).status_code == 200


def test_demo_is_created_once(isolated_app: Flask, engine: Engine) -> None:
    demo = _create_demo(isolated_app)
    rows = _count_rows(engine)

    assert _create_demo(isolated_app) == demo
    assert _count_rows(engine) == rows == (8, 4)


def test_two_visitors_at_the_same_time_create_it_once(isolated_app: Flask, engine: Engine) -> None:
    greenlets = [gevent.spawn(_create_demo, isolated_app) for _ in range(3)]
    gevent.joinall(greenlets, timeout=60, raise_error=True)

    assert greenlets[0].value == greenlets[1].value == greenlets[2].value
    assert _count_rows(engine) == (8, 4)


@pytest.mark.parametrize("path", ["/enter-as-ada", "/api/test/demo-people"])
@pytest.mark.parametrize("name", ["ada", "ben"])
def test_account_that_somebody_else_registered_is_refused(
    isolated_app: Flask, client: FlaskClient, engine: Engine, name: str, path: str
) -> None:
    registration = {
        "email": f"{name}@chime.example",
        "username": "mallory",
        "name": "Mallory",
        "password": "Passw0rd",
    }
    assert isolated_app.test_client().post("/api/auth/register", json=registration).status_code == 201

    visitor = _register_visitor(isolated_app)

    response = client.post(path, data={"csrf": _csrf(client)}, headers=visitor.headers)

    assert response.status_code == 409
    assert "password" in response.text
    with engine.connect() as conn:
        roles = conn.execute(text("select distinct role from users")).scalars().all()
    assert roles == ["user"]


@pytest.mark.parametrize("path", ["/enter-as-ada", "/api/test/demo-people"])
def test_each_request_counts_as_a_registration(
    isolated_app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def refuse(self: RateLimits, client_ip: str) -> None:
        raise RateLimited(f"Too many registrations from {client_ip}", 60)

    csrf, visitor = _csrf(client), _register_visitor(isolated_app)
    monkeypatch.setattr(RateLimits, "count_registration", refuse)

    response = client.post(path, data={"csrf": csrf}, headers=visitor.headers)

    assert (response.status_code, response.headers["Retry-After"]) == (429, "60")


def test_creation_that_failed_halfway_is_completed_by_the_next(
    isolated_app: Flask, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_like, calls = Actions.set_like, []

    def fail_at_the_third_like(self: Actions, *args: Any) -> Any:
        calls.append(args)
        if len(calls) == 3:
            raise Unavailable("no answer", "busy")
        return set_like(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Actions, "set_like", fail_at_the_third_like)
        visitor = _register_visitor(isolated_app)
        assert visitor("POST", "/api/test/demo-people")["status"] == 503

    demo = _create_demo(isolated_app)

    posts: Any = isolated_app.test_client().get("/api/posts").json
    assert [post["id"] for post in posts["posts"]] == demo["postIds"]
    assert [post["likesCount"] for post in posts["posts"]] == [7, 6, 5, 4]
    assert _count_rows(engine) == (8, 4)


def test_deleted_post_is_created_again(isolated_app: Flask) -> None:
    demo = _create_demo(isolated_app)
    ada, client = demo["people"][0], isolated_app.test_client()
    credentials = {"email": ada["email"], "password": demo["password"]}
    session: Any = client.post("/api/auth/login", json=credentials).json
    headers = {"Authorization": f"Bearer {session['token']}"}
    assert client.delete(f"/api/posts/{demo['postIds'][0]}", headers=headers).status_code == 200

    again = _create_demo(isolated_app)

    assert again["people"] == demo["people"]
    assert again["postIds"][1:] == demo["postIds"][1:]
    assert again["postIds"][0] != demo["postIds"][0]


def test_entering_as_ada_on_an_empty_system_logs_in_an_administrator(
    client: FlaskClient, engine: Engine, read_critical_texts: Callable[[Kind], list[str]]
) -> None:
    path = _enter_as_ada(client)

    assert re.fullmatch(r"/users/ada_[0-9a-f]{6}#welcome", path)
    profile = client.get(path.partition("#")[0]).text
    assert "First morning swim of the year" in profile
    assert "/static/tour/tour.js" in profile
    assert 'id="flush"' in client.get("/dashboard").text
    assert _enter_as_ada(client) == path
    assert read_critical_texts(Kind.SECURITY_ALERT) == []


def test_ordinary_log_in_has_no_tour(client: FlaskClient, isolated_app: Flask) -> None:
    demo = _create_demo(isolated_app)
    fields = {"email": demo["people"][0]["email"], "password": demo["password"], "csrf": _csrf(client)}
    assert client.post("/login", data=fields).status_code == 303

    assert "tour.js" not in client.get("/").text


@pytest.fixture
def base_url(isolated_app: Flask) -> Iterator[str]:
    # The one of werkzeug would change the log level for the tests that follow.
    server = make_server("127.0.0.1", 0, isolated_app)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


def test_make_demo_creates_the_people_once(base_url: str, engine: Engine) -> None:
    demo = DemoClient(base_url).request_demo_people()

    assert DemoClient(base_url).request_demo_people() == demo
    assert [person["name"] for person in demo["people"]][:2] == ["Ada", "Ben"]
    assert _count_rows(engine) == (8, 4)


def test_make_demo_says_what_to_do_without_a_system() -> None:
    with pytest.raises(DemoError, match="make run"):
        DemoClient("http://127.0.0.1:1").request_demo_people()
