"""Receipts that a client sends over its socket appear in the delivery log, also after a DynamoDB outage."""

from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from infra.services import EmbeddedServices
from tests.support.cluster import WebCluster
from tests.support.http_client import HttpClient

pytestmark = pytest.mark.service


def read_delivery_log(admin: HttpClient, user: HttpClient) -> list[tuple[Any, ...]]:
    page = admin.request_ok("GET", f"/api/admin/delivery-log?userId={user.id}&limit=100")
    return [(entry["status"], entry["notificationId"], entry["version"]) for entry in page["entries"]]


@pytest.fixture
def admin(cluster: WebCluster) -> HttpClient:
    (admin_user,) = cluster.register_clients("Ada")
    with cluster.scenario.engine.begin() as conn:
        conn.execute(text("update users set role = 'admin' where id = :id"), {"id": admin_user.id})
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


def test_read_receipt_of_another_user_is_ignored(cluster: WebCluster, admin: HttpClient) -> None:
    alice, ann, mallory = cluster.register_clients("Alice", "Ann", "Mallory")
    tab, other_tab = alice.open_tab(), mallory.open_tab()
    ann.follow(alice)
    cluster.wait_until(lambda: tab.toast_messages, "a toast")
    row = tab.data_of("notification")[-1]["id"]
    for receipt in ({"notificationId": row, "version": 1}, {"notificationId": "x"}, "nonsense", None):
        other_tab.emit("notification_ack", receipt)
    tab.emit("notification_ack", {"notificationId": row, "version": 1})
    cluster.wait_until(lambda: ("SEEN", row, 1) in read_delivery_log(admin, alice), "seen")
    assert read_delivery_log(admin, mallory) == []


def test_toasts_are_not_delayed_and_the_log_is_complete_after_dynamodb_was_frozen(
    cluster: WebCluster, admin: HttpClient, services: EmbeddedServices
) -> None:
    alice, *users = cluster.register_clients("Alice", "Ann", "Ben", "Cem")
    tab = alice.open_tab()
    services.pause("dynamodb")
    try:
        for actor in users:
            actor.follow(alice)
        cluster.wait_until(lambda: len(tab.toast_messages) == 3, "three toasts", 60)
        for notification in tab.data_of("notification"):
            tab.emit(
                "notification_ack", {"notificationId": notification["id"], "version": notification["version"]}
            )
        assert admin.request("GET", f"/api/admin/delivery-log?userId={alice.id}").status == 503
    finally:
        services.resume("dynamodb")
    row = tab.data_of("notification")[0]["id"]
    expected = {(status, row, version) for status in ("SENT", "SEEN") for version in (1, 2, 3)}
    cluster.wait_until(lambda: expected <= set(read_delivery_log(admin, alice)), "the complete log", 120)
