"""Text input through all routes: normalized, limited as stored, refused with a reason."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from app.accounts.one_time_tokens import OneTimeTokens
from app.accounts.service_keys import ServiceKeys
from app.bootstrap import new_id
from tests.support.api_user import ApiUser, alice, bob, csrf_token, sign_in

__all__ = ["alice", "bob"]
pytestmark = pytest.mark.service
TYPED, STORED = "e\u0301a\r\nb\rc", "\u00e9a\nb\nc"
COMPOSED, DECOMPOSED = "Passw\u00f6rd1", "Passwo\u0308rd1"
Form = Callable[..., Any]


@pytest.fixture
def logged_in_client(isolated_app: Flask, alice: ApiUser) -> FlaskClient:
    """Alice is logged in."""
    client = isolated_app.test_client()
    sign_in(client, "alice@example.org")
    return client


@pytest.fixture
def submit_form(logged_in_client: FlaskClient) -> Form:
    """Sends a form of the pages."""
    return lambda path, **fields: logged_in_client.post(
        path, data=fields | {"csrf": csrf_token(logged_in_client)}
    )


def captions(reader: ApiUser) -> list[str]:
    return [post["caption"] for post in reader("GET", "/api/posts")["posts"]]


def test_post_is_stored_in_normal_form_by_form_and_by_json(alice: ApiUser, submit_form: Form) -> None:
    alice.create_post(TYPED)
    assert submit_form("/posts", caption=TYPED).status_code == 303
    assert captions(alice) == [STORED, STORED]


@pytest.mark.parametrize("unit", ["a\r\n", "\U0001f600", "e\u0301", "\r\n\r\na"])
def test_limit_of_a_post_counts_code_points_of_the_normal_form(
    alice: ApiUser, submit_form: Form, unit: str
) -> None:
    stored = len(unit.replace("\r\n", "\n").replace("e\u0301", "\u00e9"))
    fits = "x" + unit * ((2_200 - 2) // stored)
    fits += "x" * (2_200 - 1 - (2_200 - 2) // stored * stored)
    assert submit_form("/posts", caption=fits).status_code == 303
    assert alice("POST", "/api/posts", {"caption": fits})["status"] == 201
    assert [len(caption) for caption in captions(alice)] == [2_200, 2_200]
    assert submit_form("/posts", caption=fits + "x").status_code == 400
    assert alice("POST", "/api/posts", {"caption": fits + "x"})["status"] == 400


def test_comments_and_bios_are_stored_in_normal_form(alice: ApiUser, submit_form: Form) -> None:
    post = alice.create_post()
    submit_form(f"/posts/{post}/comments", content=TYPED)
    alice("POST", "/api/comments", {"postId": post, "content": TYPED})
    comments = alice("GET", f"/api/comments?postId={post}")["comments"]
    assert [comment["content"] for comment in comments] == [STORED, STORED]
    submit_form("/profile", name="Ann", bio="x" * 154 + TYPED)
    assert alice("GET", f"/api/users/{alice.id}")["user"]["bio"] == "x" * 154 + STORED
    alice("PATCH", f"/api/users/{alice.id}", {"bio": TYPED, "name": "A\u030a"})
    user = alice("GET", f"/api/users/{alice.id}")["user"]
    assert (user["bio"], user["name"]) == (STORED, "\u00c5")


@pytest.mark.parametrize("name", ["", "Ann\u202e", "A\nnn", "\u3164", "\u2800", " \u00a0", "\u200b"])
@pytest.mark.parametrize("route", ["register", "register form", "profile", "profile form"])
def test_invisible_or_confusing_name_is_refused_and_an_empty_one_is_accepted(
    isolated_app: Flask, alice: ApiUser, submit_form: Form, name: str, route: str
) -> None:
    """An empty one is none: the user name is shown instead, or the old name stays."""
    account = {"email": "new@example.org", "username": "newcomer", "password": "Passw0rd"}
    client = isolated_app.test_client()
    send_by_route: dict[str, Callable[[], int]] = {
        "register": lambda: client.post("/api/auth/register", json=account | {"name": name}).status_code,
        "register form": lambda: (
            client.post("/register", data=account | {"name": name, "csrf": csrf_token(client)}).status_code
        ),
        "profile": lambda: alice("PATCH", f"/api/users/{alice.id}", {"name": name})["status"],
        "profile form": lambda: submit_form("/profile", name=name, bio="").status_code,
    }
    assert (send_by_route[route]() == 400) == (name != "")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/auth/register", {"email": "a\u200bb@example.org"}, "email"),
        ("/api/auth/register", {"email": "a\x01b@example.org"}, "email"),
        ("/api/auth/register", {"username": "ann\u202e"}, "username"),
        ("/api/auth/register", {"password": "Passw0rd\u200b"}, "password"),
        ("/api/auth/register", {"password": "Passw0rd\x00"}, "password"),
    ],
)
def test_refused_registration_names_the_invalid_field(
    isolated_app: Flask, path: str, body: dict[str, str], field: str
) -> None:
    account = {"email": "new@example.org", "username": "newcomer", "password": "Passw0rd"}
    response = isolated_app.test_client().post(path, json=account | body)
    assert (response.status_code, list((response.json or {})["details"])) == (400, [field])


@pytest.mark.parametrize("control", ["\x00", "\x1b", "\x07", "\x85", "\uffff"])
def test_text_with_a_control_character_is_refused(alice: ApiUser, control: str) -> None:
    post = alice.create_post()
    for path, body in (
        ("/api/posts", {"caption": f"a{control}"}),
        ("/api/comments", {"postId": post, "content": f"a{control}"}),
    ):
        assert alice("POST", path, body)["status"] == 400
    assert alice("PATCH", f"/api/users/{alice.id}", {"bio": f"a{control}"})["status"] == 400


@pytest.mark.parametrize("path", ["/api/users", "/api/users/search", "/search"])
@pytest.mark.parametrize("query", ["\x00", "a\nb", "a\u202eb", "\u3164", "x" * 101])
def test_search_that_no_name_can_match_is_refused(
    logged_in_client: FlaskClient, path: str, query: str
) -> None:
    assert logged_in_client.get(f"{path}?q={quote(query)}").status_code == 400


@pytest.mark.parametrize("path", ["/api/users/{}", "/users/{}", "/posts/{}", "/api/posts/{}"])
def test_path_with_a_control_character_is_400_or_404(logged_in_client: FlaskClient, path: str) -> None:
    assert logged_in_client.get(path.format("a%00b")).status_code in (400, 404)


def test_event_of_another_server_is_stored_in_normal_form_or_refused(
    isolated_app: Flask, engine: Engine, alice: ApiUser, real_redis: redis.Redis
) -> None:
    key = new_id()
    ServiceKeys(engine).store_key_hash(new_id(), "a test", key)
    body = {
        "type": "MARKETING",
        "targetId": alice.id,
        "title": "e\u0301",
        "message": TYPED,
        "metadata": {"e\u0301": [{"x": TYPED}]},
    }

    def send(**more: Any) -> int:
        headers = {"X-Api-Key": key}
        return isolated_app.test_client().post("/api/events", json=body | more, headers=headers).status_code

    assert send() == 202
    (event,) = [entry for entry in ingress(real_redis) if entry["type"] == "MARKETING"]
    assert (event["title"], event["message"]) == ("\u00e9", STORED)
    assert event["metadata"] == '{"\\u00e9": [{"x": "\\u00e9a\\nb\\nc"}]}'
    assert send(title="a\nb") == send(title="\u3164") == send(title="a\u202e") == 400
    assert send(metadata={"x": ["a\x1b"]}) == send(message="a\x1b") == 400


def use_password_on_all_routes(isolated_app: Flask, engine: Engine, old: str, new: str) -> list[int]:
    """Registers, logs in by API and form, changes, resets, removes the account. Returns the statuses."""
    client = isolated_app.test_client()
    account = {"email": "eve@example.org", "username": "eve"}
    registration = client.post("/api/auth/register", json=account | {"password": old})
    assert registration.json is not None
    user_id, bearer = (
        registration.json["user"]["id"],
        {"Authorization": f"Bearer {registration.json['token']}"},
    )
    login = {"email": "eve@example.org", "password": new}
    statuses = [registration.status_code, client.post("/api/auth/login", json=login).status_code]
    csrf = csrf_token(client)
    statuses.append(client.post("/login", data=login | {"csrf": csrf}).status_code)
    change = {"currentPassword": new, "newPassword": f"{old}2"}
    statuses.append(client.post("/api/auth/password", json=change, headers=bearer).status_code)
    OneTimeTokens(engine).save_reset_token(user_id, "a token")
    reset = {"token": "a token", "newPassword": f"{old}3"}
    statuses.append(client.post("/api/auth/password/reset", json=reset).status_code)
    again = client.post("/api/auth/login", json=login | {"password": f"{new}3"})
    statuses.append(again.status_code)
    bearer = {"Authorization": f"Bearer {(again.json or {}).get('token')}"}
    body = {"password": f"{new}3"}
    return [
        *statuses,
        client.delete(f"/api/users/{user_id}", json=body, headers=bearer).status_code,
    ]


@pytest.mark.parametrize(("old", "new"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_password_is_accepted_composed_and_decomposed(
    isolated_app: Flask, engine: Engine, old: str, new: str
) -> None:
    assert use_password_on_all_routes(isolated_app, engine, old, new) == [201, 200, 303, 200, 200, 200, 200]


@pytest.mark.parametrize("wrong", ["Passw0rd\u200b", "Passw0rd\x00", "Passw0rd\n", "\ue000"])
def test_password_with_disallowed_characters_is_refused_as_wrong(
    isolated_app: Flask, alice: ApiUser, wrong: str
) -> None:
    login = {"email": "alice@example.org", "password": wrong}
    response = isolated_app.test_client().post("/api/auth/login", json=login)
    status_and_error = (response.status_code, (response.json or {})["error"])
    assert status_and_error == (401, "Invalid email or password")
    change = alice("POST", "/api/auth/password", {"currentPassword": wrong, "newPassword": "N3w-word"})
    assert (change["status"], change["code"]) == (400, "wrong_password")
    deletion = alice("DELETE", f"/api/users/{alice.id}", {"password": wrong})
    assert (deletion["status"], deletion["code"]) == (403, "wrong_password")


@pytest.mark.parametrize("password", ["Passw0rd\u200b", "Passw0rd\x07"])
def test_password_with_disallowed_characters_cannot_be_set(
    isolated_app: Flask, engine: Engine, alice: ApiUser, password: str
) -> None:
    change = {"currentPassword": "Passw0rd", "newPassword": password}
    OneTimeTokens(engine).save_reset_token(alice.id, "a token")
    reset = {"token": "a token", "newPassword": password}
    for path, body in (("/api/auth/password", change), ("/api/auth/password/reset", reset)):
        response = alice("POST", path, body)
        assert response["status"] == 400
        assert response["error"].startswith("Password contains a character that cannot be used")


@pytest.mark.parametrize(
    "content",
    [
        "https://site.example/@bob a@bob.example @bob@other.example @bobé",
        "漢字@bob, @bob and @BOB",
        "@nobody and bob@bob",
        " ".join(f"@user{n}" for n in range(20)) + " @bob",
    ],
)
@pytest.mark.parametrize("object_type", ["post", "comment"])
def test_mentioned_user_is_linked_if_and_only_if_notified(
    logged_in_client: FlaskClient,
    engine: Engine,
    alice: ApiUser,
    bob: ApiUser,
    real_redis: redis.Redis,
    content: str,
    object_type: str,
) -> None:
    post = alice.create_post(content if object_type == "post" else "Hello")
    if object_type == "comment":
        alice("POST", "/api/comments", {"postId": post, "content": content})
    with engine.connect() as conn:
        mentions = list(conn.execute(text("select jsonb_array_elements(mentions) from fan_outs")).scalars())
    mentions += [entry for entry in ingress(real_redis) if entry["type"] == "MENTION"]
    notified = {mention["targetId"] for mention in mentions}
    texts = re.findall(r'<p class="caption"[^>]*>(.*?)</p>', logged_in_client.get(f"/posts/{post}").text)
    linked = re.findall(r'<a href="/users/(\w+)">@', "".join(texts))
    assert ("bob" in linked) == (bob.id in notified) == ("漢字" in content)


def ingress(connection: redis.Redis) -> list[dict[str, str]]:
    """The fields of all entries of the ingress."""
    streams = connection.scan_iter("ingress:*", _type="stream")
    shards: Any = [connection.xrange(name) for name in streams]
    return [fields for entries in shards for _, fields in entries]


def test_preview_on_a_page_is_cut_between_characters(logged_in_client: FlaskClient, alice: ApiUser) -> None:
    flag = "\U0001f1e9\U0001f1ea"
    post = alice.create_post(flag * 150)
    page = logged_in_client.get(f"/posts/{post}/likes").text
    assert flag * 99 + "…" in page
    assert flag * 100 not in page
