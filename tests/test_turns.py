"""Turns: what a socket hears while it joins, and what it must not hear again."""

from typing import Any

import pytest

from app.turns import MOST_WAITING, Overdue, Turns

ROOM, SID = "user:alice", "one"


def frame(seq: int) -> tuple[str, dict[str, Any]]:
    return "notification", {"seq": seq}


def badge(version: int) -> tuple[str, dict[str, Any]]:
    return "unread_count", {"count": version * 10, "version": version}


def joining() -> Turns:
    turns = Turns()
    turns.hold(ROOM, SID)
    return turns


def test_what_comes_while_a_socket_joins_waits_and_follows_in_order() -> None:
    turns = joining()
    for one in (frame(3), badge(2), frame(4)):
        assert turns.passed_over(ROOM, *one) == [SID]
    assert list(turns.release(ROOM, SID, told=3, badge=(1, 10))) == [badge(1), badge(2), frame(4)]


def test_what_stood_in_missed_is_not_heard_again_from_kafka() -> None:
    turns = joining()
    list(turns.release(ROOM, SID, told=3))
    assert turns.passed_over(ROOM, *frame(3)) == [SID]
    assert turns.passed_over(ROOM, *frame(4)) == []


def test_whoever_starts_afresh_hears_everything() -> None:
    turns = joining()
    list(turns.release(ROOM, SID))
    assert turns.passed_over(ROOM, *frame(1)) == []


def test_a_badge_never_goes_back() -> None:
    turns = joining()
    assert list(turns.release(ROOM, SID, badge=(5, 50))) == [badge(5)]
    assert turns.passed_over(ROOM, *badge(4)) == [SID]
    assert turns.passed_over(ROOM, *badge(6)) == []
    assert turns.passed_over(ROOM, *badge(5)) == [SID]


def test_a_second_answer_changes_nothing_that_was_said() -> None:
    turns = joining()
    list(turns.release(ROOM, SID, told=3, badge=(5, 50)))
    assert list(turns.release(ROOM, SID, told=1, badge=(4, 40))) == []
    turns.hold(ROOM, SID)
    assert list(turns.release(ROOM, SID, told=1, badge=(4, 40))) == []
    assert turns.passed_over(ROOM, *frame(3)) == [SID]


def test_others_in_the_room_hear_at_once() -> None:
    turns = joining()
    assert turns.passed_over("user:ben", *frame(1)) == []
    turns.hold(ROOM, "two")
    list(turns.release(ROOM, "two"))
    assert turns.passed_over(ROOM, *frame(1)) == [SID]


def test_more_than_is_kept_ends_the_wait() -> None:
    turns = joining()
    for seq in range(1, MOST_WAITING + 10):
        turns.passed_over(ROOM, *frame(seq))
    with pytest.raises(Overdue):
        list(turns.release(ROOM, SID))


def test_who_is_gone_is_forgotten() -> None:
    turns = joining()
    turns.forget(ROOM, SID)
    assert turns.passed_over(ROOM, *frame(1)) == []
    assert list(turns.release(ROOM, SID)) == []
    assert turns == Turns()


def test_a_frame_that_comes_by_two_ways_is_heard_once() -> None:
    """However far apart they are: under load the copy may be hundreds of frames late."""
    turns = joining()
    list(turns.release(ROOM, SID, told=3))
    for seq in range(4, 4 + 3 * MOST_WAITING):
        assert turns.passed_over(ROOM, *frame(seq)) == []
    for seq in range(4, 4 + 3 * MOST_WAITING):
        assert turns.passed_over(ROOM, *frame(seq)) == [SID]


def test_a_frame_that_was_overtaken_is_heard_all_the_same() -> None:
    turns = joining()
    list(turns.release(ROOM, SID, told=3))
    heard = [seq for seq in (6, 5, 6, 4, 5, 7) if not turns.passed_over(ROOM, *frame(seq))]
    assert heard == [6, 5, 4, 7]
