"""Idempotency-Key: the same key and body give the same response and one effect."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from app.clients import postgres
from app.domain.errors import RedisUnavailable, Rejected, Unavailable
from app.ingest.actions import Actions
from app.ingest.idempotency import IdempotencyClaim, IdempotencyKeys, StoredResponse
from tests.support.api_user import ApiUser, alice, bob

__all__ = ["alice", "bob"]
pytestmark = pytest.mark.service
PostWithKey = Callable[..., Any]
SCOPE = ("alice", "/api/posts", "k1")
FIRST, SECOND, THIRD = (f"00000000-0000-7000-8000-00000000000{n}" for n in (1, 2, 3))


@pytest.fixture
def post_with_key(isolated_app: Flask, alice: ApiUser) -> PostWithKey:
    """Sends a POST with an Idempotency-Key, by default as Alice."""

    def post(path: str, body: Any, key: str, user: ApiUser = alice) -> Any:
        headers = user.headers | {"Idempotency-Key": key}
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


@pytest.fixture
def keys(engine: Engine) -> IdempotencyKeys:
    return IdempotencyKeys(engine)


def claim(keys: IdempotencyKeys, id_seed: str, body: bytes = b"{}") -> IdempotencyClaim:
    result = keys.claim_or_get_response(SCOPE, body, id_seed)
    assert isinstance(result, IdempotencyClaim)
    return result


def expire(engine: Engine, column: str) -> None:
    with engine.begin() as conn:
        conn.execute(text(f"update idempotency_keys set {column} = now()"))  # noqa: S608 - constants only


def test_second_request_during_the_first_is_409(keys: IdempotencyKeys) -> None:
    first = claim(keys, FIRST)
    with pytest.raises(Rejected, match="still running"):
        claim(keys, SECOND)
    keys.save_response(first, StoredResponse(201, "{}"))
    assert keys.claim_or_get_response(SCOPE, b"{}", THIRD) == StoredResponse(201, "{}")


def test_key_of_a_request_without_effect_is_free_again(keys: IdempotencyKeys) -> None:
    keys.release(claim(keys, FIRST), may_have_had_effect=False)

    second = claim(keys, SECOND, b"other")

    assert (second.id_seed, second.is_retry) == (SECOND, False)


def test_request_with_an_open_outcome_is_retried_with_the_same_ids(keys: IdempotencyKeys) -> None:
    first = claim(keys, FIRST)
    keys.release(first, may_have_had_effect=True)

    with pytest.raises(Rejected, match="another body"):
        claim(keys, SECOND, b"other")
    second = claim(keys, SECOND)

    assert (second.id_seed, second.is_retry, first.is_retry) == (FIRST, True, False)
    with pytest.raises(Rejected, match="still running"):
        claim(keys, THIRD)
    keys.save_response(second, StoredResponse(201, "{}"))
    assert keys.claim_or_get_response(SCOPE, b"{}", THIRD) == StoredResponse(201, "{}")


def test_request_of_a_process_that_died_is_retried_with_the_same_ids(
    keys: IdempotencyKeys, engine: Engine
) -> None:
    claim(keys, FIRST)
    expire(engine, "running_until")

    assert (claim(keys, SECOND).id_seed, claim_is_running(keys)) == (FIRST, True)


def claim_is_running(keys: IdempotencyKeys) -> bool:
    try:
        claim(keys, THIRD)
    except Rejected as error:
        return error.code == "idempotency_running"
    return False


def test_late_attempt_does_not_release_the_claim_of_the_next_one(
    keys: IdempotencyKeys, engine: Engine
) -> None:
    late = claim(keys, FIRST)
    expire(engine, "running_until")
    claim(keys, SECOND)

    for may_have_had_effect in (True, False):
        keys.release(late, may_have_had_effect)

    assert claim_is_running(keys)


def test_rejected_retry_leaves_the_ids_of_the_first_attempt(keys: IdempotencyKeys) -> None:
    keys.release(claim(keys, FIRST), may_have_had_effect=True)
    keys.release(claim(keys, SECOND), may_have_had_effect=False)

    assert claim(keys, THIRD).id_seed == FIRST


def test_first_stored_response_stays(keys: IdempotencyKeys, engine: Engine) -> None:
    late = claim(keys, FIRST)
    expire(engine, "running_until")
    keys.save_response(claim(keys, SECOND), StoredResponse(201, "first"))

    keys.save_response(late, StoredResponse(201, "second"))

    assert keys.claim_or_get_response(SCOPE, b"{}", THIRD) == StoredResponse(201, "first")


def test_key_may_be_used_anew_after_its_time(keys: IdempotencyKeys, engine: Engine) -> None:
    keys.save_response(claim(keys, FIRST), StoredResponse(201, "{}"))
    expire(engine, "expires_at")

    second = claim(keys, SECOND, b"other")

    assert (second.id_seed, second.is_retry) == (SECOND, False)


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


def test_idempotent_request_without_postgresql_is_unavailable() -> None:
    keys = IdempotencyKeys(postgres.create_pg_engine("postgresql://nobody@127.0.0.1:1/nothing"))
    with pytest.raises(Unavailable):
        claim(keys, FIRST)
