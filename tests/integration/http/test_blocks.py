"""While a block lasts, neither user can act on the other or see their content, whoever created it."""

from typing import Any

import pytest
import redis
from sqlalchemy import Engine, event, text

from app.bootstrap import SharedServices, new_id
from app.social.users import NewUser, Users
from app.web import WebApplication
from tests.integration.http.test_social_with_real_stores import ApiUser
from tests.support.fake_app import auth_header

pytestmark = pytest.mark.service


class PasswordlessApiUser(ApiUser):
    """A user whose account is created without hashing a password, which takes long."""

    def __init__(self, application: WebApplication, name: str) -> None:
        services = application.web_services.services
        self.id = new_id()
        Users(services.engine).create(NewUser(self.id, f"{name}@example.org", name, name, "-"))
        self._client = application.flask_app.test_client()
        self._headers = auth_header(self.id, secret=services.settings.web.jwt_secret_key)


class BlockScenario:
    """Alice and Bob have each a post with a comment of the other and one of Carol below it. Who
    blocks is the test's to choose."""

    def __init__(self, alice: ApiUser, bob: ApiUser, carol: ApiUser) -> None:
        self.alice, self.bob, self.carol = alice, bob, carol
        self.post = alice.posts("Alice's")
        self.said = self.comments(bob, self.post, "Bob's")
        self.below = self.replies(carol, self.said, "Carol's")
        self.carols = carol.posts("Carol's")
        self.at_carols = self.comments(alice, self.carols, "Alice's")

    @staticmethod
    def comments(who: ApiUser, post: str, content: str) -> str:
        said = who("POST", "/api/comments", {"postId": post, "content": content})
        return str(said["comment"]["id"])

    @staticmethod
    def replies(who: ApiUser, comment: str, content: str) -> str:
        said = who("POST", f"/api/comments/{comment}/reply", {"content": content})
        return str(said["comment"]["id"])


@pytest.fixture
def block_scenario(isolated_application: WebApplication) -> BlockScenario:
    return BlockScenario(
        *(PasswordlessApiUser(isolated_application, name) for name in ("alice", "bob", "carol"))
    )


@pytest.fixture(params=["the author blocked the reader", "the reader blocked the author"])
def blocked_scenario(request: pytest.FixtureRequest, block_scenario: BlockScenario) -> BlockScenario:
    """Bob follows, likes, keeps and rings for Alice's; then one of them blocks the other."""
    alice, bob = block_scenario.alice, block_scenario.bob
    bob("PUT", f"/api/follows/{alice.id}")
    alice("PUT", f"/api/follows/{bob.id}")
    bob("PUT", f"/api/follows/{alice.id}/bell")
    bob("PUT", f"/api/posts/{block_scenario.post}/like")
    bob("PUT", f"/api/bookmarks/{block_scenario.post}")
    bob("PUT", f"/api/mutes/posts/{block_scenario.post}")
    who, whom = (alice, bob) if request.param.startswith("the author") else (bob, alice)
    assert who("PUT", f"/api/blocks/{whom.id}")["status"] == 200
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


def test_block_hides_content_as_not_found(blocked_scenario: BlockScenario) -> None:
    names = {
        "alice": blocked_scenario.alice.id,
        "post": blocked_scenario.post,
        "own": blocked_scenario.said,
        "theirs": blocked_scenario.at_carols,
    }
    answers = {}
    for method, path, body in HIDDEN:
        sent = body and {name: value.format(**names) for name, value in body.items()}
        answers[method, path] = blocked_scenario.bob(method, path.format(**names), sent)["status"]

    assert answers == {(method, path): 404 for method, path, _ in HIDDEN}


def test_block_removes_hidden_content_from_lists(blocked_scenario: BlockScenario) -> None:
    alice, bob, carol = blocked_scenario.alice, blocked_scenario.bob, blocked_scenario.carol
    for one in (alice, bob):
        one("PUT", f"/api/follows/{carol.id}")
        one("PUT", f"/api/posts/{blocked_scenario.carols}/like")
    feed = bob("GET", "/api/posts")

    assert _ids(feed["posts"]) == [blocked_scenario.carols]
    assert feed["pagination"]["total"] == 1
    assert bob("GET", f"/api/posts?userId={alice.id}")["posts"] == []
    assert bob("GET", "/api/users?q=alice")["users"] == []
    assert bob("GET", "/api/bookmarks")["bookmarks"] == []
    assert bob("GET", "/api/mutes")["posts"] == []
    assert _ids(bob("GET", f"/api/follows/{carol.id}/followers")["followers"]) == [bob.id]
    assert _ids(bob("GET", f"/api/posts/{blocked_scenario.carols}/likes")["users"]) == [bob.id]


def test_third_users_see_both_sides_of_a_block(blocked_scenario: BlockScenario) -> None:
    alice, bob, carol = blocked_scenario.alice, blocked_scenario.bob, blocked_scenario.carol

    assert len(carol("GET", "/api/posts")["posts"]) == 2
    [said] = carol("GET", f"/api/comments?postId={blocked_scenario.post}")["comments"]
    assert (said["content"], [one["content"] for one in said["replies"]]) == ("Bob's", ["Carol's"])
    for one in (alice, bob):
        assert carol("GET", f"/api/users/{one.id}")["status"] == 200


def test_block_hides_comments_and_keeps_replies_to_them(
    blocked_scenario: BlockScenario,
) -> None:
    seen = blocked_scenario.alice("GET", f"/api/comments?postId={blocked_scenario.post}")["comments"]

    assert [one["content"] for one in seen] == ["Carol's"]
    assert blocked_scenario.bob("GET", f"/api/comments?postId={blocked_scenario.carols}")["comments"] == []


def test_counts_are_the_same_for_everybody(blocked_scenario: BlockScenario) -> None:
    for reader in (blocked_scenario.alice, blocked_scenario.carol):
        post = reader("GET", f"/api/posts/{blocked_scenario.post}")["post"]
        assert (post["likesCount"], post["commentsCount"]) == (1, 2)


def test_block_ends_follows_and_post_alerts_in_both_directions(
    blocked_scenario: BlockScenario, engine: Engine, real_redis: redis.Redis
) -> None:
    alice, bob, carol = blocked_scenario.alice, blocked_scenario.bob, blocked_scenario.carol

    for one in (alice, bob):
        for side in ("followers", "following"):
            assert carol("GET", f"/api/follows/{one.id}/{side}")[side] == []
        user = carol("GET", f"/api/users/{one.id}")["user"]
        assert (user["followersCount"], user["followingCount"]) == (0, 0)
        assert real_redis.scard(f"follow:users:{one.id}") == 0
    with engine.connect() as conn:
        assert conn.execute(text("select count(*) from bell_subscriptions")).scalar() == 0


def test_unblock_restores_nothing_and_allows_everything(blocked_scenario: BlockScenario) -> None:
    alice, bob = blocked_scenario.alice, blocked_scenario.bob
    for one, other in ((alice, bob), (bob, alice)):
        one("DELETE", f"/api/blocks/{other.id}")

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


def test_block_is_lifted_by_the_blocker_only(blocked_scenario: BlockScenario) -> None:
    lists = [one("GET", "/api/blocks")["users"] for one in (blocked_scenario.alice, blocked_scenario.bob)]
    assert sorted(map(len, lists)) == [0, 1]
    innocent, maker = (
        (blocked_scenario.alice, blocked_scenario.bob)
        if lists[1]
        else (blocked_scenario.bob, blocked_scenario.alice)
    )
    innocent("DELETE", f"/api/blocks/{maker.id}")

    assert innocent("GET", f"/api/users/{maker.id}")["status"] == 404


def test_hidden_bookmark_can_be_removed(blocked_scenario: BlockScenario) -> None:
    assert blocked_scenario.bob("DELETE", f"/api/bookmarks/{blocked_scenario.post}")["bookmarked"] is False


def test_an_own_comment_below_a_hidden_post_can_still_be_deleted(
    blocked_scenario: BlockScenario,
) -> None:
    assert blocked_scenario.bob("DELETE", f"/api/comments/{blocked_scenario.said}")["status"] == 200


def test_like_of_a_cached_post_queries_no_blocks(
    block_scenario: BlockScenario, isolated_services: SharedServices
) -> None:
    block_scenario.bob("PUT", f"/api/posts/{block_scenario.post}/like")
    statements: list[str] = []
    event.listen(isolated_services.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    assert block_scenario.bob("DELETE", f"/api/posts/{block_scenario.post}/like")["status"] == 200
    assert statements == []


def _ids(rows: list[dict[str, Any]]) -> list[str]:
    return [str(one["id"]) for one in rows]
