"""Tracker of the client events already emitted to each user on this process."""

import pytest

from app.delivery.delivered_tracker import MAX_REMEMBERED, DeliveredEventTracker

ANN = "ann"


@pytest.fixture
def delivered_tracker() -> DeliveredEventTracker:
    tracker = DeliveredEventTracker()
    tracker.start_tracking(ANN, 4)
    return tracker


def test_client_event_is_new_once(delivered_tracker: DeliveredEventTracker) -> None:
    assert [delivered_tracker.mark_delivered_if_new(ANN, "notification", {"seq": 5}) for _ in range(2)] == [
        True,
        False,
    ]
    assert delivered_tracker.was_delivered(ANN, 5)


def test_late_client_event_is_still_new(delivered_tracker: DeliveredEventTracker) -> None:
    delivered_tracker.mark_delivered_if_new(ANN, "notification", {"seq": 7})
    assert delivered_tracker.mark_delivered_if_new(ANN, "notification_updated", {"seq": 6})
    assert delivered_tracker.last_delivered_client_seq(ANN) == 7


def test_preview_and_numbered_event_are_each_new_once(delivered_tracker: DeliveredEventTracker) -> None:
    payloads = [{"id": "a"}, {"id": "a"}, {"id": "a", "seq": 5}, {"id": "b"}]
    assert [
        delivered_tracker.mark_delivered_if_new(ANN, "notification", payload) for payload in payloads
    ] == [
        True,
        False,
        True,
        True,
    ]


def test_older_unread_count_is_not_new(delivered_tracker: DeliveredEventTracker) -> None:
    versions = [3, 2, 3, 4]
    is_new = [
        delivered_tracker.mark_delivered_if_new(ANN, "unread_count", {"count": 1, "version": version})
        for version in versions
    ]
    assert is_new == [True, False, False, True]


def test_events_for_users_without_sockets_are_ignored(delivered_tracker: DeliveredEventTracker) -> None:
    delivered_tracker.stop_tracking(ANN)
    assert delivered_tracker.connected_user_ids() == []
    assert delivered_tracker.last_delivered_client_seq(ANN) is None
    assert delivered_tracker.mark_delivered_if_new(ANN, "notification", {"seq": 5})


def test_first_join_sets_the_base_seq(delivered_tracker: DeliveredEventTracker) -> None:
    delivered_tracker.start_tracking(ANN, 9)
    assert delivered_tracker.last_delivered_client_seq(ANN) == 4


def test_base_seq_is_set_later_after_a_join_without_history(
    delivered_tracker: DeliveredEventTracker,
) -> None:
    delivered_tracker.start_tracking("ben", None)
    assert delivered_tracker.last_delivered_client_seq("ben") is None
    delivered_tracker.start_tracking("ben", 2)
    assert delivered_tracker.last_delivered_client_seq("ben") == 2


def test_number_of_remembered_ids_is_limited(delivered_tracker: DeliveredEventTracker) -> None:
    for seq in range(5, 5 + 3 * MAX_REMEMBERED):
        delivered_tracker.mark_delivered_if_new(ANN, "notification", {"seq": seq})
    remembered = [
        seq for seq in range(5, 5 + 3 * MAX_REMEMBERED) if delivered_tracker.was_delivered(ANN, seq)
    ]
    assert remembered == list(range(5 + 2 * MAX_REMEMBERED, 5 + 3 * MAX_REMEMBERED))
