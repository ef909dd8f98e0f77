"""The plan of a group: its actors and announcements."""

import pytest

from app.domain.events import Kind
from app.domain.group_planning import group_lock_order, plan_ungrouped_notification
from app.domain.grouping import ActorChange, AnnounceWhen, Group, GroupGeneration, GroupKey, GroupPlanContext
from tests.support.grouping_harness import (
    MAX_GENERATION_AGE,
    START_TIME,
    GroupHarness,
    group_with_three_announced,
    join_change,
    leave_change,
    windowed_join_change,
)

A, B, C, D, E = "Ann", "Ben", "Cem", "Dan", "Eva"


def test_first_three_actors_are_announced_each_with_the_group_size() -> None:
    assert group_with_three_announced().announcement_lines == [
        "row 1 v1 announced for Ann: 1 new of 1",
        "row 1 v2 announced for Ben: 1 new of 2",
        "row 1 v3 announced for Cem: 1 new of 3",
    ]


def test_three_actors_in_one_transaction_are_announced_like_three_transactions() -> None:
    group = GroupHarness()

    group.apply_changes(join_change(A, 1), join_change(B, 2), join_change(C, 3))

    assert group.announcement_lines == group_with_three_announced().announcement_lines


def test_close_announces_the_unannounced_actors_together() -> None:
    group = group_with_three_announced()

    group.apply_changes(windowed_join_change(D, 4), windowed_join_change(E, 5))

    assert group.announcement_lines[3:] == ["row 1 v4 announced: 2 new of 5"]


def test_close_without_unannounced_actors_announces_nothing() -> None:
    group = group_with_three_announced()

    group.close_window()

    assert len(group.announcements) == 3


def test_early_flushed_actors_are_announced_on_close() -> None:
    group = GroupHarness()
    group.apply_changes(join_change(A, 1, AnnounceWhen.DEFERRED), join_change(B, 2, AnnounceWhen.DEFERRED))

    announcements_before_close = list(group.announcements)
    closing_plan = group.close_window()

    assert announcements_before_close == []
    assert group.announcement_lines == ["row 1 v1 announced: 2 new of 2"]
    assert closing_plan.fully_announced_generation_ids == ["row 1"]


def test_close_covers_early_flushed_and_later_actors() -> None:
    group = group_with_three_announced()
    group.apply_changes(join_change(D, 4, AnnounceWhen.DEFERRED))

    group.apply_changes(windowed_join_change(E, 5))

    assert group.announcement_lines[-1] == "row 1 v5 announced: 2 new of 5"


def test_like_unlike_like_announces_once() -> None:
    group = GroupHarness()

    group.apply_changes(join_change(A, 1))
    group.apply_changes(leave_change(A, 2))
    group.apply_changes(join_change(A, 3))

    assert group.announcement_lines == [
        "row 1 v1 announced for Ann: 1 new of 1",
        "row 1 v2 removed: 0 new of 0",
        "row 1 v3 updated: 0 new of 1",
    ]


def test_retraction_before_close_is_not_announced() -> None:
    group = group_with_three_announced()

    group.apply_changes(
        windowed_join_change(D, 4),
        windowed_join_change(E, 5),
        leave_change(E, 6, AnnounceWhen.ON_CLOSE),
    )

    assert group.announcement_lines[-1] == "row 1 v4 announced: 1 new of 4"


def test_retraction_of_all_before_close_announces_nothing() -> None:
    group = GroupHarness()

    group.apply_changes(windowed_join_change(A, 1), leave_change(A, 2, AnnounceWhen.ON_CLOSE))

    assert group.announcements == []


def test_retraction_after_close_updates_the_row_without_announcement() -> None:
    group = group_with_three_announced()
    group.apply_changes(windowed_join_change(D, 4), windowed_join_change(E, 5))

    group.apply_changes(leave_change(E, 6))

    assert group.announcement_lines[-1] == "row 1 v5 updated: 0 new of 4"


def test_retraction_of_an_unannounced_actor_removes_it_from_the_announcement() -> None:
    group = GroupHarness()
    group.apply_changes(join_change(A, 1, AnnounceWhen.DEFERRED), join_change(B, 2, AnnounceWhen.DEFERRED))
    group.apply_changes(leave_change(B, 3))

    group.close_window()

    assert group.announcement_lines == ["row 1 v1 announced: 1 new of 1"]


def test_retraction_of_an_unknown_actor_does_nothing() -> None:
    group = GroupHarness()

    group_plan = group.apply_changes(leave_change(A, 1))

    assert (group_plan.planned_client_events, group_plan.changed_actors, group_plan.changed_generations) == (
        [],
        [],
        {},
    )


@pytest.mark.parametrize("kind", [Kind.LIKE, Kind.POST_SHARE, Kind.MENTION])
@pytest.mark.parametrize(
    "repeated_change", [join_change(A, 1), join_change(C, 3), leave_change(A, 0), join_change(B, 1)]
)
def test_repeated_or_late_change_does_nothing(repeated_change: ActorChange, kind: Kind) -> None:
    group = group_with_three_announced(kind)
    group_before = repr(group.group)

    group_plan = group.apply_changes(repeated_change)

    assert (group_plan.planned_client_events, group_plan.changed_actors, group_plan.changed_generations) == (
        [],
        [],
        {},
    )
    assert repr(group.group) == group_before


def test_instant_announcement_has_the_text_and_event_of_its_actor() -> None:
    group = GroupHarness(Kind.MENTION)

    [announcement] = group.apply_changes(join_change(A, 7, text="hi @ann")).planned_client_events

    assert (announcement.text, announcement.event_id) == ("hi @ann", "event 7")


def test_standalone_notification_is_announced_once() -> None:
    group = Group(GroupKey("recipient", Kind.OTP, "event"))
    plan_context = GroupPlanContext(START_TIME, MAX_GENERATION_AGE, "row 1")

    first, second = (plan_ungrouped_notification(group, "event", plan_context) for _ in range(2))

    assert [announcement.version for announcement in first.planned_client_events] == [1]
    assert (second.planned_client_events, second.changed_generations) == ([], {})


def test_groups_are_locked_in_one_order() -> None:
    keys = [
        GroupKey("b", Kind.LIKE, "1"),
        GroupKey("a", Kind.LIKE, "2"),
        GroupKey("a", Kind.LIKE, "1"),
        GroupKey("a", Kind.COMMENT, "3"),
    ]

    assert group_lock_order({key: [] for key in keys}) == [keys[3], keys[2], keys[1], keys[0]]


def test_unannounced_row_gets_no_update() -> None:
    """A row of version 0 is not visible: its window is still open."""
    group = GroupHarness()
    group.apply_changes(join_change(A, 1, AnnounceWhen.DEFERRED))

    group.apply_changes(leave_change(A, 2))

    assert group.announcements == []
    assert group.group.generations["row 1"] == GroupGeneration(
        "row 1", 1, START_TIME, version=0, actor_count=0, unannounced_count=0, is_new=True
    )
