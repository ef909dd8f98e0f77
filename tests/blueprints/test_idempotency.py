"""Idempotency-Key: same key and body, same answer and one effect."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy import Engine, text

from app.actions import Actions
from app.domain.errors import Unavailable
from app.stores import postgres
from app.stores.idempotency import Answer, Idempotency, Ticket
from tests.blueprints.test_on_real_stores import Somebody, alice, bob, web

__all__ = ["alice", "bob", "web"]
pytestmark = pytest.mark.service
Send = Callable[..., Any]


@pytest.fixture
def send(web: Flask, alice: Somebody) -> Send:
    """A POST by Alice, or whoever, under a key."""

    def post(path: str, body: Any, key: str, who: Somebody = alice) -> Any:
        headers = who._headers | {"Idempotency-Key": key}
        return web.test_client().post(path, json=body, headers=headers)

    return post


def test_a_post_sent_twice_is_one_post_with_one_answer(
    send: Send, engine: Engine, alice: Somebody
) -> None:
    first, second = (send("/api/posts", {"caption": "Hello"}, "k1") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.data == second.data
    with engine.connect() as sql:
        assert sql.execute(text("select count(*) from posts")).scalar() == 1


@pytest.mark.parametrize("path", ["/api/comments", "/api/comments/{}/reply"])
def test_a_comment_sent_twice_is_one_comment(send: Send, alice: Somebody, path: str) -> None:
    post = alice.posts()
    top = alice("POST", "/api/comments", {"postId": post, "content": "top"})["comment"]["id"]
    body = {"postId": post, "content": "again"}
    answers = {send(path.format(top), body, "k1").data for _ in range(2)}
    assert len(answers) == 1
    assert alice("GET", f"/api/posts/{post}")["post"]["commentsCount"] == 2


def test_the_same_key_with_another_body_is_refused(send: Send) -> None:
    send("/api/posts", {"caption": "Hello"}, "k1")
    assert send("/api/posts", {"caption": "Other"}, "k1").status_code == 422


def test_the_order_of_fields_makes_no_other_body(send: Send) -> None:
    one = send("/api/posts", {"caption": "Hello", "imageUrl": ""}, "k1")
    two = send("/api/posts", {"imageUrl": "", "caption": "Hello"}, "k1")
    assert one.data == two.data


def test_keys_are_per_person_and_path(send: Send, alice: Somebody, bob: Somebody) -> None:
    mine = send("/api/posts", {"caption": "Hello"}, "k1")
    theirs = send("/api/posts", {"caption": "Hello"}, "k1", bob)
    post = mine.json["post"]["id"]
    said = send("/api/comments", {"postId": post, "content": "x"}, "k1")
    assert (theirs.json["post"]["userId"], said.status_code) == (bob.id, 201)


def test_what_was_refused_may_come_again_mended_or_not(send: Send) -> None:
    assert send("/api/posts", {"caption": ""}, "k1").status_code == 400
    assert send("/api/posts", {"caption": "Hello"}, "k1").status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "k" * 201], ids=["empty", "blank", "long"])
def test_a_key_has_a_form(send: Send, key: str) -> None:
    assert send("/api/posts", {"caption": "Hello"}, key).status_code == 400


def test_while_the_first_is_running_the_second_is_told_so(send: Send, web: Flask) -> None:
    parts = web.extensions["parts"]
    store = Idempotency(parts.redis, parts.engine)
    scope, body = ("alice", "/api/posts", "k1"), b"{}"
    ticket = store.begin(scope, body, "first")
    assert isinstance(ticket, Ticket)
    with pytest.raises(Exception, match="still running"):
        store.begin(scope, body, "second")
    store.keep(ticket, Answer(201, "{}"))
    assert store.begin(scope, body, "third") == Answer(201, "{}")


@pytest.fixture
def away() -> redis.Redis:
    return redis.Redis(port=1, socket_connect_timeout=0.2, retry=None)


def test_while_redis_is_away_keys_are_kept_in_a_table_and_hold_afterwards(
    web: Flask, away: redis.Redis, engine: Engine
) -> None:
    scope, body = ("alice", "/api/posts", "k1"), b"{}"
    store = Idempotency(away, engine)
    ticket = store.begin(scope, body, "first")
    assert isinstance(ticket, Ticket)
    with pytest.raises(Exception, match="still running"):
        store.begin(scope, body, "second")
    store.keep(ticket, Answer(201, "{}"))

    again = Idempotency(web.extensions["parts"].redis, engine).begin(scope, body, "third")

    assert again == Answer(201, "{}")


def test_an_answer_finds_its_table_when_redis_goes_in_between(
    web: Flask, away: redis.Redis, engine: Engine
) -> None:
    scope, body = ("alice", "/api/posts", "k1"), b"{}"
    ticket = Idempotency(web.extensions["parts"].redis, engine).begin(scope, body, "first")
    assert isinstance(ticket, Ticket)

    Idempotency(away, engine).keep(ticket, Answer(201, "{}"))

    assert Idempotency(away, engine).begin(scope, body, "second") == Answer(201, "{}")


def test_a_key_that_came_to_nothing_is_free_again(away: redis.Redis, engine: Engine) -> None:
    store, scope = Idempotency(away, engine), ("alice", "/api/posts", "k1")
    ticket = store.begin(scope, b"{}", "first")
    assert isinstance(ticket, Ticket)

    store.release(ticket)

    assert isinstance(store.begin(scope, b"other", "second"), Ticket)


@pytest.mark.parametrize("where", ["redis", "table"])
def test_a_try_that_may_have_had_its_effect_is_tried_again_with_the_same_ids(
    web: Flask, away: redis.Redis, engine: Engine, where: str
) -> None:
    store = Idempotency(web.extensions["parts"].redis if where == "redis" else away, engine)
    scope = ("alice", "/api/comments", "k1")
    first = store.begin(scope, b"{}", "first")
    assert isinstance(first, Ticket)

    store.leave(first)
    second = store.begin(scope, b"{}", "second")

    assert isinstance(second, Ticket)
    assert (second.token, second.again, first.again) == ("first", True, False)
    with pytest.raises(Exception, match="still running"):
        store.begin(scope, b"{}", "third")
    store.keep(second, Answer(201, "{}"))
    assert store.begin(scope, b"{}", "fourth") == Answer(201, "{}")


def test_a_comment_whose_answer_was_lost_is_one_comment_when_it_is_sent_again(
    send: Send, alice: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = alice.posts()
    body = {"postId": post, "content": "once"}
    with monkeypatch.context() as patch:
        done = Actions._append

        def and_then_silence(*args: Any, **more: Any) -> None:
            done(*args, **more)
            raise Unavailable("The answer was lost", "redis_unavailable")

        patch.setattr(Actions, "_append", and_then_silence)
        assert send("/api/comments", body, "k1").status_code == 503

    again = send("/api/comments", body, "k1")

    assert again.status_code == 201
    said = alice("GET", f"/api/comments?postId={post}")["comments"]
    assert [one["id"] for one in said] == [again.json["comment"]["id"]]
    assert alice("GET", f"/api/posts/{post}")["post"]["commentsCount"] == 1


def test_without_a_memory_there_is_no_promise(away: redis.Redis) -> None:
    nowhere = postgres.engine("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Unavailable):
        Idempotency(away, nowhere).begin(("alice", "/api/posts", "k1"), b"{}", "first")
