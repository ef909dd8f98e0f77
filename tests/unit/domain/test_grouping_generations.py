"""The plan of a group over several generations (read, too old, emptied), and of comments."""

from datetime import timedelta

import pytest

from app.domain.events import Kind
from app.domain.grouping import ActorChange, AnnounceWhen
from tests.support.grouping_harness import (
    MAX_GENERATION_AGE,
    START_TIME,
    GroupHarness,
    group_with_three_announced,
    join_change,
    leave_change,
    windowed_join_change,
)

A, B, C, D = "Ann", "Ben", "Cem", "Dan"


def test_actor_after_reading_opens_a_new_row() -> None:
    group = group_with_three_announced()
    group.mark_read()

    group.apply_changes(join_change(D, 4))

    assert group.announcement_lines[-1] == "row 4 v1 announced for Dan: 1 new of 1"
    assert group.group.generations["row 4"].generation_number == 2


@pytest.mark.parametrize(
    ("age", "generation_id"),
    [
        pytest.param(MAX_GENERATION_AGE - timedelta(seconds=1), "row 1", id="young enough"),
        pytest.param(MAX_GENERATION_AGE, "row 4", id="too old"),
    ],
)
def test_row_past_the_maximum_age_accepts_no_actor(age: timedelta, generation_id: str) -> None:
    group = group_with_three_announced()
    group.now = START_TIME + age

    group.apply_changes(join_change(D, 4))

    assert group.announcements[-1].generation_id == generation_id


def test_retraction_after_reading_removes_the_actor_from_their_row() -> None:
    group = group_with_three_announced()
    group.mark_read()
    group.apply_changes(join_change(D, 4))

    group.apply_changes(leave_change(A, 5))

    assert group.announcement_lines[-1] == "row 1 v4 updated: 0 new of 2"


def test_actor_returning_to_a_read_row_announces_nothing() -> None:
    group = group_with_three_announced()
    group.mark_read()
    group.apply_changes(leave_change(A, 4))

    group.apply_changes(join_change(A, 5))

    assert group.announcement_lines[-1] == "row 1 v5 updated: 0 new of 3"


def test_empty_group_is_removed_and_returns_with_the_next_actor() -> None:
    group = GroupHarness()
    group.apply_changes(join_change(A, 1))
    group.apply_changes(leave_change(A, 2))

    group.apply_changes(join_change(B, 3))

    assert group.announcement_lines[1:] == [
        "row 1 v2 removed: 0 new of 0",
        "row 1 v3 announced for Ben: 1 new of 1",
    ]


def test_join_and_leave_in_one_transaction() -> None:
    group = group_with_three_announced()

    group.apply_changes(leave_change(A, 4), join_change(D, 5))

    assert group.announcement_lines[3:] == ["row 1 v4 announced for Dan: 1 new of 3"]


def test_second_comment_of_an_actor_adds_no_actor() -> None:
    group = GroupHarness(Kind.COMMENT)
    group.apply_changes(windowed_join_change(A, 1, "first"))

    group.apply_changes(windowed_join_change(A, 2, "second"))

    assert group.announcement_lines == ["row 1 v1 announced: 1 new of 1", "row 1 v2 updated: 0 new of 1"]


def test_the_row_quotes_the_newest_comment() -> None:
    group = GroupHarness(Kind.COMMENT)

    group_plan = group.apply_changes(
        windowed_join_change(A, 2, "second"), windowed_join_change(A, 1, "first")
    )

    assert group_plan.text_by_generation == {"row 1": "second"}


def test_comment_after_reading_opens_a_new_row_even_by_the_same_actor() -> None:
    group = GroupHarness(Kind.COMMENT)
    group.apply_changes(windowed_join_change(A, 1, "first"))
    group.mark_read()

    group.apply_changes(windowed_join_change(A, 2, "second"))

    assert group.announcement_lines[-1] == "row 2 v1 announced: 1 new of 1"


def comment_deletion(actor: str, seq: int, *remaining_seqs: int) -> ActorChange:
    """A deleted comment; `remaining_seqs`: those of the actor's other comments."""
    return leave_change(actor, seq)._replace(remaining_comment_seqs=remaining_seqs)


def comment_group(*changes: ActorChange) -> GroupHarness:
    group = GroupHarness(Kind.COMMENT)
    group.apply_changes(*changes)
    return group


def test_deleting_one_of_two_comments_keeps_the_actor_and_drops_the_quote() -> None:
    group = comment_group(windowed_join_change(A, 1, "first"), windowed_join_change(A, 2, "second"))

    group.apply_changes(comment_deletion(A, 3, 1))

    assert group.announcement_lines == ["row 1 v1 announced: 1 new of 1", "row 1 v2 updated: 0 new of 1"]
    assert group.active_actor_ids == {A}


@pytest.mark.parametrize(
    ("remaining_seqs", "announcement_lines"),
    [
        pytest.param((1,), ["row 1 v2 updated: 0 new of 1", "row 2 v2 removed: 0 new of 0"], id="first"),
        pytest.param((2,), ["row 1 v2 removed: 0 new of 0", "row 2 v2 updated: 0 new of 1"], id="last"),
    ],
)
def test_deleting_one_of_two_comments_removes_the_actor_from_its_row(
    remaining_seqs: tuple[int, ...], announcement_lines: list[str]
) -> None:
    group = comment_group(windowed_join_change(A, 1))
    group.mark_read()
    group.apply_changes(windowed_join_change(A, 2))

    group.apply_changes(comment_deletion(A, 3, *remaining_seqs))

    assert group.announcement_lines[2:] == announcement_lines


def test_deleting_one_of_two_comments_among_others_changes_no_announcement() -> None:
    group = comment_group(windowed_join_change(A, 1), windowed_join_change(A, 2), windowed_join_change(B, 3))

    group.apply_changes(comment_deletion(A, 4, 1))

    assert group.announcement_lines == ["row 1 v1 announced: 2 new of 2"]


def test_deleting_the_last_comment_removes_the_actor_from_every_row() -> None:
    group = comment_group(windowed_join_change(A, 1), windowed_join_change(B, 2))
    group.mark_read()
    group.apply_changes(windowed_join_change(A, 3))

    group.apply_changes(comment_deletion(A, 4))

    assert group.announcement_lines[2:] == [
        "row 1 v2 updated: 0 new of 1",
        "row 2 v2 removed: 0 new of 0",
    ]


def test_second_deletion_of_a_departed_actor_changes_nothing() -> None:
    group = comment_group(windowed_join_change(A, 1))
    group.apply_changes(comment_deletion(A, 2))
    announcements_before = list(group.announcements)

    group.apply_changes(comment_deletion(A, 3))

    assert group.announcements == announcements_before


@pytest.mark.parametrize("announce_when", list(AnnounceWhen))
def test_hidden_row_counts_actors_without_announcements(announce_when: AnnounceWhen) -> None:
    group = group_with_three_announced()
    group.group.generations["row 1"].is_hidden = True

    group.apply_changes(join_change(D, 4, announce_when))
    group.close_window()

    assert len(group.announcements) == 3
    assert group.group.generations["row 1"].actor_count == 4
