"""Sockets under load: no event is missed or doubled, and all tabs and REST agree."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from harness.waiting import wait_until
from tests.support.cluster import WebCluster
from tests.support.fixtures import new_id
from tests.support.http_client import BrowserTab, HttpClient

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.time_limit]
RECONNECT_COUNT, STEP_COUNT = 40, 150


@contextmanager
def background_load(actions: list[Callable[[random.Random], object]]) -> Iterator[None]:
    """Repeats each action in a thread of its own until the block ends."""
    stopped, errors = threading.Event(), []

    def repeat(action: Callable[[random.Random], object]) -> None:
        rng = random.Random(id(action))
        try:
            while not stopped.is_set():
                action(rng)
                stopped.wait(0.01)
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=repeat, args=(action,), daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join(30)
    assert not errors, errors


def test_client_that_reconnects_many_times_has_every_event_once(cluster: WebCluster) -> None:
    alice, *users = cluster.register_clients("Alice", "Ann", "Ben", "Cem", "Dan")
    posts = [alice.create_post(f"Post {number}") for number in range(12)]

    def random_like(user: HttpClient) -> Callable[[random.Random], object]:
        return lambda rng: rng.choice([user.like, user.like, user.unlike])(rng.choice(posts))

    rng, tab = random.Random(7), alice.open_tab()
    recovered = []
    with background_load([random_like(user) for user in users]):
        wait_until(lambda: tab.client_seqs, "the first event", 90)
        for _ in range(RECONNECT_COUNT):
            threading.Event().wait(rng.uniform(0, 0.2))
            tab.disconnect()
            tab.base_url = rng.choice(cluster.web_processes).base_url
            tab.sends_token_at_handshake = rng.random() < 0.5
            if rng.random() < 0.2:  # disconnects before it has joined
                tab.join(wait_for_response=False)
                tab.disconnect()
            joined = tab.join()
            assert joined is not None
            recovered.append(joined["recovered"])
    cluster.scenario.wait_until_idle()
    joined = tab.join()
    assert joined is not None

    assert all(recovered)
    assert joined["seq"] > RECONNECT_COUNT, "too little load"
    assert tab.client_seqs == list(range(1, joined["seq"] + 1))
    announced = cluster.scenario.query(
        "select client_seq, client_event, payload->>'id', (payload->>'version')::int from outbox "
        "where user_id = :user and client_seq is not null order by client_seq",
        user=alice.id,
    )
    received = [
        (data["seq"], event, data["id"], data["version"])
        for event, data in tab.received_events
        if event.startswith("notification")
    ]
    assert received == announced
    versions = [version for version, _ in tab.unread_counts]
    assert versions == sorted(versions)
    tab.disconnect()


def test_join_with_unknown_resume_point_starts_fresh(cluster: WebCluster) -> None:
    alice, ann = cluster.register_clients("Alice", "Ann")
    ann.follow(alice)
    tab = alice.open_tab()
    wait_until(lambda: alice.unread_count == 1, "a row", 90)
    epoch = tab.joined_responses[0]["epoch"]
    for since in ({"epoch": new_id(), "seq": 0}, {"epoch": epoch, "seq": 10_000}, "nonsense", None):
        tab.disconnect()
        joined = tab.join(since=since)
        assert joined is not None
        assert (joined["missed"], joined["recovered"]) == ([], False), since
        assert (joined["userId"], joined["seq"]) == (alice.id, 1), since
    tab.disconnect()


def has_unread_count(tab: BrowserTab, version_and_count: tuple[int, int]) -> bool:
    return tab.unread_counts[-1] == version_and_count


class UnreadCountModel:
    """The rows that exist and the unread ones, computed from the events of one tab."""

    def __init__(self, tab: BrowserTab) -> None:
        rows: dict[str, dict[str, Any]] = {}
        for event, data in tab.received_events:
            if event == "notification_removed":
                rows.pop(data["id"], None)
            elif event.startswith("notification"):
                assert data["version"] > rows.get(data["id"], {"version": 0})["version"]
                rows[data["id"]] = data
        self.unread_ids = {row_id for row_id, row in rows.items() if not row["isRead"]}
        self.row_ids = set(rows)


def test_four_sockets_and_rest_agree_on_the_unread_count_after_random_steps(
    cluster: WebCluster,
) -> None:
    alice, *users = cluster.register_clients("Alice", "Ann", "Ben", "Cem", "Dan", "Eve")
    posts = [alice.create_post(f"Post {number}") for number in range(8)]
    clients = cluster.client_per_process(alice)
    tabs = [client.open_tab() for client in clients * 2]
    rng = random.Random(11)
    seen_versions = [0]

    def like_or_unlike() -> None:
        user, post = rng.choice(users), rng.choice(posts)
        rng.choice([user.like, user.like, user.unlike])(post)

    def change_one(action: str) -> None:
        rows = rng.choice(clients).list_notifications()
        if rows:
            row = rng.choice(rows)["id"]
            path = f"/api/notifications/{row}" + ("" if action == "DELETE" else f"/{action}")
            response = rng.choice(clients).request("DELETE" if action == "DELETE" else "PATCH", path)
            # The row is removed when its last actor is.
            assert response.status in (200, 404), response

    def change_all(action: str) -> None:
        rows = rng.choice(clients).list_notifications()
        up_to = rng.choice([row["seq"] for row in rows]) if rows else 0
        body = {"upTo": up_to} if rng.random() < 0.7 else {}
        rng.choice(clients).request_ok("PATCH", f"/api/notifications/{alice.id}/{action}", body)

    def check_unread_count() -> None:
        body = rng.choice(clients).request_ok("GET", f"/api/notifications/{alice.id}/unread-count")
        assert body["version"] >= seen_versions[-1], "the version decreased"
        seen_versions.append(body["version"])
        assert body["count"] == sum(body["breakdown"].values())

    steps: list[Callable[[], object]] = [
        *[like_or_unlike] * 8,
        check_unread_count,
        lambda: change_one("read"),
        lambda: change_one("unread"),
        lambda: change_one("archive"),
        lambda: change_one("DELETE"),
        lambda: change_all("seen"),
        lambda: change_all("read-all"),
    ]
    for _ in range(STEP_COUNT):
        rng.choice(steps)()
    users[0].follow(alice)  # so that at least one row is unread
    cluster.scenario.wait_until_idle()

    final_counts = [
        client.request_ok("GET", f"/api/notifications/{alice.id}/unread-count") for client in clients
    ]
    assert final_counts[0] == final_counts[1]
    count, version = final_counts[0]["count"], final_counts[0]["version"]
    assert count >= 1
    for tab in tabs:
        wait_until(
            partial(has_unread_count, tab, (version, count)),
            f"{version}: {count}",
            90,
        )
        versions = [badge_version for badge_version, _ in tab.unread_counts]
        assert versions == sorted(set(versions)), "a version decreased or was repeated"
        assert tab.client_seqs == list(range(1, len(tab.client_seqs) + 1))
        model = UnreadCountModel(tab)
        assert len(model.unread_ids) == count
        assert model.row_ids == {row["id"] for row in alice.list_notifications()}
        assert model.unread_ids == {row["id"] for row in alice.list_notifications(unreadOnly="true")}
        tab.disconnect()
