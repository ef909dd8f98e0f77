"""The ten rules of aggregation over HTTP and sockets, through two web processes and the workers.

The decisions are tables in tests/unit/domain; tests/integration/persistence has what depends on SQL.
"""

from collections.abc import Iterator
from datetime import datetime

import pytest
from sqlalchemy import text

from harness.fixtures import make_admin
from harness.waiting import wait_until
from tests.support.cluster import WebCluster
from tests.support.http_client import BrowserTab, HttpClient
from tests.support.scenario import WorkerScenario

pytestmark = pytest.mark.service
WINDOW_SETTINGS = {"AGGREGATION_WINDOW_SECONDS": "3.0", "AGGREGATION_JITTER_SECONDS": "0.5"}
"""Long enough that eight requests on a busy machine fall into one window."""
POST_COUNT = 300


@pytest.fixture(scope="module", autouse=True)
def longer_windows(module_scenario: WorkerScenario) -> Iterator[None]:
    module_scenario.processes.restart("aggregator", **WINDOW_SETTINGS)
    yield
    module_scenario.processes.restart("aggregator")


@pytest.fixture
def two_minute_windows(scenario: WorkerScenario) -> Iterator[None]:
    windows = {"AGGREGATION_WINDOW_SECONDS": "120", "AGGREGATION_JITTER_SECONDS": "30"}
    scenario.processes.restart("aggregator", **windows)
    yield
    scenario.processes.restart("aggregator", **WINDOW_SETTINGS)


def filter_by_type(rows: list[dict[str, object]], notification_type: str) -> list[dict[str, object]]:
    return [row for row in rows if row["type"] == notification_type]


def wait_for_toasts(cluster: WebCluster, tab: BrowserTab, count: int) -> None:
    cluster.wait_until(lambda: len(tab.toast_messages) >= count, f"{count} toasts, not {tab.toast_messages}")


def test_rule_1_group_is_one_row_until_read_or_too_old(cluster: WebCluster) -> None:
    alice, ann, ben, cem, dan = cluster.register_clients("Alice", "Ann", "Ben", "Cem", "Dan")
    tab, post = alice.open_tab(), alice.create_post()
    ann.like(post)
    ben.like(post)
    wait_for_toasts(cluster, tab, 2)
    [row] = alice.list_notifications()
    assert (row["generation"], row["version"], row["aggregatedCount"]) == (1, 2, 2)

    alice.request_ok("PATCH", f"/api/notifications/{row['id']}/read")
    cem.like(post)
    wait_for_toasts(cluster, tab, 3)
    assert [(row["generation"], row["aggregatedCount"]) for row in alice.list_notifications()] == [
        (2, 1),
        (1, 2),
    ]
    assert alice.unread_count == 1

    with cluster.scenario.engine.begin() as conn:  # the group becomes too old
        conn.execute(text("update notifications set created_at = created_at - interval '13 hours'"))
    dan.like(post)
    wait_for_toasts(cluster, tab, 4)
    assert [row["generation"] for row in alice.list_notifications()] == [3, 2, 1]
    cluster.wait_until(lambda: tab.unread_counts[-1][1] == 2, "an unread count of 2")


def test_rule_2_first_three_likes_are_announced_at_once_and_the_rest_together(
    cluster: WebCluster,
) -> None:
    alice, *users = cluster.register_clients("Alice", "Ann", "Ben", "Cem", "Dan", "Eve", "Fay", "Gus", "Hana")
    tabs = [client.open_tab() for client in cluster.client_per_process(alice)]
    post = alice.create_post()
    for user in users:
        user.like(post)
    # The count is 8 at each process, for the owner and for others.
    for client in (*cluster.client_per_process(alice), *cluster.client_per_process(users[0])):
        assert client.request_ok("GET", f"/api/posts/{post}")["post"]["likesCount"] == 8
        [listed] = client.request_ok("GET", f"/api/posts?userId={alice.id}")["posts"]
        assert (listed["likesCount"], listed["_count"]["likes"]) == (8, 8)

    for tab in tabs:
        wait_for_toasts(cluster, tab, 4)
        assert tab.toast_messages == [
            "Ann liked your post",
            "Ben liked your post",
            "Cem liked your post",
            "Hana and 7 others liked your post",
        ]
        last = tab.data_of("notification")[-1]
        assert (last["metadata"]["newCount"], last["metadata"]["aggregatedCount"]) == (5, 8)
        assert [event["metadata"]["newCount"] for event in tab.data_of("notification")[:3]] == [1] * 3
    [row] = alice.list_notifications()
    assert (row["message"], row["aggregatedCount"]) == ("Hana and 7 others liked your post", 8)
    assert len(row["actors"]) == 8
    assert (row["id"], row["version"]) == (last["id"], last["version"])


def test_rule_3_comments_wait_for_the_window_and_are_readable_at_once(cluster: WebCluster) -> None:
    alice, ann, ben = cluster.register_clients("Alice", "Ann", "Ben")
    tab, post, other_post = alice.open_tab(), alice.create_post(), alice.create_post("Another")
    ann.comment(post, "Nice one")
    for actor in (ann, ben):
        actor.comment(other_post, "Me too")
    for reader in cluster.client_per_process(ben):
        assert [
            comment["content"]
            for comment in reader.request_ok("GET", f"/api/comments?postId={post}")["comments"]
        ] == ["Nice one"]
    assert tab.toast_messages == []

    wait_for_toasts(cluster, tab, 2)
    assert sorted(tab.toast_messages) == [
        'Ann commented: "Nice one"',
        "Ben and 1 other commented on your post",
    ]


def test_rule_4_follows_post_alerts_and_mentions_are_announced_at_once(cluster: WebCluster) -> None:
    alice, ann, ben = cluster.register_clients("Alice", "Ann", "Ben")
    tab, tab_of_ben = alice.open_tab(), ben.open_tab()
    ann.follow(alice)
    ben.follow(alice)
    ben.request_ok("PUT", f"/api/follows/{alice.id}/bell")
    wait_for_toasts(cluster, tab, 2)
    assert sorted(tab.toast_messages) == [
        "Ann started following you",
        "Ben started following you",
    ]
    [row] = alice.list_notifications()
    assert (row["type"], row["message"]) == ("FOLLOW", "Ben and 1 other started following you")

    tab_of_ann = ann.open_tab()
    alice.create_post(f"Look, @{ann.username}")
    wait_for_toasts(cluster, tab_of_ben, 1)
    wait_for_toasts(cluster, tab_of_ann, 1)
    assert tab_of_ben.toast_messages == [f"Alice posted: Look, @{ann.username}"]
    assert tab_of_ann.toast_messages == [f'Alice mentioned you: "Look, @{ann.username}"']


def test_rule_5_critical_events_bypass_preferences_and_grouping(cluster: WebCluster) -> None:
    (alice,) = cluster.register_clients("Alice")
    preferences = {
        "pushEnabled": False,
        "dndEnabled": True,
        "dndStartTime": "00:00",
        "dndEndTime": "23:59",
        "matrix": {"OTP": {"push": False, "email": False, "sms": False}},
    }
    alice.request_ok("PATCH", f"/api/preferences/{alice.id}", preferences)
    tab = alice.open_tab()
    for _ in range(2):
        alice.request_ok("POST", "/api/auth/otp/request", {})
    wait_for_toasts(cluster, tab, 2)
    codes = tab.data_of("notification")
    assert [(code["type"], code["priority"]) for code in codes] == [("OTP", "CRITICAL")] * 2
    assert all(code["metadata"]["channels"] == ["PUSH", "EMAIL", "SMS"] for code in codes)
    assert codes[0]["id"] != codes[1]["id"]
    assert alice.unread_count == 2


def test_rule_6_follower_raises_the_priority_and_is_named_first(cluster: WebCluster) -> None:
    alice, ann, ben, cem = cluster.register_clients("Alice", "Ann", "Ben", "Cem")
    tab, post = alice.open_tab(), alice.create_post()
    ben.like(post)
    wait_for_toasts(cluster, tab, 1)
    assert tab.data_of("notification")[0]["priority"] == "LOW"

    ann.follow(alice)
    wait_for_toasts(cluster, tab, 2)
    ann.like(post)
    wait_for_toasts(cluster, tab, 3)
    cem.like(post)
    wait_for_toasts(cluster, tab, 4)
    assert [event["priority"] for event in filter_by_type(tab.data_of("notification"), "FOLLOW")] == ["HIGH"]
    [row] = filter_by_type(alice.list_notifications(), "LIKE")
    assert (row["priority"], row["message"]) == ("HIGH", "Ann and 2 others liked your post")

    with cluster.scenario.engine.begin() as conn:
        conn.execute(text("update users set is_verified = true where id = :id"), {"id": ben.id})
    fred = cluster.register_clients("Fred")[0]
    tab_of_fred = fred.open_tab()
    ben.follow(fred)
    wait_for_toasts(cluster, tab_of_fred, 1)
    assert tab_of_fred.data_of("notification")[0]["metadata"]["isVerified"] is True


def test_rule_7_retraction_removes_the_actor_from_row_count_and_text(cluster: WebCluster) -> None:
    alice, ann, ben = cluster.register_clients("Alice", "Ann", "Ben")
    tab, post = alice.open_tab(), alice.create_post()
    alice.like(post)
    ann.like(post)
    wait_for_toasts(cluster, tab, 1)
    ben.like(post)
    wait_for_toasts(cluster, tab, 2)
    ben.unlike(post)
    wait_until(lambda: tab.data_of("notification_updated"), "the correction", 90)
    assert tab.data_of("notification_updated")[-1]["message"] == "Ann liked your post"
    assert [row["message"] for row in alice.list_notifications()] == ["Ann liked your post"]

    ann.unlike(post)
    wait_until(lambda: tab.data_of("notification_removed"), "the removal of the row", 90)
    wait_until(lambda: tab.unread_counts[-1][1] == 0, "an unread count of 0", 90)
    assert (alice.list_notifications(), alice.unread_count) == ([], 0)

    ann.like(post)  # an actor who returns is not announced again
    wait_until(lambda: alice.unread_count == 1, "the row again", 90)
    comment_id = ben.comment(post, "Never mind")
    ben.request_ok("DELETE", f"/api/comments/{comment_id}")
    ben.follow(alice)
    wait_for_toasts(cluster, tab, 3)
    assert tab.toast_messages[2:] == ["Ben started following you"]


def test_rule_8_quiet_hours_defer_announcements_and_preferences_filter(cluster: WebCluster) -> None:
    alice, ann, ben = cluster.register_clients("Alice", "Ann", "Ben")
    path = f"/api/preferences/{alice.id}"
    disabled = {"push": False, "email": False, "sms": False}
    preferences = {"dndEnabled": True, "dndStartTime": "00:00", "dndEndTime": "23:59"}
    alice.request_ok("PATCH", path, preferences | {"matrix": {"FOLLOW": disabled}})
    tab, post = alice.open_tab(), alice.create_post()
    ann.like(post)
    ben.follow(alice)
    wait_until(lambda: alice.unread_count == 1, "an unread count of 1", 90)
    cluster.scenario.wait_until_idle()
    assert [row["type"] for row in alice.list_notifications()] == ["LIKE"]
    assert tab.toast_messages == []

    alice.request_ok("PATCH", path, {"dndEnabled": False})
    wait_for_toasts(cluster, tab, 1)
    assert tab.toast_messages == ["Ann liked your post"]
    assert alice.unread_count == 1


def test_rule_9_window_ends_are_spread_over_the_jitter_band(
    cluster: WebCluster, two_minute_windows: None
) -> None:
    """300 posts over HTTP; tests/unit/domain uses 5,000."""
    alice, ann, admin = cluster.register_clients("Alice", "Ann", "Ada")
    make_admin(cluster.scenario.engine, admin.id)
    posts = [alice.create_post(f"Post {number}") for number in range(POST_COUNT)]
    first_comment_at = datetime.now().timestamp()
    for post in posts:
        ann.comment(post, "Nice")
    last_comment_at = datetime.now().timestamp()
    wait_until(lambda: len(list_windows(admin, alice)) == POST_COUNT, "all windows to open", 60)

    due_times = sorted(
        datetime.fromisoformat(str(window["dueAt"])).timestamp() for window in list_windows(admin, alice)
    )
    assert due_times[0] - first_comment_at >= 90
    assert due_times[-1] - last_comment_at <= 150 + 30  # an event may wait before its window opens
    filled_slots = {int((due_at - due_times[0]) // 6) for due_at in due_times}
    assert set(range(10)) <= filled_slots

    assert admin.request_ok("POST", "/api/admin/windows/flush")["flushed"] >= POST_COUNT
    wait_until(lambda: not list_windows(admin, alice), "all windows to close", 60)


def test_rule_10_text_counts_each_person_once_and_names_are_plain_text(cluster: WebCluster) -> None:
    alice, ann, ben, dan, eve, fay = cluster.register_clients(
        "Alice", "Ann", "<b>Ben</b>", "Dan", "Eve", "Fay"
    )
    tab, post, other_post = alice.open_tab(), alice.create_post(), alice.create_post("Another")
    for actor in (ann, ann, ben):
        actor.comment(post, "Nice")
    for actor in (ann, dan, eve, fay, ben):
        actor.comment(other_post, "Nice")
    wait_for_toasts(cluster, tab, 2)
    assert sorted(tab.toast_messages) == [
        "<b>Ben</b> and 1 other commented on your post",
        "<b>Ben</b> and 4 others commented on your post",
    ]


def list_windows(admin: HttpClient, recipient: HttpClient) -> list[dict[str, object]]:
    """All open windows of one recipient."""
    windows: list[dict[str, object]] = []
    cursor = ""
    while True:
        page = admin.request_ok("GET", f"/api/admin/windows?limit=100{cursor}")
        windows += [window for window in page["items"] if window["recipient"] == recipient.id]
        if page["nextCursor"] is None:
            return windows
        cursor = f"&cursor={page['nextCursor']}"
