"""A deleted or blocked user disappears from groups, counts and lists, on sockets and over REST."""

import json
from collections.abc import Callable

import pytest

from harness.waiting import wait_until
from tests.support.cluster import WebCluster
from tests.support.http_client import PASSWORD, HttpClient

pytestmark = pytest.mark.service


def delete_account(alice: HttpClient, ben: HttpClient) -> None:
    ben.request_ok("DELETE", f"/api/users/{ben.id}", {"password": PASSWORD})


def block(alice: HttpClient, ben: HttpClient) -> None:
    alice.request_ok("PUT", f"/api/blocks/{ben.id}")


REMOVALS = [pytest.param(delete_account, id="deleted"), pytest.param(block, id="blocked")]


@pytest.mark.parametrize("remove", REMOVALS)
def test_removed_user_disappears_from_notifications_and_unread_count(
    cluster: WebCluster, remove: Callable[[HttpClient, HttpClient], None]
) -> None:
    alice, ann, ben = cluster.register_clients("Alice", "Ann", "Benjamin")
    tab = alice.open_tab()
    shared_post, liked_post, commented_post = (
        alice.create_post("Shared"),
        alice.create_post("Alone"),
        alice.create_post("Commented"),
    )
    ann.like(shared_post)
    ben.like(shared_post)
    ben.like(liked_post)
    ben.comment(commented_post, "Words")
    ben.follow(alice)
    wait_until(lambda: len(alice.list_notifications()) == 4 and alice.unread_count == 4, "four rows", 90)
    cluster.scenario.wait_until_idle()

    remove(alice, ben)

    wait_until(
        lambda: [row["message"] for row in alice.list_notifications()] == ["Ann liked your post"],
        "one row",
        90,
    )
    [row] = alice.list_notifications()
    assert (row["aggregatedCount"], row["actorId"]) == (1, ann.id)
    assert [actor["id"] for actor in row["actors"]] == [ann.id]
    actors = alice.request_ok("GET", f"/api/notifications/{row['id']}/actors")["actors"]
    assert [actor["id"] for actor in actors] == [ann.id]
    assert alice.unread_count == 1
    wait_until(lambda: len(tab.data_of("notification_removed")) == 3, "the removal of three rows", 90)
    wait_until(lambda: tab.unread_counts[-1][1] == 1, "the unread count", 90)
    assert tab.data_of("notification_updated")[-1]["message"] == "Ann liked your post"
    everything = json.dumps([row, actors, alice.request_ok("GET", f"/api/notifications/{alice.id}/grouped")])
    assert ben.id not in everything
    assert "Benjamin" not in everything
    other_tab = alice.at_server(cluster.web_processes[-1].base_url).open_tab()
    assert len(other_tab.joined_responses) == 1


def test_deleted_user_is_in_no_list_and_no_count(cluster: WebCluster) -> None:
    alice, ben = cluster.register_clients("Alice", "Ben")
    post = alice.create_post()
    ben.like(post)
    ben.follow(alice)
    alice.follow(ben)
    ben.comment(post, "Hello there")
    post_of_ben = ben.create_post("Post of Ben")
    alice.like(post_of_ben)
    cluster.scenario.wait_until_idle()

    delete_account(alice, ben)

    cluster.scenario.wait_until_idle()
    for client in cluster.client_per_process(alice):
        assert client.request("GET", f"/api/users/{ben.id}").status == 404
        assert client.request("GET", f"/api/posts/{post_of_ben}").status == 404
        assert client.request_ok("GET", f"/api/users/search?q={ben.username}")["users"] == []
        assert client.request_ok("GET", f"/api/posts/{post}/likes")["users"] == []
        assert client.request_ok("GET", f"/api/follows/{alice.id}/followers")["followers"] == []
        assert client.request_ok("GET", f"/api/follows/{alice.id}/following")["following"] == []
        assert client.request_ok("GET", f"/api/comments?postId={post}")["comments"] == []
        post_body = client.request_ok("GET", f"/api/posts/{post}")["post"]
        assert (post_body["likesCount"], post_body["commentsCount"]) == (0, 0)
        me = client.request_ok("GET", f"/api/users/{alice.id}")["user"]
        assert (me["followersCount"], me["followingCount"]) == (0, 0)
    assert ben.request("GET", "/api/auth/me").status == 401
