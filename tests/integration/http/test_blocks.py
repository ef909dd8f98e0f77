"""While a block lasts, neither user can act on the other or see their content, whoever created it."""

from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy import Engine, text

from tests.support.api_user import ApiUser

pytestmark = pytest.mark.service


class BlockScenario:
    """Alice has a post with a comment of Bob and a reply of Carol; Carol has a post with a comment of Alice.
    Nobody is blocked yet."""

    def __init__(self, alice: ApiUser, bob: ApiUser, carol: ApiUser) -> None:
        self.alice, self.bob, self.carol = alice, bob, carol
        self.post = alice.create_post("Alice's")
        self.comment_id = self.create_comment(bob, self.post, "Bob's")
        self.create_reply(carol, self.comment_id, "Carol's")
        self.carol_post = carol.create_post("Carol's")
        self.comment_at_carol = self.create_comment(alice, self.carol_post, "Alice's")

    @staticmethod
    def create_comment(author: ApiUser, post: str, content: str) -> str:
        response = author("POST", "/api/comments", {"postId": post, "content": content})
        return str(response["comment"]["id"])

    @staticmethod
    def create_reply(author: ApiUser, comment: str, content: str) -> str:
        response = author("POST", f"/api/comments/{comment}/reply", {"content": content})
        return str(response["comment"]["id"])


@pytest.fixture
def block_scenario(isolated_app: Flask) -> BlockScenario:
    return BlockScenario(*(ApiUser(isolated_app, name) for name in ("alice", "bob", "carol")))


@pytest.fixture(params=["the author blocked the reader", "the reader blocked the author"])
def blocked_scenario(request: pytest.FixtureRequest, block_scenario: BlockScenario) -> BlockScenario:
    """Bob follows Alice with post alerts, likes, bookmarks and mutes her post; then one blocks the other."""
    alice, bob = block_scenario.alice, block_scenario.bob
    bob("PUT", f"/api/follows/{alice.id}")
    alice("PUT", f"/api/follows/{bob.id}")
    bob("PUT", f"/api/follows/{alice.id}/bell")
    bob("PUT", f"/api/posts/{block_scenario.post}/like")
    bob("PUT", f"/api/bookmarks/{block_scenario.post}")
    bob("PUT", f"/api/mutes/posts/{block_scenario.post}")
    blocker, blocked_user = (alice, bob) if request.param.startswith("the author") else (bob, alice)
    assert blocker("PUT", f"/api/blocks/{blocked_user.id}")["status"] == 200
    return block_scenario


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


def test_content_of_a_blocked_user_is_not_found(blocked_scenario: BlockScenario) -> None:
    id_by_name = {
        "alice": blocked_scenario.alice.id,
        "post": blocked_scenario.post,
        "own": blocked_scenario.comment_id,
        "theirs": blocked_scenario.comment_at_carol,
    }
    status_by_route = {}
    for method, path, body in HIDDEN:
        request_body = body and {name: value.format(**id_by_name) for name, value in body.items()}
        status_by_route[method, path] = blocked_scenario.bob(method, path.format(**id_by_name), request_body)[
            "status"
        ]

    assert status_by_route == {(method, path): 404 for method, path, _ in HIDDEN}


def test_block_removes_hidden_content_from_lists(blocked_scenario: BlockScenario) -> None:
    alice, bob, carol = blocked_scenario.alice, blocked_scenario.bob, blocked_scenario.carol
    for user in (alice, bob):
        user("PUT", f"/api/follows/{carol.id}")
        user("PUT", f"/api/posts/{blocked_scenario.carol_post}/like")
    feed = bob("GET", "/api/posts")

    assert _ids(feed["posts"]) == [blocked_scenario.carol_post]
    assert feed["pagination"]["total"] == 1
    assert bob("GET", f"/api/posts?userId={alice.id}")["posts"] == []
    assert bob("GET", "/api/users?q=alice")["users"] == []
    assert bob("GET", "/api/bookmarks")["bookmarks"] == []
    assert bob("GET", "/api/mutes")["posts"] == []
    assert _ids(bob("GET", f"/api/follows/{carol.id}/followers")["followers"]) == [bob.id]
    assert _ids(bob("GET", f"/api/posts/{blocked_scenario.carol_post}/likes")["users"]) == [bob.id]


def test_third_user_sees_content_of_both_sides_of_a_block(blocked_scenario: BlockScenario) -> None:
    alice, bob, carol = blocked_scenario.alice, blocked_scenario.bob, blocked_scenario.carol

    assert len(carol("GET", "/api/posts")["posts"]) == 2
    [comment] = carol("GET", f"/api/comments?postId={blocked_scenario.post}")["comments"]
    assert (comment["content"], [reply["content"] for reply in comment["replies"]]) == ("Bob's", ["Carol's"])
    for user in (alice, bob):
        assert carol("GET", f"/api/users/{user.id}")["status"] == 200


def test_block_hides_comments_and_keeps_replies_to_them(
    blocked_scenario: BlockScenario,
) -> None:
    comments = blocked_scenario.alice("GET", f"/api/comments?postId={blocked_scenario.post}")["comments"]

    assert [comment["content"] for comment in comments] == ["Carol's"]
    assert (
        blocked_scenario.bob("GET", f"/api/comments?postId={blocked_scenario.carol_post}")["comments"] == []
    )


def test_counts_of_a_post_include_blocked_users_for_every_reader(blocked_scenario: BlockScenario) -> None:
    for reader in (blocked_scenario.alice, blocked_scenario.carol):
        post = reader("GET", f"/api/posts/{blocked_scenario.post}")["post"]
        assert (post["likesCount"], post["commentsCount"]) == (1, 2)


def test_block_ends_follows_and_post_alerts_in_both_directions(
    blocked_scenario: BlockScenario, engine: Engine, real_redis: redis.Redis
) -> None:
    alice, bob, carol = blocked_scenario.alice, blocked_scenario.bob, blocked_scenario.carol

    for user in (alice, bob):
        for side in ("followers", "following"):
            assert carol("GET", f"/api/follows/{user.id}/{side}")[side] == []
        profile = carol("GET", f"/api/users/{user.id}")["user"]
        assert (profile["followersCount"], profile["followingCount"]) == (0, 0)
        assert real_redis.scard(f"follow:users:{user.id}") == 0
    with engine.connect() as conn:
        assert conn.execute(text("select count(*) from bell_subscriptions")).scalar() == 0


def test_unblock_restores_no_follow_and_allows_new_actions(blocked_scenario: BlockScenario) -> None:
    alice, bob = blocked_scenario.alice, blocked_scenario.bob
    for user, blocked_user in ((alice, bob), (bob, alice)):
        user("DELETE", f"/api/blocks/{blocked_user.id}")

    assert bob("GET", f"/api/users/{alice.id}")["user"]["isFollowing"] is False
    assert bob("GET", f"/api/follows/{bob.id}/following")["following"] == []
    assert bob("GET", f"/api/posts/{blocked_scenario.post}")["post"]["isLiked"] is True
    assert bob("PUT", f"/api/follows/{alice.id}") == {
        "success": True,
        "following": True,
        "followersCount": 1,
        "status": 200,
    }
    assert bob("PUT", f"/api/posts/{blocked_scenario.post}/like")["likesCount"] == 1


def test_block_cannot_be_lifted_by_the_blocked_user(blocked_scenario: BlockScenario) -> None:
    lists = [user("GET", "/api/blocks")["users"] for user in (blocked_scenario.alice, blocked_scenario.bob)]
    assert sorted(map(len, lists)) == [0, 1]
    blocked_user, blocker = (
        (blocked_scenario.alice, blocked_scenario.bob)
        if lists[1]
        else (blocked_scenario.bob, blocked_scenario.alice)
    )
    blocked_user("DELETE", f"/api/blocks/{blocker.id}")

    assert blocked_user("GET", f"/api/users/{blocker.id}")["status"] == 404


def test_hidden_bookmark_can_be_removed(blocked_scenario: BlockScenario) -> None:
    assert blocked_scenario.bob("DELETE", f"/api/bookmarks/{blocked_scenario.post}")["bookmarked"] is False


def test_own_comment_below_a_hidden_post_can_be_deleted(
    blocked_scenario: BlockScenario,
) -> None:
    assert blocked_scenario.bob("DELETE", f"/api/comments/{blocked_scenario.comment_id}")["status"] == 200


def _ids(rows: list[dict[str, Any]]) -> list[str]:
    return [str(row["id"]) for row in rows]
