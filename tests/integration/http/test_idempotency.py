"""Idempotency-Key: the same key and body give the same response and one effect."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Engine, text

from app.bootstrap import SharedServices
from app.clients import postgres
from app.domain.errors import RedisUnavailable, Unavailable
from app.ingest.actions import Actions
from app.ingest.idempotency import IdempotencyClaim, IdempotencyKeys, StoredResponse
from tests.integration.http.test_social_with_real_stores import ApiUser, alice, bob

__all__ = ["alice", "bob"]
pytestmark = pytest.mark.service
PostWithKey = Callable[..., Any]


@pytest.fixture
def post_with_key(isolated_app: Flask, alice: ApiUser) -> PostWithKey:
    """Sends a POST with an Idempotency-Key, by default as Alice."""

    def post(path: str, body: Any, key: str, user: ApiUser = alice) -> Any:
        headers = user._headers | {"Idempotency-Key": key}
        return isolated_app.test_client().post(path, json=body, headers=headers)

    return post


def test_post_sent_twice_is_one_post_with_one_response(
    post_with_key: PostWithKey, engine: Engine, alice: ApiUser
) -> None:
    first, second = (post_with_key("/api/posts", {"caption": "Hello"}, "k1") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.data == second.data
    with engine.connect() as conn:
        assert conn.execute(text("select count(*) from posts")).scalar() == 1


@pytest.mark.parametrize("path", ["/api/comments", "/api/comments/{}/reply"])
def test_comment_sent_twice_is_one_comment(post_with_key: PostWithKey, alice: ApiUser, path: str) -> None:
    post = alice.create_post()
    top = alice("POST", "/api/comments", {"postId": post, "content": "top"})["comment"]["id"]
    body = {"postId": post, "content": "again"}
    bodies = {post_with_key(path.format(top), body, "k1").data for _ in range(2)}
    assert len(bodies) == 1
    assert alice("GET", f"/api/posts/{post}")["post"]["commentsCount"] == 2


def test_key_reused_with_another_body_is_refused(post_with_key: PostWithKey) -> None:
    post_with_key("/api/posts", {"caption": "Hello"}, "k1")
    assert post_with_key("/api/posts", {"caption": "Other"}, "k1").status_code == 422


def test_same_fields_in_another_order_are_the_same_body(post_with_key: PostWithKey) -> None:
    first = post_with_key("/api/posts", {"caption": "Hello", "imageUrl": ""}, "k1")
    second = post_with_key("/api/posts", {"imageUrl": "", "caption": "Hello"}, "k1")
    assert first.data == second.data


def test_same_key_of_another_user_or_path_is_another_key(
    post_with_key: PostWithKey, alice: ApiUser, bob: ApiUser
) -> None:
    own_response = post_with_key("/api/posts", {"caption": "Hello"}, "k1")
    other_response = post_with_key("/api/posts", {"caption": "Hello"}, "k1", bob)
    post = own_response.json["post"]["id"]
    comment = post_with_key("/api/comments", {"postId": post, "content": "x"}, "k1")
    assert (other_response.json["post"]["userId"], comment.status_code) == (bob.id, 201)


def test_key_of_a_rejected_request_may_be_used_again(post_with_key: PostWithKey) -> None:
    assert post_with_key("/api/posts", {"caption": ""}, "k1").status_code == 400
    assert post_with_key("/api/posts", {"caption": "Hello"}, "k1").status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "k" * 201], ids=["empty", "blank", "long"])
def test_invalid_key_is_refused(post_with_key: PostWithKey, key: str) -> None:
    assert post_with_key("/api/posts", {"caption": "Hello"}, key).status_code == 400


def test_second_request_during_the_first_is_409(isolated_services: SharedServices) -> None:
    store = IdempotencyKeys(isolated_services.redis, isolated_services.engine)
    scope, body = ("alice", "/api/posts", "k1"), b"{}"
    claim = store.claim_or_get_response(scope, body, "first")
    assert isinstance(claim, IdempotencyClaim)
    with pytest.raises(Exception, match="still running"):
        store.claim_or_get_response(scope, body, "second")
    store.save_response(claim, StoredResponse(201, "{}"))
    assert store.claim_or_get_response(scope, body, "third") == StoredResponse(201, "{}")


@pytest.fixture
def unreachable_redis() -> redis.Redis:
    return redis.Redis(port=1, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))


def test_idempotency_keys_are_kept_in_postgresql_without_redis(
    isolated_services: SharedServices, unreachable_redis: redis.Redis, engine: Engine
) -> None:
    scope, body = ("alice", "/api/posts", "k1"), b"{}"
    store = IdempotencyKeys(unreachable_redis, engine)
    claim = store.claim_or_get_response(scope, body, "first")
    assert isinstance(claim, IdempotencyClaim)
    with pytest.raises(Exception, match="still running"):
        store.claim_or_get_response(scope, body, "second")
    store.save_response(claim, StoredResponse(201, "{}"))

    again = IdempotencyKeys(isolated_services.redis, engine).claim_or_get_response(scope, body, "third")

    assert again == StoredResponse(201, "{}")


def test_response_is_stored_though_redis_fails_meanwhile(
    isolated_services: SharedServices, unreachable_redis: redis.Redis, engine: Engine
) -> None:
    scope, body = ("alice", "/api/posts", "k1"), b"{}"
    claim = IdempotencyKeys(isolated_services.redis, engine).claim_or_get_response(scope, body, "first")
    assert isinstance(claim, IdempotencyClaim)

    IdempotencyKeys(unreachable_redis, engine).save_response(claim, StoredResponse(201, "{}"))

    assert IdempotencyKeys(unreachable_redis, engine).claim_or_get_response(
        scope, body, "second"
    ) == StoredResponse(201, "{}")


def test_key_of_a_failed_request_is_free_again(unreachable_redis: redis.Redis, engine: Engine) -> None:
    store, scope = IdempotencyKeys(unreachable_redis, engine), ("alice", "/api/posts", "k1")
    claim = store.claim_or_get_response(scope, b"{}", "first")
    assert isinstance(claim, IdempotencyClaim)

    store.release_claim(claim)

    assert isinstance(store.claim_or_get_response(scope, b"other", "second"), IdempotencyClaim)


@pytest.mark.parametrize("where", ["redis", "table"])
def test_uncertain_request_is_retried_with_the_same_ids(
    isolated_services: SharedServices, unreachable_redis: redis.Redis, engine: Engine, where: str
) -> None:
    store = IdempotencyKeys(isolated_services.redis if where == "redis" else unreachable_redis, engine)
    scope = ("alice", "/api/comments", "k1")
    first = store.claim_or_get_response(scope, b"{}", "first")
    assert isinstance(first, IdempotencyClaim)

    store.mark_outcome_uncertain(first)
    second = store.claim_or_get_response(scope, b"{}", "second")

    assert isinstance(second, IdempotencyClaim)
    assert (second.id_seed, second.is_retry, first.is_retry) == ("first", True, False)
    with pytest.raises(Exception, match="still running"):
        store.claim_or_get_response(scope, b"{}", "third")
    store.save_response(second, StoredResponse(201, "{}"))
    assert store.claim_or_get_response(scope, b"{}", "fourth") == StoredResponse(201, "{}")


def test_comment_retried_after_a_lost_response_is_one_comment(
    post_with_key: PostWithKey, alice: ApiUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = alice.create_post()
    body = {"postId": post, "content": "once"}
    with monkeypatch.context() as patch:
        append_comment_events = Actions._write_comment_and_events

        def append_then_fail(*args: Any, **kwargs: Any) -> None:
            append_comment_events(*args, **kwargs)
            raise RedisUnavailable("The response was lost")

        patch.setattr(Actions, "_write_comment_and_events", append_then_fail)
        assert post_with_key("/api/comments", body, "k1").status_code == 503

    again = post_with_key("/api/comments", body, "k1")

    assert again.status_code == 201
    comments = alice("GET", f"/api/comments?postId={post}")["comments"]
    assert [comment["id"] for comment in comments] == [again.json["comment"]["id"]]
    assert alice("GET", f"/api/posts/{post}")["post"]["commentsCount"] == 1


def test_idempotent_request_without_postgresql_is_unavailable(
    unreachable_redis: redis.Redis,
) -> None:
    unreachable_engine = postgres.create_pg_engine("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Unavailable):
        IdempotencyKeys(unreachable_redis, unreachable_engine).claim_or_get_response(
            ("alice", "/api/posts", "k1"), b"{}", "first"
        )
