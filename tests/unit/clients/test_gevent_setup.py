"""cooperative() lets other greenlets run during a long loop."""

import time

import gevent

from app.clients.gevent_setup import ITEMS_PER_YIELD, iterate_cooperatively


def test_cooperative_yields_the_same_items_in_order() -> None:
    items = range(2 * ITEMS_PER_YIELD + 1)

    assert list(iterate_cooperatively(items)) == list(items)


def test_cooperative_lets_timers_run_after_each_hundred_items() -> None:
    """gevent.sleep(0) would look at timers only after fifty iterations."""
    timer = gevent.spawn_later(0.001, lambda: None)
    yield_count = 0

    for index in iterate_cooperatively(range(20 * ITEMS_PER_YIELD)):
        if timer.ready():
            break
        if index % ITEMS_PER_YIELD == 0:
            yield_count += 1
            time.sleep(0.003)  # the timer is due before the next yield

    assert yield_count <= 5
