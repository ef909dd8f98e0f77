"""Accounts, posts, comments, likes and follows on real PostgreSQL and Redis."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from app.bootstrap import new_id
from app.delivery.history import ClientEventHistory, ResumePoint

pytestmark = pytest.mark.service


class ApiUser:
    """A registered user who calls the API."""

    def __init__(self, client: FlaskClient, name: str) -> None:
        self._client = client
        body = {"email": f"{name}@Example.org", "username": name, "password": "Passw0rd"}
        registration = client.post("/api/auth/register", json=body).json
        assert registration is not None
        self.id: str = registration["user"]["id"]
        self._headers = {"Authorization": f"Bearer {registration['token']}"}

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        response = self._client.open(path, method=method, json=body, headers=self._headers)
        assert response.json is not None
        return response.json | {"status": response.status_code}

    def create_post(self, caption: str = "Hello") -> str:
        return str(self("POST", "/api/posts", {"caption": caption})["post"]["id"])


@pytest.fixture
def alice(isolated_app: Flask) -> ApiUser:
    return ApiUser(isolated_app.test_client(), "alice")


@pytest.fixture
def bob(isolated_app: Flask) -> ApiUser:
    return ApiUser(isolated_app.test_client(), "bob")


def test_registered_address_is_refused_whatever_its_case(isolated_app: Flask, alice: ApiUser) -> None:
    body = {"email": "ALICE@example.org", "username": "alice2", "password": "Passw0rd"}
    response = isolated_app.test_client().post("/api/auth/register", json=body)
    assert (response.status_code, response.json and response.json["code"]) == (409, "email_taken")


@pytest.mark.parametrize("email", ["alice@example.org", "nobody@example.org"])
def test_failed_log_in_reveals_nothing_about_the_account(
    isolated_app: Flask, alice: ApiUser, email: str
) -> None:
    body = {"email": email, "password": "Wr0ng-one"}
    response = isolated_app.test_client().post("/api/auth/login", json=body)
    assert response.status_code == 401
    assert (response.json or {})["error"] == "Invalid email or password"


def test_own_like_is_in_the_next_read(alice: ApiUser, bob: ApiUser) -> None:
    post = alice.create_post()
    assert bob("PUT", f"/api/posts/{post}/like")["likesCount"] == 1
    read_post = bob("GET", f"/api/posts/{post}")["post"]
    assert (read_post["isLiked"], read_post["likesCount"], read_post["_count"]["likes"]) == (True, 1, 1)


def test_own_comment_and_follow_are_in_the_next_read(alice: ApiUser, bob: ApiUser) -> None:
    post = alice.create_post()
    comment = bob("POST", "/api/comments", {"postId": post, "content": "Nice"})["comment"]
    alice("POST", f"/api/comments/{comment['id']}/reply", {"content": "Thanks"})
    bob("PUT", f"/api/follows/{alice.id}")
    comments = bob("GET", f"/api/comments?postId={post}")["comments"]
    assert [listed_comment["replies"][0]["content"] for listed_comment in comments] == ["Thanks"]
    followers = bob("GET", f"/api/follows/{alice.id}/followers")["followers"]
    assert [follower["id"] for follower in followers] == [bob.id]
    assert bob("GET", f"/api/users/{alice.id}")["user"]["isFollowing"] is True


def test_post_alert_needs_a_follow_and_ends_with_the_unfollow(alice: ApiUser, bob: ApiUser) -> None:
    path = f"/api/follows/{alice.id}"
    assert bob("PUT", f"{path}/bell")["status"] == 400
    bob("PUT", path)
    assert bob("PUT", f"{path}/bell")["bellEnabled"] is True
    bob("DELETE", path)
    assert bob("GET", f"/api/users/{alice.id}")["user"]["bellEnabled"] is False


def test_feed_cursor_is_stable_while_posts_arrive(alice: ApiUser) -> None:
    expected_ids = [alice.create_post(str(n)) for n in range(5)][::-1]
    listed_ids, cursor = [], ""
    while True:
        page = alice("GET", f"/api/posts?limit=2&cursor={cursor}")
        listed_ids += [post["id"] for post in page["posts"]]
        alice.create_post("a newer one")
        if (cursor := page["nextCursor"]) is None:
            break
    assert listed_ids == expected_ids


def _notify(engine: Engine, user_id: str, seq: int) -> str:
    """A row and its client event, as the event writer leaves them. Returns the id of the row."""
    values = {"id": new_id(), "user": user_id, "object": new_id(), "seq": seq}
    with engine.begin() as conn:
        conn.execute(text("update users set client_seq = :seq where id = :user"), values)
        conn.execute(
            text(
                "insert into notifications (id, user_id, type, priority, object_id, version, "
                "client_seq, "
                "actor_count) values (:id, :user, 'LIKE', 'LOW', :object, 1, :seq, 1)"
            ),
            values,
        )
        conn.execute(
            text(
                "insert into outbox (user_id, client_seq, client_event, payload) "
                "values (:user, :seq, 'notification', jsonb_build_object('seq', cast(:seq as int)))"
            ),
            values,
        )
    return str(values["id"])


def test_notification_read_twice_emits_one_client_event(engine: Engine, alice: ApiUser) -> None:
    row_id = _notify(engine, alice.id, 1)
    read = alice("PATCH", f"/api/notifications/{row_id}/read")["notification"]
    again = alice("PATCH", f"/api/notifications/{row_id}/read")["notification"]
    assert (read["isRead"], read["version"], read["seq"]) == (True, 2, 2)
    assert again == read
    missed = ClientEventHistory(engine).load_missed_events(
        alice.id, ResumePoint(ClientEventHistory(engine).load_missed_events(alice.id, None).epoch, 1)
    )
    assert missed.is_complete
    assert [client_event["event"] for client_event in missed.client_events] == ["notification_updated"]
    assert alice("GET", f"/api/notifications/{alice.id}/unread-count")["count"] == 0


def test_notification_after_read_up_to_stays_unread(engine: Engine, alice: ApiUser) -> None:
    for seq in (1, 2, 3):
        _notify(engine, alice.id, seq)
    path = f"/api/notifications/{alice.id}"
    assert alice("PATCH", f"{path}/read-all", {"upTo": 2})["updatedCount"] == 2
    unread = alice("GET", f"{path}?unreadOnly=true")["notifications"]
    assert [row["seq"] for row in unread] == [3]


@pytest.mark.parametrize(("since", "is_complete"), [(3, True), (0, True), (4, False)])
def test_history_is_complete_or_not_returned(
    engine: Engine, alice: ApiUser, since: int, is_complete: bool
) -> None:
    for seq in (1, 2, 3):
        _notify(engine, alice.id, seq)
    epoch = ClientEventHistory(engine).load_missed_events(alice.id, None).epoch
    missed = ClientEventHistory(engine).load_missed_events(alice.id, ResumePoint(epoch, since))
    assert (missed.is_complete, len(missed.client_events)) == (
        is_complete,
        3 - since if is_complete else 0,
    )


def test_history_with_a_gap_is_not_returned(engine: Engine, alice: ApiUser) -> None:
    for seq in (1, 2, 3):
        _notify(engine, alice.id, seq)
    with engine.begin() as conn:
        conn.execute(text("delete from outbox where client_seq = 2"))
    epoch = ClientEventHistory(engine).load_missed_events(alice.id, None).epoch
    assert not ClientEventHistory(engine).load_missed_events(alice.id, ResumePoint(epoch, 0)).is_complete


def test_cleanup_removes_simulated_users_only(engine: Engine, alice: ApiUser, bob: ApiUser) -> None:
    post = alice.create_post()
    bob("PUT", f"/api/posts/{post}/like")
    body = {"postId": post, "targetUserId": alice.id, "count": 4}
    response = alice("POST", "/api/test/simulate-likes", body)
    assert [result["isFollower"] for result in response["results"]] == [True, False, True, False]
    assert alice("GET", f"/api/posts/{post}")["post"]["likesCount"] == 5
    assert "4 test users" in alice("DELETE", "/api/test/cleanup")["message"]
    assert alice("GET", f"/api/posts/{post}")["post"]["likesCount"] == 1
    assert alice("GET", f"/api/users/{alice.id}")["user"]["followersCount"] == 0


def test_cleanup_removes_content_of_simulated_users(alice: ApiUser, bob: ApiUser) -> None:
    post = alice.create_post()
    bob("POST", "/api/comments", {"postId": post, "content": "Mine stays"})
    body = {"postId": post, "targetUserId": alice.id, "count": 3}
    assert len(alice("POST", "/api/test/simulate-comments", body)["results"]) == 3
    assert alice("GET", f"/api/posts/{post}")["post"]["commentsCount"] == 4
    alice("DELETE", "/api/test/cleanup")
    assert alice("GET", f"/api/posts/{post}")["post"]["commentsCount"] == 1
    comments = alice("GET", f"/api/comments?postId={post}")["comments"]
    assert [comment["content"] for comment in comments] == ["Mine stays"]


def test_form_without_csrf_field_is_refused(isolated_app: Flask) -> None:
    client = isolated_app.test_client()
    response = client.post("/login", data={"email": "a@b.org", "password": "x"})
    assert response.status_code == 403
