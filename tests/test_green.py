"""Turns: a long loop does not keep those waiting who wait for the clock."""

import time

import gevent

from app.green import TURN, fairly


def test_the_same_items_come_in_the_same_order() -> None:
    items = range(2 * TURN + 1)

    assert list(fairly(items)) == list(items)


def test_who_waits_for_the_clock_has_its_turn_after_each_hundred() -> None:
    """gevent.sleep(0) would let fifty turns pass before it looks at the clock."""
    woken: list[bool] = []
    gevent.spawn(lambda: gevent.sleep(0.001) or woken.append(True))
    turns = 0

    for place in fairly(range(20 * TURN)):
        if woken:
            break
        if place % TURN == 0:
            turns += 1
            time.sleep(0.003)  # works, and by the next turn the greenlet is due

    assert turns <= 5
