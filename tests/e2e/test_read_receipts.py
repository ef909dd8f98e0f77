"""Receipts that a client sends over its socket appear in the delivery log."""

from functools import partial
from typing import Any

import pytest

from harness.fixtures import make_admin
from tests.support.cluster import WebCluster
from tests.support.http_client import HttpClient

pytestmark = pytest.mark.service


def read_delivery_log(admin: HttpClient, user: HttpClient) -> list[tuple[Any, ...]]:
    page = admin.request_ok("GET", f"/api/admin/delivery-log?userId={user.id}&limit=100")
    return [(entry["status"], entry["notificationId"], entry["version"]) for entry in page["entries"]]


@pytest.fixture
def admin(cluster: WebCluster) -> HttpClient:
    (admin_user,) = cluster.register_clients("Ada")
    make_admin(cluster.scenario.engine, admin_user.id)
    return admin_user


def test_read_receipt_appears_in_the_delivery_log_and_in_the_trace(
    cluster: WebCluster, admin: HttpClient
) -> None:
    alice, ann = cluster.register_clients("Alice", "Ann")
    tabs = [client.open_tab() for client in cluster.client_per_process(alice)]
    ann.follow(alice)
    for tab in tabs:
        cluster.wait_until(partial(getattr, tab, "toast_messages"), "a toast")
        notification = tab.data_of("notification")[-1]
        tab.emit(
            "notification_ack", {"notificationId": notification["id"], "version": notification["version"]}
        )
    seen_entry = ("SEEN", notification["id"], notification["version"])
    cluster.wait_until(lambda: seen_entry in read_delivery_log(admin, alice), "seen")
    # Two tabs acknowledged the same version: one entry.
    assert [entry for entry in read_delivery_log(admin, alice) if entry[0] == "SEEN"] == [seen_entry]
    assert ("SENT", notification["id"], notification["version"]) in read_delivery_log(admin, alice)

    why = alice.request_ok("GET", f"/api/notifications/{notification['id']}/why")
    assert "shown" in [step["name"] for step in why["steps"]]
    trace = admin.request_ok("GET", f"/api/admin/trace/{why['actors'][0]['eventId']}")
    assert "shown" in [step["name"] for step in trace["steps"]]
