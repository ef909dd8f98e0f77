"""A socket receives events only with a valid token of its own, and only as long as the token is valid."""

from functools import partial
from typing import Any

import pytest
import socketio

from harness.waiting import wait_until
from tests.support.cluster import WebCluster
from tests.support.http_client import (
    DEFAULT_TIMEOUT_SECONDS,
    PASSWORD,
    BrowserTab,
    ConnectionRefused,
    HttpClient,
)

pytestmark = pytest.mark.service


def connect_without_join(user: HttpClient, token: str = "") -> BrowserTab:
    tab = BrowserTab(user.base_url, user.id, token)
    tab.connect()
    return tab


def join_error(tab: BrowserTab, join_request: Any) -> str:
    before = len(tab.data_of("error"))
    tab.emit("join_room", join_request)
    tab.wait_until(lambda: len(tab.data_of("error")) > before, "an error")
    return str(tab.data_of("error")[-1]["message"])


def test_join_without_own_token_is_refused(cluster: WebCluster) -> None:
    alice, eve = cluster.register_clients("Alice", "Eve")
    tab = connect_without_join(alice)
    assert join_error(tab, alice.id) == "Authentication required"
    assert join_error(tab, {"userId": alice.id}) == "Authentication required"
    assert join_error(tab, None) == "Authentication required"
    with_foreign_token = {"userId": alice.id, "token": eve.token}
    assert join_error(tab, with_foreign_token) == "User ID does not match token"
    for token in ("nonsense", eve.token[:-3], 7, {"a": 1}):
        join_request = {"userId": alice.id, "token": token}
        assert join_error(tab, join_request) == "Invalid or expired token"
    with pytest.raises(ConnectionRefused):
        BrowserTab(alice.base_url, alice.id, "nonsense", sends_token_at_handshake=True).connect()
    assert tab.joined_responses == []


def test_socket_that_has_not_joined_receives_no_events(cluster: WebCluster) -> None:
    alice, ann = cluster.register_clients("Alice", "Ann")
    unjoined_tab, joined_tab, handshake_tab = (
        connect_without_join(alice),
        alice.open_tab(),
        BrowserTab(alice.base_url, alice.id, alice.token),
    )
    handshake_tab.sends_token_at_handshake = True
    handshake_tab.connect()
    post = alice.create_post()
    ann.like(post)

    def updates_of(tab: BrowserTab) -> list[dict[str, Any]]:
        """Posts of earlier tests may change as well."""
        return [update for update in tab.data_of("post_updated") if update["targetEntityId"] == post]

    cluster.wait_until(
        lambda: joined_tab.toast_messages and updates_of(joined_tab), "the toast and the count"
    )
    cluster.wait_until(
        lambda: handshake_tab.toast_messages and updates_of(handshake_tab),
        "the same with a token at the handshake",
    )
    assert unjoined_tab.received_events == []
    update = updates_of(joined_tab)[-1]
    assert update["type"] == "POST_UPDATED"
    assert update["metadata"]["likesCount"] == 1
    assert update["metadata"]["commentsCount"] == 0


def test_token_given_at_the_handshake_need_not_be_repeated(cluster: WebCluster) -> None:
    (alice,) = cluster.register_clients("Alice")
    tab = BrowserTab(alice.base_url, alice.id, alice.token, sends_token_at_handshake=True)
    tab.connect()
    tab.emit("join_room", {"userId": alice.id})
    tab.wait_until(lambda: tab.joined_responses, "joined")
    joined = tab.joined_responses[0]
    assert (joined["userId"], joined["recovered"], joined["missed"], joined["seq"]) == (
        alice.id,
        False,
        [],
        0,
    )
    assert joined["socketId"]
    tab.wait_until(lambda: tab.unread_counts == [(0, 0)], "the unread count")


def test_official_client_receives_a_toast_by_polling(cluster: WebCluster) -> None:
    alice, ann = cluster.register_clients("Alice", "Ann")
    received: list[Any] = []
    client = socketio.Client(reconnection=False)
    client.on("notification", received.append)
    client.on("joined", received.append)
    client.connect(alice.base_url, transports=["polling"])
    try:
        client.emit("join_room", {"userId": alice.id, "token": alice.token})
        wait_until(lambda: received, "joined", DEFAULT_TIMEOUT_SECONDS)
        ann.follow(alice)
        cluster.wait_until(lambda: len(received) > 1, "a toast")
        assert received[1]["message"] == "Ann started following you"
    finally:
        client.disconnect()


@pytest.mark.slow
def test_revoked_token_closes_its_sockets_and_account_removal_closes_all(
    cluster: WebCluster,
) -> None:
    alice, ben = cluster.register_clients("Alice", "Ben")
    tabs = [
        client.open_tab() for client in (*cluster.client_per_process(alice), *cluster.client_per_process(ben))
    ]
    alice.request_ok("POST", "/api/auth/logout-all")
    ben.request_ok("DELETE", f"/api/users/{ben.id}", {"password": PASSWORD})
    for tab in tabs:
        cluster.wait_until(partial(getattr, tab, "is_closed"), "the end of the socket", 70)
    for user in (alice, ben):
        for client in cluster.client_per_process(user):
            assert client.request("GET", "/api/auth/me").status == 401
