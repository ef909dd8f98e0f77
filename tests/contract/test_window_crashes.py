"""Windows through crashes: reading again, the low watermark, early writes."""

from dataclasses import replace

from app.stores.windows import Offered, Windows
from tests.cast import follow, new_id
from tests.contract.lane import (
    ANN,
    BEN,
    CAST,
    CEM,
    DAN,
    DUE,
    EVA,
    EVERYTHING,
    GATHERED,
    INSTANT,
    PLACE,
    SEEN,
    Lane,
    actors,
    claimed,
    likes,
)

# Reading again after a crash


def test_the_same_events_read_again_get_the_same_verdicts(windows: Windows, lane: Lane) -> None:
    events = likes(ANN, BEN, CEM, DAN)
    first = lane.offers(*events)

    again = lane.reads(0, *events)

    # The gathered one waits already; an instant one may not have reached the tables.
    assert first == [INSTANT] * 3 + [GATHERED]
    assert again == [INSTANT] * 3 + [SEEN]
    assert [actors(one) for one in claimed(windows)] == [{DAN}]


def test_offsets_that_were_applied_are_seen(windows: Windows, lane: Lane) -> None:
    events = likes(ANN, BEN)
    lane.offers(*events)
    lane.applies(1)

    assert lane.reads(0, *events) == [SEEN, SEEN]


def test_kinds_without_windows_are_not_told_again_once_applied(lane: Lane) -> None:
    offered = [Offered(follow(ANN, CAST, 1), 0, 2**31, DUE, windowless=True)]
    lane.windows.gather(lane.epoch, PLACE, EVERYTHING, offered)
    lane.applies(0)

    assert lane.windows.gather(lane.epoch, PLACE, EVERYTHING, offered) == [SEEN]


def test_another_partition_has_its_own_offsets(windows: Windows, lane: Lane) -> None:
    lane.offers(*likes(ANN))
    lane.applies(0)

    assert Lane(windows, "low:1").reads(0, *likes(BEN)) == [INSTANT]


# The low watermark


def test_without_open_windows_all_that_was_applied_may_be_committed(lane: Lane) -> None:
    lane.offers(*likes(ANN, BEN))

    assert lane.applies(1) == 2


def test_an_open_window_holds_the_commit_at_its_first_event(windows: Windows, lane: Lane) -> None:
    lane.offers(*likes(ANN, BEN, CEM, DAN, EVA))  # DAN at offset 3 is the first that waits
    held = lane.applies(4)
    closings = claimed(windows)
    claimed_only = lane.applies(4)

    windows.settle(closings)

    assert (held, claimed_only, lane.applies(4)) == (3, 3, 5)


def test_the_lowest_of_many_windows_holds(windows: Windows, lane: Lane) -> None:
    first, second = replace(CAST, post=new_id()), replace(CAST, post=new_id())
    lane.offers(*likes(ANN, cast=first), places=0, due=2_000)
    lane.offers(*likes(ANN, cast=second), places=0, due=1_000)
    before = lane.applies(1)

    windows.settle(claimed(windows, now=1_500))
    middle = lane.applies(1)
    windows.settle(claimed(windows, now=2_500))

    assert (before, middle, lane.applies(1)) == (0, 0, 2)


def test_a_fresh_window_is_held_at_its_own_first_event(windows: Windows, lane: Lane) -> None:
    lane.offers(*likes(ANN), places=0)
    first = claimed(windows)
    lane.offers(*likes(BEN, first=2), places=0)

    windows.settle(first)

    assert lane.applies(1) == 1


def test_a_window_of_two_partitions_holds_both(windows: Windows, lane: Lane) -> None:
    """A person's likes by followers and by others come by different lanes."""
    other = Lane(windows, "high:0")
    lane.offers(*likes(ANN), places=0)
    other.offers(*likes(BEN, first=2), places=0)
    held = (lane.applies(0), other.applies(0))

    windows.settle(claimed(windows))

    assert held == (0, 0)
    assert (lane.applies(0), other.applies(0)) == (1, 1)


# Early writing


def test_a_window_that_is_full_has_its_rows_written_early(windows: Windows, lane: Lane) -> None:
    lane.offers(*likes(ANN, BEN, CEM), places=0, rows=2)

    [early] = claimed(windows, now=0)

    assert early.early
    assert actors(early) == {ANN, BEN}


def test_its_announcement_keeps_its_time(windows: Windows, lane: Lane) -> None:
    lane.offers(*likes(ANN, BEN, CEM), places=0, rows=2)
    windows.settle(claimed(windows, now=0))

    [closing] = claimed(windows, now=DUE)

    assert not closing.early
    assert actors(closing) == {CEM}


def test_it_closes_even_if_nobody_came_after_the_early_write(windows: Windows, lane: Lane) -> None:
    lane.offers(*likes(ANN, BEN), places=0, rows=2)
    windows.settle(claimed(windows, now=0))

    [closing] = claimed(windows, now=DUE)

    assert (closing.early, closing.events) == (False, ())


def test_the_places_stay_taken_after_an_early_write(windows: Windows, lane: Lane) -> None:
    lane.offers(*likes(ANN, BEN, CEM, DAN), rows=1)

    assert lane.offers(*likes(EVA, first=5), rows=9) == [GATHERED]


def test_an_early_write_holds_its_offsets_until_it_is_settled(windows: Windows, lane: Lane) -> None:
    lane.offers(*likes(ANN, BEN, CEM), places=0, rows=2)
    held = lane.applies(2)

    windows.settle(claimed(windows, now=0))

    assert (held, lane.applies(2)) == (0, 2)


def test_a_slow_member_commits_nothing_that_the_next_one_has_in_hand(lane: Lane) -> None:
    """The next holder of the partition read on: its instants are not written yet, and a window
    holds what comes behind them."""
    lane.reads(10, *likes(ANN, BEN, CEM, DAN))

    assert lane.applies(9) == 10
