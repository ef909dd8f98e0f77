"""Accounts, posts, profiles, search, mutes, blocks, preferences and cleanup, on real services."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from app.bootstrap import new_id
from tests.support.api_user import ApiUser, alice, bob

__all__ = ["alice", "bob"]
pytestmark = pytest.mark.service
NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("steps", "is_bookmarked"),
    [
        pytest.param(["PUT"], True, id="put"),
        pytest.param(["PUT", "PUT"], True, id="put twice"),
        pytest.param(["POST"], True, id="toggled"),
        pytest.param(["POST", "POST"], False, id="toggled twice"),
        pytest.param(["PUT", "DELETE"], False, id="deleted"),
        pytest.param(["DELETE"], False, id="deleted without"),
    ],
)
def test_bookmark_state_follows_the_last_request(
    alice: ApiUser, steps: list[str], is_bookmarked: bool
) -> None:
    post = alice.create_post()
    responses = [alice(method, f"/api/bookmarks/{post}")["bookmarked"] for method in steps]
    bookmarked_ids = alice("GET", f"/api/bookmarks/check?postIds={post},{NOBODY}")["bookmarkedPostIds"]
    assert (responses[-1], bookmarked_ids) == (is_bookmarked, [post] if is_bookmarked else [])


@pytest.mark.parametrize(
    "path",
    ["/api/bookmarks/{}", "/api/mutes/users/{}", "/api/mutes/posts/{}", "/api/blocks/{}"],
)
def test_missing_object_cannot_be_bookmarked_muted_or_blocked(alice: ApiUser, path: str) -> None:
    assert alice("PUT", path.format(NOBODY))["status"] == 404


def test_bookmarks_are_paged_newest_first_as_posts(alice: ApiUser) -> None:
    post_ids = [alice.create_post(str(n)) for n in range(3)]
    for post_id in post_ids:
        alice("PUT", f"/api/bookmarks/{post_id}")
    first = alice("GET", "/api/bookmarks?limit=2")
    rest = alice("GET", f"/api/bookmarks?limit=2&cursor={first['nextCursor']}")
    assert [bookmark["id"] for bookmark in first["bookmarks"] + rest["bookmarks"]] == post_ids[::-1]
    assert rest["nextCursor"] is None
    seed_fields = ["id", "userId", "caption", "imageUrl", "createdAt", "updatedAt", "user", "_count"]
    assert [*first["bookmarks"][0]][:8] == seed_fields
    assert first["bookmarks"][0]["bookmarkedAt"].endswith("Z")


def test_likers_without_rows_are_listed_newest_first(alice: ApiUser, bob: ApiUser) -> None:
    post = alice.create_post()
    for person in (alice, bob):
        person("PUT", f"/api/posts/{post}/like")
    first = alice("GET", f"/api/posts/{post}/likes?limit=1")
    rest = alice("GET", f"/api/posts/{post}/likes?limit=1&cursor={first['nextCursor']}")
    assert [liker["username"] for liker in first["users"] + rest["users"]] == ["bob", "alice"]
    assert rest["nextCursor"] is None


def test_likers_of_an_uncached_post_come_from_the_table(engine: Engine, alice: ApiUser, bob: ApiUser) -> None:
    post = new_id()
    with engine.begin() as conn:
        values = {"post": post, "alice": alice.id, "bob": bob.id}
        conn.execute(text("insert into posts (id, user_id) values (:post, :alice)"), values)
        conn.execute(text("insert into likes (post_id, user_id) values (:post, :bob)"), values)
    users = alice("GET", f"/api/posts/{post}/likes")["users"]
    assert [liker["id"] for liker in users] == [bob.id]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"name": "A" * 50}, 200),
        ({"name": "A" * 51}, 400),
        ({"bio": ""}, 200),
        ({"bio": "b" * 161}, 400),
        ({"avatarUrl": "https://example.org/a.png"}, 200),
        ({"avatarUrl": "javascript:alert(1)"}, 400),
        ({"avatarUrl": "http://example.org/a.png"}, 400),
        ({"name": 7}, 400),
        ({}, 200),
    ],
    ids=str,
)
def test_profile_change_is_validated_and_shown(alice: ApiUser, changes: dict[str, Any], status: int) -> None:
    response = alice("PATCH", f"/api/users/{alice.id}", changes)
    assert response["status"] == status
    if status == 200:
        profile = alice("GET", f"/api/users/{alice.id}")["user"]
        assert {name: profile[name] for name in changes} == changes
        assert "email" not in response["user"]


@pytest.mark.parametrize("query", ["%", "_", "\\"])
def test_wildcard_in_a_search_is_taken_literally(alice: ApiUser, query: str) -> None:
    from urllib.parse import quote

    assert alice("GET", f"/api/users?q={quote(query)}")["users"] == []


def test_search_results_are_paged(alice: ApiUser, bob: ApiUser) -> None:
    alice("PATCH", f"/api/users/{alice.id}", {"name": "Twin"})
    bob("PATCH", f"/api/users/{bob.id}", {"name": "Twin"})
    first = alice("GET", "/api/users?q=twin&limit=1")
    rest = alice("GET", f"/api/users?q=twin&limit=1&cursor={first['nextCursor']}")
    assert [user["username"] for user in first["users"] + rest["users"]] == ["alice", "bob"]
    assert rest["nextCursor"] is None


def test_mutes_and_blocks_are_listed_and_lifted(alice: ApiUser, bob: ApiUser) -> None:
    post = bob.create_post()
    alice("PUT", f"/api/mutes/users/{bob.id}")
    alice("PUT", f"/api/mutes/posts/{post}")
    muted = alice("GET", "/api/mutes")
    alice("PUT", f"/api/blocks/{bob.id}")
    blocked = alice("GET", "/api/blocks")
    assert [user["id"] for user in muted["users"]] == [bob.id]
    assert [muted_post["id"] for muted_post in muted["posts"]] == [post]
    assert [user["id"] for user in blocked["users"]] == [bob.id]
    for path in (f"mutes/users/{bob.id}", f"mutes/posts/{post}", f"blocks/{bob.id}"):
        assert alice("DELETE", f"/api/{path}")["status"] == 200
    muted, blocked = alice("GET", "/api/mutes"), alice("GET", "/api/blocks")
    assert (muted["users"], muted["posts"], blocked["users"]) == ([], [], [])


@pytest.mark.parametrize("path", ["mutes/users", "blocks"])
def test_self_mute_and_self_block_are_refused(alice: ApiUser, path: str) -> None:
    assert alice("PUT", f"/api/{path}/{alice.id}")["status"] == 400


def test_preferences_have_the_documented_defaults(alice: ApiUser) -> None:
    preferences = alice("GET", f"/api/preferences/{alice.id}")["preferences"]
    del preferences["matrix"]
    assert preferences == {
        "id": alice.id,
        "userId": alice.id,
        "emailEnabled": True,
        "smsEnabled": False,
        "pushEnabled": True,
        "marketing": False,
        "activity": True,
        "social": True,
        "dndEnabled": False,
        "dndStartTime": "22:00",
        "dndEndTime": "08:00",
        "timezone": "UTC",
    }


def test_put_preferences_replaces_all_and_patch_merges_cells(alice: ApiUser) -> None:
    path = f"/api/preferences/{alice.id}"
    alice("PATCH", path, {"matrix": {"LIKE": {"push": False}}, "social": False})
    merged = alice("PATCH", path, {"matrix": {"LIKE": {"email": True}}})["preferences"]
    assert merged["matrix"]["LIKE"] == {"push": False, "email": True, "sms": False}
    whole = alice("PUT", path, {"dndStartTime": "23:15", "dndEndTime": None})["preferences"]
    assert whole["matrix"]["LIKE"] == {"push": True, "email": False, "sms": False}
    assert (whole["social"], whole["dndStartTime"], whole["dndEndTime"]) == (True, "23:15", None)
    assert alice("GET", path)["preferences"] == whole
    assert alice("PUT", path, {})["preferences"]["dndEndTime"] == "08:00"


def test_preference_for_a_critical_kind_is_accepted_and_has_no_effect(alice: ApiUser) -> None:
    cells = {"OTP": {"push": False, "email": False, "sms": False}}
    response = alice("PATCH", f"/api/preferences/{alice.id}", {"matrix": cells})
    assert response["status"] == 200
    assert response["preferences"]["matrix"]["OTP"] == {"push": True, "email": True, "sms": True}


@pytest.mark.parametrize(
    "changes",
    [
        {"pushEnabled": "yes"},
        {"pushEnabled": None},
        {"dndStartTime": "25:00"},
        {"dndStartTime": 22},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"timezone": "localtime"},
        {"timezone": "Factory"},
        {"timezone": "posixrules"},
        {"matrix": {"NOISE": {"push": True}}},
        {"matrix": {"LIKE": {"pigeon": True}}},
        {"matrix": {"LIKE": {"push": "no"}}},
        {"matrix": []},
        {"matrix": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_invalid_preference_is_refused(alice: ApiUser, method: str, changes: dict[str, Any]) -> None:
    response = alice(method, f"/api/preferences/{alice.id}", changes)
    assert (response["status"], list(response["details"])) == (400, list(changes))


@pytest.mark.parametrize(
    ("changes", "is_due"),
    [
        pytest.param({"dndEnabled": False}, True, id="switched off"),
        pytest.param({"dndStartTime": None}, True, id="emptied"),
        pytest.param({"dndStartTime": "00:00", "dndEndTime": "23:59"}, False, id="moved"),
    ],
)
def test_deferred_announcement_follows_a_change_of_the_quiet_hours(
    engine: Engine, alice: ApiUser, changes: dict[str, Any], is_due: bool
) -> None:
    night = {"dndEnabled": True, "dndStartTime": "00:00", "dndEndTime": "23:58"}
    alice("PATCH", f"/api/preferences/{alice.id}", night)
    with engine.begin() as conn:
        conn.execute(
            text(
                "insert into notifications (user_id, type, priority, object_id, version, "
                "deferred_until) values (:user, 'LIKE', 'LOW', :user, 1, now() + interval '1 year')"
            ),
            {"user": alice.id},
        )
    alice("PATCH", f"/api/preferences/{alice.id}", changes)
    with engine.connect() as conn:
        due, soon = conn.execute(
            text(
                "select deferred_until <= now(), deferred_until < now() + interval '1 day' from notifications"
            )
        ).one()
    assert (due, soon) == (is_due, True)


def test_account_is_deleted_by_its_owner_with_the_password_only(alice: ApiUser, bob: ApiUser) -> None:
    path = f"/api/users/{alice.id}"
    post = alice.create_post()
    assert bob("DELETE", path, {"password": "Passw0rd"})["status"] == 403
    assert alice("DELETE", path, {})["status"] == 400
    assert alice("DELETE", path, {"password": "Wr0ng-one"})["status"] == 403
    assert alice("DELETE", path, {"password": "Passw0rd"})["status"] == 200
    assert bob("GET", path)["status"] == 404
    assert bob("GET", f"/api/posts/{post}")["status"] == 404


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
