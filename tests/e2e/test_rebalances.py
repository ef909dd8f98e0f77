"""Aggregators start and stop while windows are open: no window is split and nothing is doubled."""

import random
from functools import partial

import pytest

from harness.processes import ManagedProcess
from harness.waiting import wait_until
from tests.support.processes import START_TIMEOUT_SECONDS
from tests.support.scenario import WorkerScenario

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.drill]


def test_one_to_three_aggregators_and_back_during_a_window_loses_nothing(
    scenario: WorkerScenario,
) -> None:
    rng, users = random.Random(5), scenario.create_users(20)
    posts = [scenario.create_post(owner) for owner in users[:3]]

    def act(times: int) -> None:
        for _ in range(times):
            scenario.act_randomly(users, posts, rng)

    def act_until_started(worker: ManagedProcess) -> bool:
        act(1)
        return scenario.processes.has_heartbeat(worker)

    act(40)
    extra_workers = [scenario.processes.start_extra("aggregator") for _ in range(2)]
    for worker in extra_workers:
        wait_until(
            partial(act_until_started, worker),
            worker.log_tail(),
            START_TIMEOUT_SECONDS,
        )
    act(60)
    extra_workers[0].stop_gracefully()
    act(40)
    extra_workers[1].kill()  # its partitions are reassigned when its session times out
    act(40)

    scenario.assert_consistent_when_idle()
