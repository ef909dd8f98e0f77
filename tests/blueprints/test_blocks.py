"""While a block lasts neither side acts on the other or sees what is theirs, whoever made it."""

from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy import Engine, event, text

from app.stores.users import NewUser, Users
from app.wiring import Parts, new_id
from tests.blueprints.apart import web as web
from tests.blueprints.conftest import bearer
from tests.blueprints.test_on_real_stores import Somebody

pytestmark = pytest.mark.service


class Member(Somebody):
    """Somebody whose account is made without the time that a password's hash takes."""

    def __init__(self, web: Flask, name: str) -> None:
        parts: Parts = web.extensions["parts"]
        self.id = new_id()
        Users(parts.engine).create(NewUser(self.id, f"{name}@example.org", name, name, "-"))
        self._client = web.test_client()
        self._headers = bearer(self.id, secret=parts.settings.web.jwt_secret_key)


class Scene:
    """Alice and Bob have each a post with a comment of the other and one of Carol below it. Who
    blocks is the test's to choose."""

    def __init__(self, alice: Somebody, bob: Somebody, carol: Somebody) -> None:
        self.alice, self.bob, self.carol = alice, bob, carol
        self.post = alice.posts("Alice's")
        self.said = self.comments(bob, self.post, "Bob's")
        self.below = self.replies(carol, self.said, "Carol's")
        self.carols = carol.posts("Carol's")
        self.at_carols = self.comments(alice, self.carols, "Alice's")

    @staticmethod
    def comments(who: Somebody, post: str, content: str) -> str:
        said = who("POST", "/api/comments", {"postId": post, "content": content})
        return str(said["comment"]["id"])

    @staticmethod
    def replies(who: Somebody, comment: str, content: str) -> str:
        said = who("POST", f"/api/comments/{comment}/reply", {"content": content})
        return str(said["comment"]["id"])


@pytest.fixture
def scene(web: Flask) -> Scene:
    return Scene(*(Member(web, name) for name in ("alice", "bob", "carol")))


@pytest.fixture(params=["the author blocked the reader", "the reader blocked the author"])
def blocked(request: pytest.FixtureRequest, scene: Scene) -> Scene:
    """Bob follows, likes, keeps and rings for Alice's; then one of them blocks the other."""
    alice, bob = scene.alice, scene.bob
    bob("PUT", f"/api/follows/{alice.id}")
    alice("PUT", f"/api/follows/{bob.id}")
    bob("PUT", f"/api/follows/{alice.id}/bell")
    bob("PUT", f"/api/posts/{scene.post}/like")
    bob("PUT", f"/api/bookmarks/{scene.post}")
    bob("PUT", f"/api/mutes/posts/{scene.post}")
    who, whom = (alice, bob) if request.param.startswith("the author") else (bob, alice)
    assert who("PUT", f"/api/blocks/{whom.id}")["status"] == 200
    return scene


HIDDEN: list[tuple[str, str, dict[str, str] | None]] = [
    ("PUT", "/api/follows/{alice}", None),
    ("POST", "/api/follows/{alice}", None),
    ("PUT", "/api/follows/{alice}/bell", None),
    ("PUT", "/api/posts/{post}/like", None),
    ("DELETE", "/api/posts/{post}/like", None),
    ("POST", "/api/posts/{post}/like", None),
    ("POST", "/api/posts/{post}/share", None),
    ("PUT", "/api/bookmarks/{post}", None),
    ("POST", "/api/comments", {"postId": "{post}", "content": "Hi"}),
    ("POST", "/api/comments/{own}/reply", {"content": "Hi"}),
    ("POST", "/api/comments/{theirs}/reply", {"content": "Hi"}),
    ("GET", "/api/posts/{post}", None),
    ("GET", "/api/posts/{post}/likes", None),
    ("GET", "/api/comments?postId={post}", None),
    ("GET", "/api/users/{alice}", None),
    ("GET", "/api/follows/{alice}/followers", None),
    ("GET", "/api/follows/{alice}/following", None),
]


def test_what_a_block_hides_is_not_found(blocked: Scene) -> None:
    names = {
        "alice": blocked.alice.id,
        "post": blocked.post,
        "own": blocked.said,
        "theirs": blocked.at_carols,
    }
    answers = {}
    for method, path, body in HIDDEN:
        sent = body and {name: value.format(**names) for name, value in body.items()}
        answers[method, path] = blocked.bob(method, path.format(**names), sent)["status"]

    assert answers == {(method, path): 404 for method, path, _ in HIDDEN}


def test_lists_leave_out_what_a_block_hides(blocked: Scene) -> None:
    alice, bob, carol = blocked.alice, blocked.bob, blocked.carol
    for one in (alice, bob):
        one("PUT", f"/api/follows/{carol.id}")
        one("PUT", f"/api/posts/{blocked.carols}/like")
    feed = bob("GET", "/api/posts")

    assert _ids(feed["posts"]) == [blocked.carols]
    assert feed["pagination"]["total"] == 1
    assert bob("GET", f"/api/posts?userId={alice.id}")["posts"] == []
    assert bob("GET", "/api/users?q=alice")["users"] == []
    assert bob("GET", "/api/bookmarks")["bookmarks"] == []
    assert bob("GET", "/api/mutes")["posts"] == []
    assert _ids(bob("GET", f"/api/follows/{carol.id}/followers")["followers"]) == [bob.id]
    assert _ids(bob("GET", f"/api/posts/{blocked.carols}/likes")["users"]) == [bob.id]


def test_others_see_both_sides_of_a_block(blocked: Scene) -> None:
    alice, bob, carol = blocked.alice, blocked.bob, blocked.carol

    assert len(carol("GET", "/api/posts")["posts"]) == 2
    [said] = carol("GET", f"/api/comments?postId={blocked.post}")["comments"]
    assert (said["content"], [one["content"] for one in said["replies"]]) == ("Bob's", ["Carol's"])
    for one in (alice, bob):
        assert carol("GET", f"/api/users/{one.id}")["status"] == 200


def test_comments_of_the_other_are_left_out_and_replies_to_them_stand_alone(
    blocked: Scene,
) -> None:
    seen = blocked.alice("GET", f"/api/comments?postId={blocked.post}")["comments"]

    assert [one["content"] for one in seen] == ["Carol's"]
    assert blocked.bob("GET", f"/api/comments?postId={blocked.carols}")["comments"] == []


def test_counts_stay_the_same_for_everybody(blocked: Scene) -> None:
    for reader in (blocked.alice, blocked.carol):
        post = reader("GET", f"/api/posts/{blocked.post}")["post"]
        assert (post["likesCount"], post["commentsCount"]) == (1, 2)


def test_a_block_ends_both_follows_and_bells_for_everybody_to_see(
    blocked: Scene, engine: Engine, real_redis: redis.Redis
) -> None:
    alice, bob, carol = blocked.alice, blocked.bob, blocked.carol

    for one in (alice, bob):
        for side in ("followers", "following"):
            assert carol("GET", f"/api/follows/{one.id}/{side}")[side] == []
        user = carol("GET", f"/api/users/{one.id}")["user"]
        assert (user["followersCount"], user["followingCount"]) == (0, 0)
        assert real_redis.scard(f"follow:users:{one.id}") == 0
    with engine.connect() as sql:
        assert sql.execute(text("select count(*) from bell_subscriptions")).scalar() == 0


def test_the_end_of_a_block_restores_nothing_and_allows_everything(blocked: Scene) -> None:
    alice, bob = blocked.alice, blocked.bob
    for one, other in ((alice, bob), (bob, alice)):
        one("DELETE", f"/api/blocks/{other.id}")

    assert bob("GET", f"/api/users/{alice.id}")["user"]["isFollowing"] is False
    assert bob("GET", f"/api/follows/{bob.id}/following")["following"] == []
    assert bob("GET", f"/api/posts/{blocked.post}")["post"]["isLiked"] is True
    assert bob("PUT", f"/api/follows/{alice.id}") == {
        "success": True,
        "following": True,
        "followersCount": 1,
        "status": 200,
    }
    assert bob("PUT", f"/api/posts/{blocked.post}/like")["likesCount"] == 1


def test_a_block_is_made_and_lifted_by_its_maker_alone(blocked: Scene) -> None:
    lists = [one("GET", "/api/blocks")["users"] for one in (blocked.alice, blocked.bob)]
    assert sorted(map(len, lists)) == [0, 1]
    innocent, maker = (blocked.alice, blocked.bob) if lists[1] else (blocked.bob, blocked.alice)
    innocent("DELETE", f"/api/blocks/{maker.id}")

    assert innocent("GET", f"/api/users/{maker.id}")["status"] == 404


def test_a_hidden_bookmark_can_still_be_taken_away(blocked: Scene) -> None:
    assert blocked.bob("DELETE", f"/api/bookmarks/{blocked.post}")["bookmarked"] is False


def test_an_own_comment_below_a_hidden_post_can_still_be_deleted(blocked: Scene) -> None:
    assert blocked.bob("DELETE", f"/api/comments/{blocked.said}")["status"] == 200


def test_a_like_of_a_warm_post_asks_no_table_whether_it_is_blocked(
    scene: Scene, engine: Engine, web: Flask
) -> None:
    scene.bob("PUT", f"/api/posts/{scene.post}/like")
    parts: Any = web.extensions["parts"]
    asked: list[str] = []
    event.listen(parts.engine, "before_cursor_execute", lambda *said: asked.append(said[2]))

    assert scene.bob("DELETE", f"/api/posts/{scene.post}/like")["status"] == 200
    assert asked == []


def _ids(rows: list[dict[str, Any]]) -> list[str]:
    return [str(one["id"]) for one in rows]
