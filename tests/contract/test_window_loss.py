"""Windows in a Redis that was emptied: noticed, and rebuilt by reading again."""

import pytest
import redis

from app.stores.windows import Windows, WindowsLost
from tests.cast import new_id
from tests.contract.lane import (
    ANN,
    BEN,
    CEM,
    DAN,
    Lane,
    actors,
    claimed,
    likes,
)


def test_a_lost_epoch_is_noticed_by_gather_and_by_applied(
    connection: redis.Redis, lane: Lane
) -> None:
    connection.flushall()

    with pytest.raises(WindowsLost):
        lane.offers(*likes(ANN))
    with pytest.raises(WindowsLost):
        lane.applies(0)
    assert connection.keys("*") == []


def test_an_epoch_that_another_began_is_a_loss_too(
    connection: redis.Redis, windows: Windows, lane: Lane
) -> None:
    connection.flushall()
    windows.epoch(new_id())

    with pytest.raises(WindowsLost):
        lane.offers(*likes(ANN))


def test_an_epoch_is_kept_by_all_who_ask(windows: Windows) -> None:
    first = windows.epoch("first")

    assert (first, windows.epoch("second")) == ("first", "first")


def test_reading_again_rebuilds_what_was_lost(connection: redis.Redis, windows: Windows) -> None:
    events = likes(ANN, BEN, CEM, DAN)
    Lane(windows).offers(*events)
    connection.flushall()

    Lane(windows).reads(0, *events)

    assert [actors(one) for one in claimed(windows)] == [{DAN}]
