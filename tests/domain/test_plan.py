"""The plan of a group: who is in it, and what is told about it."""

import pytest

from app.domain.events import Kind
from app.domain.ledger import (
    Doing,
    Generation,
    Group,
    GroupKey,
    Ring,
    Terms,
    group_by_key,
    plan_notice,
)
from tests.domain.house import MAX_AGE, START, GroupUnderTest, joins, leaves, three_instants, waits

A, B, C, D, E = "Ann", "Ben", "Cem", "Dan", "Eva"


def test_the_first_three_are_told_each_with_the_size_of_the_group() -> None:
    assert three_instants().lines == [
        "row 1 v1 rings for Ann: 1 new of 1",
        "row 1 v2 rings for Ben: 1 new of 2",
        "row 1 v3 rings for Cem: 1 new of 3",
    ]


def test_three_in_one_transaction_are_told_as_in_three() -> None:
    group = GroupUnderTest()

    group.takes(joins(A, 1), joins(B, 2), joins(C, 3))

    assert group.lines == three_instants().lines


def test_a_close_tells_those_not_told_before_in_one_line_about_all() -> None:
    group = three_instants()

    group.takes(waits(D, 4), waits(E, 5))

    assert group.lines[3:] == ["row 1 v4 rings: 2 new of 5"]


def test_a_close_without_news_tells_nothing() -> None:
    group = three_instants()

    group.closes()

    assert len(group.told) == 3


def test_what_was_written_early_is_told_at_the_close() -> None:
    group = GroupUnderTest()
    group.takes(joins(A, 1, Ring.LATER), joins(B, 2, Ring.LATER))

    silent = list(group.told)
    closing = group.closes()

    assert silent == []
    assert group.lines == ["row 1 v1 rings: 2 new of 2"]
    assert closing.settles_debts == ["row 1"]


def test_the_close_covers_what_was_written_early_and_what_came_since() -> None:
    group = three_instants()
    group.takes(joins(D, 4, Ring.LATER))

    group.takes(waits(E, 5))

    assert group.lines[-1] == "row 1 v5 rings: 2 new of 5"


def test_like_unlike_like_rings_once() -> None:
    group = GroupUnderTest()

    group.takes(joins(A, 1))
    group.takes(leaves(A, 2))
    group.takes(joins(A, 3))

    assert group.lines == [
        "row 1 v1 rings for Ann: 1 new of 1",
        "row 1 v2 goes: 0 new of 0",
        "row 1 v3 reads: 0 new of 1",
    ]


def test_a_retraction_before_the_close_is_never_mentioned() -> None:
    group = three_instants()

    group.takes(waits(D, 4), waits(E, 5), leaves(E, 6, Ring.AT_CLOSE))

    assert group.lines[-1] == "row 1 v4 rings: 1 new of 4"


def test_a_retraction_of_all_before_the_close_tells_nothing() -> None:
    group = GroupUnderTest()

    group.takes(waits(A, 1), leaves(A, 2, Ring.AT_CLOSE))

    assert group.told == []


def test_a_retraction_after_the_close_corrects_the_row_in_silence() -> None:
    group = three_instants()
    group.takes(waits(D, 4), waits(E, 5))

    group.takes(leaves(E, 6))

    assert group.lines[-1] == "row 1 v5 reads: 0 new of 4"


def test_a_retraction_of_one_that_waits_to_be_told_takes_it_out_of_the_line() -> None:
    group = GroupUnderTest()
    group.takes(joins(A, 1, Ring.LATER), joins(B, 2, Ring.LATER))
    group.takes(leaves(B, 3))

    group.closes()

    assert group.lines == ["row 1 v1 rings: 1 new of 1"]


def test_a_retraction_of_someone_unknown_is_nothing() -> None:
    group = GroupUnderTest()

    made = group.takes(leaves(A, 1))

    assert (made.told, made.touched, made.changed) == ([], [], {})


@pytest.mark.parametrize("kind", [Kind.LIKE, Kind.POST_SHARE, Kind.MENTION])
@pytest.mark.parametrize("again", [joins(A, 1), joins(C, 3), leaves(A, 0), joins(B, 1)])
def test_a_repeat_or_a_late_copy_changes_nothing(again: Doing, kind: Kind) -> None:
    group = three_instants(kind)
    before = repr(group.group)

    made = group.takes(again)

    assert (made.told, made.touched, made.changed) == ([], [], {})
    assert repr(group.group) == before


def test_an_instant_line_carries_the_text_and_the_event_of_its_actor() -> None:
    group = GroupUnderTest(Kind.MENTION)

    [told] = group.takes(joins(A, 7, text="hi @ann")).told

    assert (told.text, told.event_id) == ("hi @ann", "event 7")


def test_a_notice_is_told_once_however_often_it_comes() -> None:
    group = Group(GroupKey("recipient", Kind.OTP, "event"))
    terms = Terms(START, MAX_AGE, "row 1")

    first, second = (plan_notice(group, "event", terms) for _ in range(2))

    assert [told.version for told in first.told] == [1]
    assert (second.told, second.changed) == ([], {})


def test_groups_are_locked_in_one_order() -> None:
    keys = [
        GroupKey("b", Kind.LIKE, "1"),
        GroupKey("a", Kind.LIKE, "2"),
        GroupKey("a", Kind.LIKE, "1"),
        GroupKey("a", Kind.COMMENT, "3"),
    ]

    assert group_by_key({key: [] for key in keys}) == [keys[3], keys[2], keys[1], keys[0]]


def test_a_row_that_was_never_told_gets_no_correction() -> None:
    """Version 0 is nobody's to see: its window is still open."""
    group = GroupUnderTest()
    group.takes(joins(A, 1, Ring.LATER))

    group.takes(leaves(A, 2))

    assert group.told == []
    assert group.group.generations["row 1"] == Generation(
        "row 1", 1, START, version=0, actors=0, owed=0, is_new=True
    )
