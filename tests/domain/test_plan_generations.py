"""The plan of a group over its generations: read, too old, emptied; and comments."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.domain.events import Kind
from app.domain.ledger import Doing
from tests.domain.house import MAX_AGE, START, GroupUnderTest, joins, leaves, three_instants, waits

A, B, C, D = "Ann", "Ben", "Cem", "Dan"


def test_after_it_was_read_the_next_actor_opens_a_new_row() -> None:
    group = three_instants()
    group.is_read()

    group.takes(joins(D, 4))

    assert group.lines[-1] == "row 4 v1 rings for Dan: 1 new of 1"
    assert group.group.generations["row 4"].number == 2


@pytest.mark.parametrize(
    ("age", "row"),
    [
        pytest.param(MAX_AGE - timedelta(seconds=1), "row 1", id="young enough"),
        pytest.param(MAX_AGE, "row 4", id="too old"),
    ],
)
def test_an_old_row_takes_no_more_actors(age: timedelta, row: str) -> None:
    group = three_instants()
    group.now = START + age

    group.takes(joins(D, 4))

    assert group.told[-1].generation_id == row


def test_who_leaves_after_it_was_read_leaves_the_row_they_are_in() -> None:
    group = three_instants()
    group.is_read()
    group.takes(joins(D, 4))

    group.takes(leaves(A, 5))

    assert group.lines[-1] == "row 1 v4 reads: 0 new of 2"


def test_who_comes_back_to_a_row_that_was_read_rings_nothing() -> None:
    group = three_instants()
    group.is_read()
    group.takes(leaves(A, 4))

    group.takes(joins(A, 5))

    assert group.lines[-1] == "row 1 v5 reads: 0 new of 3"


def test_an_empty_group_goes_and_comes_back_with_the_next_actor() -> None:
    group = GroupUnderTest()
    group.takes(joins(A, 1))
    group.takes(leaves(A, 2))

    group.takes(joins(B, 3))

    assert group.lines[1:] == [
        "row 1 v2 goes: 0 new of 0",
        "row 1 v3 rings for Ben: 1 new of 1",
    ]


def test_one_comes_and_one_goes_in_one_transaction() -> None:
    group = three_instants()

    group.takes(leaves(A, 4), joins(D, 5))

    assert group.lines[3:] == ["row 1 v4 rings for Dan: 1 new of 3"]


def test_a_second_comment_by_the_same_person_adds_no_actor() -> None:
    group = GroupUnderTest(Kind.COMMENT)
    group.takes(waits(A, 1, "first"))

    group.takes(waits(A, 2, "second"))

    assert group.lines == ["row 1 v1 rings: 1 new of 1", "row 1 v2 reads: 0 new of 1"]


def test_the_row_quotes_the_newest_comment() -> None:
    group = GroupUnderTest(Kind.COMMENT)

    made = group.takes(waits(A, 2, "second"), waits(A, 1, "first"))

    assert made.texts == {"row 1": "second"}


def test_a_comment_after_the_row_was_read_opens_a_new_one_even_by_the_same_person() -> None:
    group = GroupUnderTest(Kind.COMMENT)
    group.takes(waits(A, 1, "first"))
    group.is_read()

    group.takes(waits(A, 2, "second"))

    assert group.lines[-1] == "row 2 v1 rings: 1 new of 1"


def withdraws(actor: str, seq: int, *remaining: int) -> Doing:
    """Deletes a comment; `remaining`: the seqs of those of theirs that stand."""
    return replace(leaves(actor, seq), remaining=remaining)


def commented(*doings: Doing) -> GroupUnderTest:
    group = GroupUnderTest(Kind.COMMENT)
    group.takes(*doings)
    return group


def test_who_deletes_one_of_two_comments_stays_and_is_no_longer_quoted_with_it() -> None:
    group = commented(waits(A, 1, "first"), waits(A, 2, "second"))

    group.takes(withdraws(A, 3, 1))

    assert group.lines == ["row 1 v1 rings: 1 new of 1", "row 1 v2 reads: 0 new of 1"]
    assert group.active == {A}


@pytest.mark.parametrize(
    ("remaining", "told"),
    [
        pytest.param((1,), ["row 1 v2 reads: 0 new of 1", "row 2 v2 goes: 0 new of 0"], id="first"),
        pytest.param((2,), ["row 1 v2 goes: 0 new of 0", "row 2 v2 reads: 0 new of 1"], id="last"),
    ],
)
def test_who_deletes_one_of_two_comments_leaves_the_row_it_was_told_in(
    remaining: tuple[int, ...], told: list[str]
) -> None:
    group = commented(waits(A, 1))
    group.is_read()
    group.takes(waits(A, 2))

    group.takes(withdraws(A, 3, *remaining))

    assert group.lines[2:] == told


def test_among_others_a_deleted_comment_of_two_changes_nothing_that_is_told() -> None:
    group = commented(waits(A, 1), waits(A, 2), waits(B, 3))

    group.takes(withdraws(A, 4, 1))

    assert group.lines == ["row 1 v1 rings: 2 new of 2"]


def test_who_deletes_their_last_comment_leaves_every_row() -> None:
    group = commented(waits(A, 1), waits(B, 2))
    group.is_read()
    group.takes(waits(A, 3))

    group.takes(withdraws(A, 4))

    assert group.lines[2:] == ["row 1 v2 reads: 0 new of 1", "row 2 v2 goes: 0 new of 0"]
