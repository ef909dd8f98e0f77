"""Live counts go to the sockets that watch a post, and at a limited rate to those that never said so."""

import pytest

from app.bootstrap import new_id
from tests.support.cluster import WebCluster
from tests.support.http_client import BrowserTab, HttpClient

pytestmark = pytest.mark.service


def watch(tab: BrowserTab, *post_ids: str) -> dict[str, int]:
    """Returns when the list is in force: the like counts of its new posts, from the acknowledgement."""
    reply = tab.emit_and_wait_for_ack("watch_posts", {"postIds": list(post_ids)})
    return {post["postId"]: post["likesCount"] for post in reply["posts"]}


def updates_of(tab: BrowserTab, post_id: str) -> list[int]:
    """The like counts that the tab received of a post, in order."""
    return [
        data["metadata"]["likesCount"]
        for data in tab.data_of("post_updated")
        if data["targetEntityId"] == post_id
    ]


def open_watching_tab(user: HttpClient, *post_ids: str) -> BrowserTab:
    tab = user.open_tab()
    watch(tab, *post_ids)
    return tab


def test_watching_socket_gets_its_posts_and_another_socket_gets_all(cluster: WebCluster) -> None:
    alice, ben, cem = cluster.register_clients("Alice", "Ben", "Cem")
    watched, other = alice.create_post(), alice.create_post()
    watching_tab, seed_tab = open_watching_tab(ben, watched), alice.open_tab()
    cem.like(watched)
    cem.like(other)

    cluster.wait_until(lambda: updates_of(watching_tab, watched)[-1:] == [1], "the watched post")
    cluster.wait_until(
        lambda: (updates_of(seed_tab, watched)[-1:], updates_of(seed_tab, other)[-1:]) == ([1], [1]),
        "both posts at the socket without a list",
    )
    assert updates_of(watching_tab, other) == []

    assert watch(watching_tab, other) == {other: 1}
    ben.like(other)
    ben.like(watched)
    cluster.wait_until(lambda: updates_of(watching_tab, other)[-1:] == [2], "the post of the new list")
    cluster.wait_until(lambda: updates_of(seed_tab, watched)[-1:] == [2], "the post of the old list")
    assert updates_of(watching_tab, watched) == [1]


def test_invalid_list_is_answered_with_an_error_and_changes_nothing(cluster: WebCluster) -> None:
    alice, ben = cluster.register_clients("Alice", "Ben")
    post = alice.create_post()
    tab = open_watching_tab(alice, post)
    for post_ids in (None, ["x"], [new_id() for _ in range(101)]):
        before = len(tab.data_of("error"))
        tab.emit("watch_posts", {"postIds": post_ids})
        tab.wait_until(lambda before=before: len(tab.data_of("error")) > before, "an error")
    assert "at most 100 post ids" in tab.data_of("error")[-1]["message"]
    ben.like(post)
    cluster.wait_until(lambda: updates_of(tab, post) == [1], "the count of the valid list")


def test_socket_without_token_cannot_watch(cluster: WebCluster) -> None:
    alice, ben = cluster.register_clients("Alice", "Ben")
    post = alice.create_post()
    tab = BrowserTab(alice.base_url, alice.id, "")
    tab.connect()
    tab.emit("watch_posts", {"postIds": [post]})
    tab.wait_until(lambda: tab.data_of("error"), "an error")
    assert tab.data_of("error") == [{"message": "Authentication required"}]
    witness = open_watching_tab(ben, post)
    ben.like(post)
    cluster.wait_until(lambda: updates_of(witness, post) == [1], "the count at another socket")
    assert tab.data_of("post_updated") == []


def test_post_of_a_blocked_user_is_not_watched(cluster: WebCluster) -> None:
    alice, ben, cem = cluster.register_clients("Alice", "Ben", "Cem")
    hidden, visible = alice.create_post(), cem.create_post()
    alice.request_ok("PUT", f"/api/blocks/{ben.id}")
    tab, witness = open_watching_tab(ben, hidden, visible), open_watching_tab(cem, hidden)
    cem.like(hidden)
    cluster.wait_until(lambda: updates_of(witness, hidden) == [1], "the count at another socket")
    alice.like(visible)
    cluster.wait_until(lambda: updates_of(tab, visible) == [1], "the visible post")
    assert updates_of(tab, hidden) == []
