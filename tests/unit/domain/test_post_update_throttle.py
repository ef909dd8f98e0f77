"""Which live counts are due: twice a second per watched post, ten a second for sockets without a list."""

from app.domain import post_update_throttle
from app.domain.post_update_throttle import (
    MAX_POSTS_PER_TURN,
    UNFILTERED_INTERVAL_SECONDS,
    WATCHED_INTERVAL_SECONDS,
    DueUpdates,
    PostChange,
    PostUpdateThrottle,
)

FIRST, SECOND = PostChange("event 1", "ann"), PostChange("event 2", "ben")


def test_watched_post_is_due_at_once_then_after_the_interval() -> None:
    throttle = PostUpdateThrottle()
    throttle.add_watched("a", FIRST)
    assert throttle.take_due(10.0).watched == {"a": FIRST}

    throttle.add_watched("a", FIRST)
    throttle.add_watched("a", SECOND)

    assert throttle.take_due(10.1).watched == {}
    assert throttle.has_pending
    assert throttle.take_due(10.0 + WATCHED_INTERVAL_SECONDS).watched == {"a": SECOND}
    assert not throttle.has_pending
    assert throttle.merged_count == 1


def test_watched_posts_do_not_delay_each_other() -> None:
    throttle = PostUpdateThrottle()
    throttle.add_watched("a", FIRST)
    throttle.take_due(10.0)
    throttle.add_watched("b", SECOND)

    assert throttle.take_due(10.0).watched == {"b": SECOND}


def test_never_more_than_two_updates_per_second_of_a_watched_post() -> None:
    throttle, emitted_at = PostUpdateThrottle(), []
    for turn in range(100):
        throttle.add_watched("a", FIRST)
        if throttle.take_due(turn / 10).watched:
            emitted_at.append(turn / 10)

    assert emitted_at == [seconds / 2 for seconds in range(20)]


def test_one_turn_takes_a_bounded_number_of_watched_posts() -> None:
    throttle = PostUpdateThrottle()
    for number in range(MAX_POSTS_PER_TURN + 1):
        throttle.add_watched(str(number), FIRST)

    assert len(throttle.take_due(10.0).watched) == MAX_POSTS_PER_TURN
    assert list(throttle.take_due(10.0).watched) == [str(MAX_POSTS_PER_TURN)]


def test_unfiltered_posts_share_one_budget_and_the_longest_waiting_comes_first() -> None:
    throttle = PostUpdateThrottle()
    throttle.add_unfiltered("hot", FIRST)
    throttle.add_unfiltered("b", FIRST)
    throttle.add_unfiltered("hot", SECOND)
    assert throttle.take_due(10.0).unfiltered == {"hot": SECOND}
    throttle.add_unfiltered("hot", FIRST)

    assert throttle.take_due(10.05).unfiltered == {}
    assert throttle.take_due(10.0 + UNFILTERED_INTERVAL_SECONDS).unfiltered == {"b": FIRST}
    assert throttle.take_due(10.0 + 2 * UNFILTERED_INTERVAL_SECONDS).unfiltered == {"hot": FIRST}
    assert not throttle.has_pending


def test_too_many_unfiltered_posts_drop_the_longest_waiting() -> None:
    throttle = PostUpdateThrottle()
    for number in range(post_update_throttle.MAX_UNFILTERED_POSTS + 1):
        throttle.add_unfiltered(str(number), FIRST)

    assert throttle.take_due(10.0).unfiltered == {"1": FIRST}
    assert throttle.dropped_count == 1


def test_unfiltered_posts_are_discarded_when_nobody_receives_them() -> None:
    throttle = PostUpdateThrottle()
    throttle.add_unfiltered("a", FIRST)
    throttle.discard_unfiltered()

    assert throttle.take_due(10.0) == DueUpdates({}, {})


def test_restored_changes_are_due_again_and_do_not_replace_newer_ones() -> None:
    throttle = PostUpdateThrottle()
    for post_id in ("a", "b"):
        throttle.add_watched(post_id, FIRST)
        throttle.add_unfiltered(post_id, FIRST)
    due = throttle.take_due(10.0)
    throttle.add_watched("a", SECOND)

    throttle.restore(due)

    due = throttle.take_due(11.0)
    assert (due.watched, due.unfiltered) == ({"a": SECOND, "b": FIRST}, {"a": FIRST})


def test_recent_emissions_are_known() -> None:
    throttle = PostUpdateThrottle()
    throttle.add_watched("a", FIRST)
    throttle.take_due(10.0)

    assert throttle.was_emitted_since("a", 9.9)
    assert not throttle.was_emitted_since("a", 10.1)
    assert not throttle.was_emitted_since("b", 9.9)
