"""Own writes are in the next read of every list, before a worker has written a row."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from app.bootstrap import SharedServices
from tests.support.api_user import ApiUser, alice, bob

__all__ = ["alice", "bob"]
pytestmark = pytest.mark.service


def names(users: list[dict[str, Any]]) -> list[str]:
    return [user["username"] for user in users]


def following(reader: ApiUser, of: ApiUser) -> list[str]:
    return names(reader("GET", f"/api/follows/{of.id}/following")["following"])


def followers(reader: ApiUser, of: ApiUser) -> list[str]:
    return names(reader("GET", f"/api/follows/{of.id}/followers")["followers"])


def test_own_follow_is_in_both_lists_and_the_profile_at_once(alice: ApiUser, bob: ApiUser) -> None:
    bob("PUT", f"/api/follows/{alice.id}")

    assert following(bob, bob) == ["alice"]
    assert following(alice, bob) == ["alice"]
    assert followers(bob, alice) == ["bob"]
    assert bob("GET", f"/api/users/{bob.id}")["user"]["followingCount"] == 1
    assert bob("GET", f"/api/users/{alice.id}")["user"]["followersCount"] == 1


def test_unfollow_of_a_written_follow_hides_it_at_once(engine: Engine, alice: ApiUser, bob: ApiUser) -> None:
    with engine.begin() as conn:
        values = {"bob": bob.id, "alice": alice.id}
        conn.execute(text("insert into follows (follower_id, following_id) values (:bob, :alice)"), values)
    assert following(bob, bob) == ["alice"]

    bob("DELETE", f"/api/follows/{alice.id}")

    assert (following(bob, bob), followers(bob, alice)) == ([], [])
    assert bob("GET", f"/api/users/{bob.id}")["user"]["followingCount"] == 0


def test_list_of_unwritten_follows_is_paged_newest_first(isolated_app: Flask, bob: ApiUser) -> None:
    users = [ApiUser(isolated_app, f"other{n}") for n in range(3)]
    for user in users:
        bob("PUT", f"/api/follows/{user.id}")

    first = bob("GET", f"/api/follows/{bob.id}/following?limit=2")
    rest = bob("GET", f"/api/follows/{bob.id}/following?limit=2&cursor={first['nextCursor']}")

    assert names(first["following"] + rest["following"]) == ["other2", "other1", "other0"]
    assert rest["nextCursor"] is None


def test_own_like_is_listed_though_a_post_has_too_many_likers_to_cache(
    alice: ApiUser, bob: ApiUser, isolated_services: SharedServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated_services.memberships, "_max_cached_members", 0)
    post = alice.create_post()
    bob("PUT", f"/api/posts/{post}/like")

    assert names(bob("GET", f"/api/posts/{post}/likes")["users"]) == ["bob"]
    bob("DELETE", f"/api/posts/{post}/like")
    assert names(bob("GET", f"/api/posts/{post}/likes")["users"]) == []
