"""Aggregators come and go in the middle of windows: nothing is split and nothing doubled."""

import random

import pytest

from tests.services.crew import START_SECONDS, until
from tests.services.stage import Stage

pytestmark = [pytest.mark.service, pytest.mark.slow]


def test_from_one_aggregator_to_three_and_back_in_mid_window(stage: Stage) -> None:
    draw, crowd = random.Random(5), stage.people(20)
    posts = [stage.post(owner) for owner in crowd[:3]]

    def some(times: int) -> None:
        for _ in range(times):
            stage.act(crowd, posts, draw)

    some(40)
    more = [stage.crew.start("aggregator") for _ in range(2)]
    for one in more:
        until(lambda one=one: stage.crew.lives(one) or some(1), START_SECONDS, one.said())
    some(60)
    more[0].stop()
    some(40)
    more[1].kill()  # without a goodbye: its partitions come back when its session is over
    some(40)

    stage.come_to_rest()
