"""Cursor of each socket: buffering during a join, and no client event twice."""

from typing import Any

import pytest

from app.delivery.socket_cursor import MAX_BUFFERED_EVENTS, JoinBufferOverflow, SocketCursors

ROOM, SID = "user:alice", "socket-1"


def client_event(seq: int) -> tuple[str, dict[str, Any]]:
    return "notification", {"seq": seq}


def badge(version: int) -> tuple[str, dict[str, Any]]:
    return "unread_count", {"count": version * 10, "version": version}


def join() -> SocketCursors:
    cursors = SocketCursors()
    cursors.start_buffering(ROOM, SID)
    return cursors


def test_events_during_join_are_buffered_and_sent_in_order() -> None:
    cursors = join()
    for event in (client_event(3), badge(2), client_event(4)):
        assert cursors.track_emit_and_list_skipped_sids(ROOM, *event) == [SID]
    assert list(cursors.stop_buffering_and_iter_undelivered(ROOM, SID, last_client_seq=3, badge=(1, 10))) == [
        badge(1),
        badge(2),
        client_event(4),
    ]


def test_event_already_in_missed_is_not_sent_again_from_kafka() -> None:
    cursors = join()
    list(cursors.stop_buffering_and_iter_undelivered(ROOM, SID, last_client_seq=3))
    assert cursors.track_emit_and_list_skipped_sids(ROOM, *client_event(3)) == [SID]
    assert cursors.track_emit_and_list_skipped_sids(ROOM, *client_event(4)) == []


def test_client_without_resume_point_gets_every_buffered_event() -> None:
    cursors = join()
    list(cursors.stop_buffering_and_iter_undelivered(ROOM, SID))
    assert cursors.track_emit_and_list_skipped_sids(ROOM, *client_event(1)) == []


def test_unread_count_with_older_version_is_dropped() -> None:
    cursors = join()
    assert list(cursors.stop_buffering_and_iter_undelivered(ROOM, SID, badge=(5, 50))) == [badge(5)]
    assert cursors.track_emit_and_list_skipped_sids(ROOM, *badge(4)) == [SID]
    assert cursors.track_emit_and_list_skipped_sids(ROOM, *badge(6)) == []
    assert cursors.track_emit_and_list_skipped_sids(ROOM, *badge(5)) == [SID]


def test_second_join_response_does_not_change_the_cursor() -> None:
    cursors = join()
    list(cursors.stop_buffering_and_iter_undelivered(ROOM, SID, last_client_seq=3, badge=(5, 50)))
    assert (
        list(cursors.stop_buffering_and_iter_undelivered(ROOM, SID, last_client_seq=1, badge=(4, 40))) == []
    )
    cursors.start_buffering(ROOM, SID)
    assert (
        list(cursors.stop_buffering_and_iter_undelivered(ROOM, SID, last_client_seq=1, badge=(4, 40))) == []
    )
    assert cursors.track_emit_and_list_skipped_sids(ROOM, *client_event(3)) == [SID]


def test_other_sockets_of_the_user_get_the_event_at_once() -> None:
    cursors = join()
    assert cursors.track_emit_and_list_skipped_sids("user:ben", *client_event(1)) == []
    cursors.start_buffering(ROOM, "socket-2")
    list(cursors.stop_buffering_and_iter_undelivered(ROOM, "socket-2"))
    assert cursors.track_emit_and_list_skipped_sids(ROOM, *client_event(1)) == [SID]


def test_full_join_buffer_raises_overflow() -> None:
    cursors = join()
    for seq in range(1, MAX_BUFFERED_EVENTS + 10):
        cursors.track_emit_and_list_skipped_sids(ROOM, *client_event(seq))
    with pytest.raises(JoinBufferOverflow):
        list(cursors.stop_buffering_and_iter_undelivered(ROOM, SID))


def test_disconnected_socket_is_forgotten() -> None:
    cursors = join()
    cursors.remove_socket(ROOM, SID)
    assert cursors.track_emit_and_list_skipped_sids(ROOM, *client_event(1)) == []
    assert list(cursors.stop_buffering_and_iter_undelivered(ROOM, SID)) == []
    assert cursors == SocketCursors()


def test_event_that_arrives_twice_is_sent_once() -> None:
    """However far apart they are: under load the copy may be hundreds of events late."""
    cursors = join()
    list(cursors.stop_buffering_and_iter_undelivered(ROOM, SID, last_client_seq=3))
    for seq in range(4, 4 + 3 * MAX_BUFFERED_EVENTS):
        assert cursors.track_emit_and_list_skipped_sids(ROOM, *client_event(seq)) == []
    for seq in range(4, 4 + 3 * MAX_BUFFERED_EVENTS):
        assert cursors.track_emit_and_list_skipped_sids(ROOM, *client_event(seq)) == [SID]


def test_event_overtaken_by_a_newer_one_is_still_sent() -> None:
    cursors = join()
    list(cursors.stop_buffering_and_iter_undelivered(ROOM, SID, last_client_seq=3))
    sent = [
        seq
        for seq in (6, 5, 6, 4, 5, 7)
        if not cursors.track_emit_and_list_skipped_sids(ROOM, *client_event(seq))
    ]
    assert sent == [6, 5, 4, 7]
