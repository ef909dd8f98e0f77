"""gather, claim and settle: windows that open, wait, close once and are forgotten."""

from dataclasses import replace

import redis

from app.domain.events import Kind
from app.domain.windows import window_name
from app.stores.windows import LEASE_MS, Offered, Windows
from tests.cast import comment, follow, like, new_id, unlike
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
    Lane,
    actors,
    claimed,
    likes,
)


def test_three_are_told_at_once_and_the_rest_waits_for_the_end(
    windows: Windows, lane: Lane
) -> None:
    verdicts = lane.offers(*likes(ANN, BEN, CEM, DAN, EVA))

    [closing] = claimed(windows)
    assert verdicts == [INSTANT] * 3 + [GATHERED] * 2
    assert actors(closing) == {DAN, EVA}
    assert (closing.recipient_id, closing.kind, closing.object_id, closing.early) == (
        CAST.alice,
        Kind.LIKE,
        CAST.post,
        False,
    )


def test_an_event_waits_whole(windows: Windows, lane: Lane) -> None:
    event = comment(ANN, CAST, 1, 'a "quoted" ~text with\nlines')

    lane.offers(event, places=0)

    [closing] = claimed(windows)
    assert closing.events == (replace(event, traceparent=None),)


def test_the_window_keeps_the_newest_word_of_each(windows: Windows, lane: Lane) -> None:
    lane.offers(*likes(ANN, BEN), places=0)

    lane.offers(unlike(ANN, CAST, 3), places=0)

    [closing] = claimed(windows)
    assert {event.actor_id: event.active for event in closing.events} == {ANN: False, BEN: True}


def test_other_posts_have_other_windows(windows: Windows, lane: Lane) -> None:
    elsewhere = replace(CAST, post=new_id())

    lane.offers(*likes(ANN), *likes(ANN, cast=elsewhere), places=0)

    assert {closing.object_id for closing in claimed(windows)} == {CAST.post, elsewhere.post}


def test_kinds_without_windows_are_told_at_once_and_leave_nothing(
    connection: redis.Redis, windows: Windows, lane: Lane
) -> None:
    offered = [Offered(follow(ANN, CAST, 1), 0, 2**31, DUE, windowless=True)]

    assert windows.gather(lane.epoch, PLACE, EVERYTHING, offered) == [INSTANT]
    assert connection.keys("window:*") == []


def test_it_falls_due_when_its_first_event_said(windows: Windows, lane: Lane) -> None:
    lane.offers(*likes(ANN), places=0, due=1_000)
    lane.offers(*likes(BEN, first=2), places=0, due=9_000)

    assert claimed(windows, now=999) == []
    assert [actors(one) for one in claimed(windows, now=1_000)] == [{ANN, BEN}]


def test_windows_close_in_the_order_they_fall_due(windows: Windows, lane: Lane) -> None:
    late, early = replace(CAST, post=new_id()), replace(CAST, post=new_id())
    lane.offers(*likes(ANN, cast=late), places=0, due=2_000)
    lane.offers(*likes(ANN, cast=early), places=0, due=1_000)

    closings = [claimed(windows, now=3_000, most=1)[0].object_id for _ in range(2)]

    assert closings == [early.post, late.post]


def test_a_window_of_instant_ones_alone_closes_without_a_word(
    connection: redis.Redis, windows: Windows, lane: Lane
) -> None:
    lane.offers(*likes(ANN, BEN))

    assert claimed(windows) == []
    assert (windows.count(), connection.keys("window:*")) == (0, [])


def test_what_comes_after_the_claim_opens_a_fresh_window(windows: Windows, lane: Lane) -> None:
    lane.offers(*likes(ANN, BEN, CEM, DAN))
    [first] = claimed(windows)

    verdicts = lane.offers(*likes(EVA, first=5), due=DUE + 500)
    windows.settle([first])

    assert verdicts == [INSTANT]
    assert actors(first) == {DAN}
    assert windows.open(10) == [(window_name(like(EVA, CAST, 5)), DUE + 500)]


def test_what_comes_after_the_claim_is_not_settled_with_it(windows: Windows, lane: Lane) -> None:
    lane.offers(*likes(ANN), places=0)
    first = claimed(windows)

    lane.offers(*likes(BEN, first=2), places=0)
    windows.settle(first)

    [fresh] = claimed(windows)
    assert actors(fresh) == {BEN}


def test_a_window_waits_as_long_as_it_takes(
    connection: redis.Redis, windows: Windows, lane: Lane
) -> None:
    lane.offers(*likes(ANN, BEN, CEM, DAN, EVA))

    kept = [str(name) for name in connection.scan_iter("*") if "window" in str(name)]

    assert any(name.startswith("window:") for name in kept)
    assert {connection.ttl(name) for name in kept} == {-1}


def test_a_claimed_window_is_nobody_elses_for_the_lease(windows: Windows, lane: Lane) -> None:
    lane.offers(*likes(ANN), places=0)
    claimed(windows)

    assert claimed(windows, now=DUE + LEASE_MS - 1) == []


def test_a_dead_flushers_windows_are_claimed_again_as_they_were(
    windows: Windows, lane: Lane
) -> None:
    lane.offers(*likes(ANN), places=0)
    first = claimed(windows)

    again = claimed(windows, now=DUE + LEASE_MS)

    assert again == first


def test_a_settled_window_is_forgotten(
    connection: redis.Redis, windows: Windows, lane: Lane
) -> None:
    lane.offers(*likes(ANN), places=0)
    closings = claimed(windows)

    windows.settle(closings)
    windows.settle(closings)  # repeats do nothing

    assert claimed(windows, now=DUE + LEASE_MS) == []
    assert connection.keys("*window:*") + connection.keys("closing:*") == []
    assert connection.exists(f"windows:held:{PLACE}") == 0


def test_a_claim_takes_no_more_rows_than_one_transaction_should(
    windows: Windows, lane: Lane
) -> None:
    posts = [replace(CAST, post=new_id()) for _ in range(3)]
    for cast in posts:
        lane.offers(*likes(ANN, BEN, cast=cast), places=0)

    sizes = [len(windows.claim_due(DUE, 100, 2)) for _ in range(4)]

    assert sizes == [1, 1, 1, 0]
