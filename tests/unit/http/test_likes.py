"""PUT, DELETE and POST of likes: calls, statuses and trace headers."""

import re
import uuid

import pytest
from flask.testing import FlaskClient

from app.domain.errors import RedisUnavailable, Rejected
from app.ingest.actions import DesiredState
from app.settings import Settings
from tests.support.fake_app import FakeActions, auth_header, build_fake_application

POST_ID = str(uuid.uuid4())
PATH = f"/api/posts/{POST_ID}/like"


@pytest.mark.parametrize(
    ("method", "desired_state", "liked"),
    [
        ("PUT", DesiredState.ON, True),
        ("DELETE", DesiredState.OFF, False),
        ("POST", DesiredState.TOGGLE, True),
    ],
)
def test_like_is_one_call_without_sql(
    client: FlaskClient,
    fake_actions: FakeActions,
    user_id: str,
    method: str,
    desired_state: DesiredState,
    liked: bool,
) -> None:
    response = client.open(PATH, method=method, headers=auth_header(user_id))
    assert response.json == {"success": True, "liked": liked, "likesCount": 1}
    assert fake_actions.set_like_calls == [(user_id, POST_ID, desired_state)]


def test_response_names_the_event_in_a_header(
    client: FlaskClient, fake_actions: FakeActions, user_id: str
) -> None:
    response = client.put(PATH, headers=auth_header(user_id))
    assert fake_actions.event_ids == [response.headers["X-Event-Id"]]


def test_response_names_no_event_if_there_is_none(
    client: FlaskClient, fake_actions: FakeActions, user_id: str
) -> None:
    fake_actions.is_ingress_full = True
    response = client.put(PATH, headers=auth_header(user_id))
    assert response.status_code == 200
    assert "X-Event-Id" not in response.headers


def test_token_is_checked_before_anything_else(client: FlaskClient) -> None:
    assert client.put("/api/posts/no-id/like").status_code == 401


def test_invalid_id_is_refused(client: FlaskClient, user_id: str) -> None:
    response = client.put("/api/posts/no-id/like", headers=auth_header(user_id))
    assert (response.status_code, response.json and response.json["code"]) == (400, "bad_id")


def test_uppercase_id_is_the_same_id(client: FlaskClient, fake_actions: FakeActions, user_id: str) -> None:
    client.put(f"/api/posts/{POST_ID.upper()}/like", headers=auth_header(user_id))
    assert fake_actions.set_like_calls[0][1] == POST_ID


def test_an_unknown_post_is_404(client: FlaskClient, fake_actions: FakeActions, user_id: str) -> None:
    fake_actions.error = Rejected("Post not found", "post_not_found", 404)
    response = client.put(PATH, headers=auth_header(user_id))
    assert response.status_code == 404
    assert response.json == {"success": False, "error": "Post not found", "code": "post_not_found"}


def test_unavailable_service_is_503_with_retry_after(
    client: FlaskClient, fake_actions: FakeActions, user_id: str
) -> None:
    fake_actions.error = RedisUnavailable("Redis did not respond in time")
    response = client.put(PATH, headers=auth_header(user_id))
    assert response.status_code == 503
    assert (response.json or {})["error"] == "Temporarily unavailable, please retry"
    assert int(response.headers["Retry-After"]) >= 1


def test_like_is_refused_while_redis_has_an_eviction_policy(
    settings: Settings, user_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_application = build_fake_application(settings)  # remembers the policy that it read
    policy = {"maxmemory-policy": "allkeys-lru"}
    monkeypatch.setattr(own_application.services.redis, "config_get", lambda *_: policy)
    client = own_application.web_application.flask_app.test_client()
    response = client.put(PATH, headers=auth_header(user_id))
    assert response.status_code == 503
    assert response.json is not None
    assert response.json["code"] == "redis_policy"
    assert own_application.actions.set_like_calls == []


def test_unexpected_error_reveals_nothing(
    client: FlaskClient, fake_actions: FakeActions, user_id: str
) -> None:
    fake_actions.error = ValueError("select * from secrets")
    response = client.put(PATH, headers=auth_header(user_id))
    assert response.status_code == 500
    assert response.json == {
        "success": False,
        "error": "An unexpected error occurred",
        "code": "internal",
    }


@pytest.mark.parametrize(
    ("sent_id", "is_kept"),
    [("abc-123", True), ("x" * 129, False), ("a b", False), ("", False)],
)
def test_every_response_has_a_correlation_id(client: FlaskClient, sent_id: str, is_kept: bool) -> None:
    headers = client.get("/nowhere", headers={"X-Correlation-Id": sent_id}).headers
    if is_kept:
        assert headers["X-Correlation-Id"] == sent_id
    else:
        assert re.fullmatch(r"[0-9a-f-]{36}", headers["X-Correlation-Id"])


def test_new_trace_has_the_correlation_id(
    client: FlaskClient, fake_actions: FakeActions, user_id: str
) -> None:
    response = client.put(PATH, headers=auth_header(user_id))
    traceparent = fake_actions.traceparents[0]
    assert traceparent is not None
    assert traceparent.split("-")[1] == response.headers["X-Correlation-Id"].replace("-", "")


def test_incoming_trace_is_continued(client: FlaskClient, fake_actions: FakeActions, user_id: str) -> None:
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    client.put(PATH, headers=auth_header(user_id) | {"traceparent": traceparent})
    assert fake_actions.traceparents == [traceparent]
