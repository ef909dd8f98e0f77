"""A changed name appears in lists, on open pages, and on pages that reconnect."""

import json

import pytest

from tests.support.cluster import WebCluster

pytestmark = pytest.mark.service


def test_new_name_updates_open_pages_and_missed_events(
    cluster: WebCluster,
) -> None:
    alice, ann, ben = cluster.register_clients("Alice", "Former", "Ben")
    page, disconnected_page = alice.open_tab(), alice.at_server(cluster.web_processes[-1].base_url).open_tab()
    disconnected_page.disconnect()
    post = alice.create_post()
    ben.like(post)
    cluster.wait_until(lambda: len(page.toast_messages) == 1, "the first toast")
    ann.like(post)
    cluster.wait_until(
        lambda: page.toast_messages == ["Ben liked your post", "Former liked your post"], "toasts"
    )
    [before] = alice.list_notifications()

    ann.request_ok("PATCH", f"/api/users/{ann.id}", {"name": "Present"})

    cluster.wait_until(lambda: page.data_of("notification_updated"), "the correction")
    update, [row] = page.data_of("notification_updated")[-1], alice.list_notifications()
    message = "Present and 1 other liked your post"
    assert (update["message"], row["message"]) == (message, message)
    assert (update["actorName"], update["actors"][0]["name"]) == ("Present", "Present")
    assert update["version"] == row["version"] == before["version"] + 1
    assert (update["timestamp"], alice.unread_count) == (before["updatedAt"], 1)
    assert len(page.toast_messages) == 2
    joined = disconnected_page.join()
    assert joined is not None
    assert joined["recovered"]
    assert [missed["data"]["message"] for missed in joined["missed"]] == [
        "Ben liked your post",
        "Present liked your post",
        message,
    ]
    assert "Former" not in json.dumps([joined, row, alice.request_ok("GET", f"/api/posts/{post}/likes")])
