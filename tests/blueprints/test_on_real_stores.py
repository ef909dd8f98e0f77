"""The web on real PostgreSQL and Redis: what a person sees after what a person does."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from app.stores.history import History, Since
from app.wiring import new_id
from tests.blueprints.apart import web as web

pytestmark = pytest.mark.service


class Somebody:
    """A person at the API."""

    def __init__(self, client: FlaskClient, name: str) -> None:
        self._client = client
        body = {"email": f"{name}@Example.org", "username": name, "password": "Passw0rd"}
        said = client.post("/api/auth/register", json=body).json
        assert said is not None
        self.id: str = said["user"]["id"]
        self._headers = {"Authorization": f"Bearer {said['token']}"}

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._client.open(path, method=method, json=body, headers=self._headers)
        assert answer.json is not None
        return answer.json | {"status": answer.status_code}

    def posts(self, caption: str = "Hello") -> str:
        return str(self("POST", "/api/posts", {"caption": caption})["post"]["id"])


@pytest.fixture
def alice(web: Flask) -> Somebody:
    return Somebody(web.test_client(), "alice")


@pytest.fixture
def bob(web: Flask) -> Somebody:
    return Somebody(web.test_client(), "bob")


def test_an_address_registers_once(web: Flask, alice: Somebody) -> None:
    body = {"email": "ALICE@example.org", "username": "alice2", "password": "Passw0rd"}
    answer = web.test_client().post("/api/auth/register", json=body)
    assert (answer.status_code, answer.json and answer.json["code"]) == (409, "email_taken")


@pytest.mark.parametrize("email", ["alice@example.org", "nobody@example.org"])
def test_a_wrong_log_in_tells_nothing_of_the_account(
    web: Flask, alice: Somebody, email: str
) -> None:
    body = {"email": email, "password": "Wr0ng-one"}
    answer = web.test_client().post("/api/auth/login", json=body)
    assert answer.status_code == 401
    assert (answer.json or {})["error"] == "Invalid email or password"


def test_ones_own_like_shows_in_the_next_read(alice: Somebody, bob: Somebody) -> None:
    post = alice.posts()
    assert bob("PUT", f"/api/posts/{post}/like")["likesCount"] == 1
    seen = bob("GET", f"/api/posts/{post}")["post"]
    assert (seen["isLiked"], seen["likesCount"], seen["_count"]["likes"]) == (True, 1, 1)


def test_ones_own_comment_and_follow_show_in_the_next_read(alice: Somebody, bob: Somebody) -> None:
    post = alice.posts()
    said = bob("POST", "/api/comments", {"postId": post, "content": "Nice"})["comment"]
    alice("POST", f"/api/comments/{said['id']}/reply", {"content": "Thanks"})
    bob("PUT", f"/api/follows/{alice.id}")
    comments = bob("GET", f"/api/comments?postId={post}")["comments"]
    assert [one["replies"][0]["content"] for one in comments] == ["Thanks"]
    followers = bob("GET", f"/api/follows/{alice.id}/followers")["followers"]
    assert [one["id"] for one in followers] == [bob.id]
    assert bob("GET", f"/api/users/{alice.id}")["user"]["isFollowing"] is True


def test_a_bell_needs_a_follow_and_goes_with_it(alice: Somebody, bob: Somebody) -> None:
    path = f"/api/follows/{alice.id}"
    assert bob("PUT", f"{path}/bell")["status"] == 400
    bob("PUT", path)
    assert bob("PUT", f"{path}/bell")["bellEnabled"] is True
    bob("DELETE", path)
    assert bob("GET", f"/api/users/{alice.id}")["user"]["bellEnabled"] is False


def test_a_cursor_walks_the_feed_while_new_posts_arrive(alice: Somebody) -> None:
    wanted = [alice.posts(str(n)) for n in range(5)][::-1]
    seen, cursor = [], ""
    while True:
        part = alice("GET", f"/api/posts?limit=2&cursor={cursor}")
        seen += [post["id"] for post in part["posts"]]
        alice.posts("a newer one")
        if (cursor := part["nextCursor"]) is None:
            break
    assert seen == wanted


def _notify(engine: Engine, user_id: str, seq: int) -> str:
    """A row and its frame, as the ledger leaves them."""
    values = {"id": new_id(), "user": user_id, "object": new_id(), "seq": seq}
    with engine.begin() as sql:
        sql.execute(text("update users set frame_seq = :seq where id = :user"), values)
        sql.execute(
            text(
                "insert into notifications (id, user_id, type, priority, object_id, version, seq, "
                "actor_count) values (:id, :user, 'LIKE', 'LOW', :object, 1, :seq, 1)"
            ),
            values,
        )
        sql.execute(
            text(
                "insert into outbox (user_id, seq, frame, payload) "
                "values (:user, :seq, 'notification', '{}')"
            ),
            values,
        )
    return str(values["id"])


def test_reading_is_told_in_a_frame_once(engine: Engine, alice: Somebody) -> None:
    one = _notify(engine, alice.id, 1)
    read = alice("PATCH", f"/api/notifications/{one}/read")["notification"]
    again = alice("PATCH", f"/api/notifications/{one}/read")["notification"]
    assert (read["isRead"], read["version"], read["seq"]) == (True, 2, 2)
    assert again == read
    missed = History(engine).missed(
        alice.id, Since(History(engine).missed(alice.id, None).epoch, 1)
    )
    assert missed.recovered
    assert [frame["event"] for frame in missed.frames] == ["notification_updated"]
    assert alice("GET", f"/api/notifications/{alice.id}/unread-count")["count"] == 0


def test_what_arrives_after_up_to_stays_unread(engine: Engine, alice: Somebody) -> None:
    for seq in (1, 2, 3):
        _notify(engine, alice.id, seq)
    path = f"/api/notifications/{alice.id}"
    assert alice("PATCH", f"{path}/read-all", {"upTo": 2})["updatedCount"] == 2
    unread = alice("GET", f"{path}?unreadOnly=true")["notifications"]
    assert [row["seq"] for row in unread] == [3]


def test_nobody_reads_or_marks_what_is_anothers(
    engine: Engine, alice: Somebody, bob: Somebody
) -> None:
    one = _notify(engine, alice.id, 1)
    assert bob("GET", f"/api/notifications/{alice.id}")["status"] == 403
    assert bob("PATCH", f"/api/notifications/{one}/read")["status"] == 403
    assert bob("GET", f"/api/notifications/{one}/actors")["status"] == 403


@pytest.mark.parametrize(("since", "recovered"), [(3, True), (0, True), (4, False)])
def test_a_history_is_whole_or_not_told(
    engine: Engine, alice: Somebody, since: int, recovered: bool
) -> None:
    for seq in (1, 2, 3):
        _notify(engine, alice.id, seq)
    epoch = History(engine).missed(alice.id, None).epoch
    found = History(engine).missed(alice.id, Since(epoch, since))
    assert (found.recovered, len(found.frames)) == (recovered, 3 - since if recovered else 0)


def test_a_history_with_a_gap_is_not_told(engine: Engine, alice: Somebody) -> None:
    for seq in (1, 2, 3):
        _notify(engine, alice.id, seq)
    with engine.begin() as sql:
        sql.execute(text("delete from outbox where seq = 2"))
    epoch = History(engine).missed(alice.id, None).epoch
    assert not History(engine).missed(alice.id, Since(epoch, 0)).recovered


def test_the_broom_takes_simulated_people_and_nobody_else(
    engine: Engine, alice: Somebody, bob: Somebody
) -> None:
    post = alice.posts()
    bob("PUT", f"/api/posts/{post}/like")
    body = {"postId": post, "targetUserId": alice.id, "count": 4}
    made = alice("POST", "/api/test/simulate-likes", body)
    assert [one["isFollower"] for one in made["results"]] == [True, False, True, False]
    assert alice("GET", f"/api/posts/{post}")["post"]["likesCount"] == 5
    assert "4 test users" in alice("DELETE", "/api/test/cleanup")["message"]
    assert alice("GET", f"/api/posts/{post}")["post"]["likesCount"] == 1
    assert alice("GET", f"/api/users/{alice.id}")["user"]["followersCount"] == 0


def test_the_broom_takes_what_simulated_people_said(alice: Somebody, bob: Somebody) -> None:
    post = alice.posts()
    bob("POST", "/api/comments", {"postId": post, "content": "Mine stays"})
    body = {"postId": post, "targetUserId": alice.id, "count": 3}
    assert len(alice("POST", "/api/test/simulate-comments", body)["results"]) == 3
    assert alice("GET", f"/api/posts/{post}")["post"]["commentsCount"] == 4
    alice("DELETE", "/api/test/cleanup")
    assert alice("GET", f"/api/posts/{post}")["post"]["commentsCount"] == 1
    left = alice("GET", f"/api/comments?postId={post}")["comments"]
    assert [one["content"] for one in left] == ["Mine stays"]


def test_a_form_needs_its_csrf_field(web: Flask) -> None:
    client = web.test_client()
    answer = client.post("/login", data={"email": "a@b.org", "password": "x"})
    assert answer.status_code == 403


def test_the_anonymous_are_sent_to_log_in_and_back(web: Flask) -> None:
    answer = web.test_client().get("/notifications?cursor=a")
    assert (answer.status_code, answer.location) == (
        303,
        "/login?next=/notifications%3Fcursor%3Da",
    )
