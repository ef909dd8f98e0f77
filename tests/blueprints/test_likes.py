"""The hot path: what it costs and what it answers."""

import re
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.actions import Wish
from app.domain.errors import Rejected, Unavailable
from tests.blueprints.conftest import bearer

POST_ID = str(uuid.uuid4())
PATH = f"/api/posts/{POST_ID}/like"


@pytest.mark.parametrize(
    ("method", "wish", "liked"),
    [("PUT", Wish.ON, True), ("DELETE", Wish.OFF, False), ("POST", Wish.TOGGLE, True)],
)
def test_a_wish_is_one_call_and_no_sql(
    client: FlaskClient, fakes: Any, user_id: str, method: str, wish: Wish, liked: bool
) -> None:
    answer = client.open(PATH, method=method, headers=bearer(user_id))
    assert answer.json == {"success": True, "liked": liked, "likesCount": 1}
    assert fakes.actions.wishes == [(user_id, POST_ID, wish)]


def test_the_token_is_looked_at_before_anything_else(client: FlaskClient) -> None:
    assert client.put("/api/posts/no-id/like").status_code == 401


def test_an_id_that_is_none_is_refused(client: FlaskClient, user_id: str) -> None:
    answer = client.put("/api/posts/no-id/like", headers=bearer(user_id))
    assert (answer.status_code, answer.json and answer.json["code"]) == (400, "bad_id")


def test_an_id_in_capitals_is_the_same_id(client: FlaskClient, fakes: Any, user_id: str) -> None:
    client.put(f"/api/posts/{POST_ID.upper()}/like", headers=bearer(user_id))
    assert fakes.actions.wishes[0][1] == POST_ID


def test_an_unknown_post_is_404(client: FlaskClient, fakes: Any, user_id: str) -> None:
    fakes.actions.fault = Rejected("Post not found", "post_not_found", 404)
    answer = client.put(PATH, headers=bearer(user_id))
    assert answer.status_code == 404
    assert answer.json == {"success": False, "error": "Post not found", "code": "post_not_found"}


def test_a_service_that_is_away_is_503_with_a_time(
    client: FlaskClient, fakes: Any, user_id: str
) -> None:
    fakes.actions.fault = Unavailable("Redis did not take the wish in time", "redis_unavailable")
    answer = client.put(PATH, headers=bearer(user_id))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1


def test_no_write_is_taken_by_a_redis_that_throws_away(
    client: FlaskClient, fakes: Any, user_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {"maxmemory-policy": "allkeys-lru"}
    monkeypatch.setattr(fakes.redis, "config_get", lambda *_: policy)
    answer = client.put(PATH, headers=bearer(user_id))
    assert answer.status_code == 503
    assert answer.json is not None
    assert "noeviction" in answer.json["error"]
    assert fakes.actions.wishes == []


def test_an_unforeseen_fault_tells_nothing(client: FlaskClient, fakes: Any, user_id: str) -> None:
    fakes.actions.fault = ValueError("select * from secrets")
    answer = client.put(PATH, headers=bearer(user_id))
    assert answer.status_code == 500
    assert answer.json == {
        "success": False,
        "error": "An unexpected error occurred",
        "code": "internal",
    }


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-123", True), ("x" * 129, False), ("a b", False), ("", False)],
)
def test_every_answer_carries_a_correlation_id(client: FlaskClient, given: str, kept: bool) -> None:
    answered = client.get("/nowhere", headers={"X-Correlation-Id": given}).headers
    if kept:
        assert answered["X-Correlation-Id"] == given
    else:
        assert re.fullmatch(r"[0-9a-f-]{36}", answered["X-Correlation-Id"])


def test_a_new_trace_takes_the_correlation_id(
    client: FlaskClient, fakes: Any, user_id: str
) -> None:
    answer = client.put(PATH, headers=bearer(user_id))
    trace = fakes.actions.traces[0]
    assert trace.split("-")[1] == answer.headers["X-Correlation-Id"].replace("-", "")


def test_a_given_trace_goes_on(client: FlaskClient, fakes: Any, user_id: str) -> None:
    given = f"00-{'a' * 32}-{'b' * 16}-01"
    client.put(PATH, headers=bearer(user_id) | {"traceparent": given})
    assert fakes.actions.traces == [given]
