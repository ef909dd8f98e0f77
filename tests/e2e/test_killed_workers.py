"""A worker is killed and started again: its work continues within eight seconds of the first heartbeat of its
successor."""

import time

import pytest

from app.domain.worker_loops import WORKER_PROCESSES
from harness.waiting import wait_until
from tests.support.cluster import WebCluster
from tests.support.processes import START_TIMEOUT_SECONDS

pytestmark = [pytest.mark.service, pytest.mark.slow]
TAKEOVER_SECONDS = 8.0
WINDOW_SECONDS = 2.0


@pytest.mark.parametrize(
    "process",
    [
        process if process == "aggregator" else pytest.param(process, marks=pytest.mark.drill)
        for process in WORKER_PROCESSES
    ],
)
def test_work_of_a_killed_worker_is_taken_over(cluster: WebCluster, process: str) -> None:
    processes = cluster.scenario.processes
    author, *fans = cluster.register_clients("Ann", "Ben", "Cem", "Dan", "Eve", "Fay")
    tab, post = author.open_tab(), author.create_post()
    for fan in fans[:4]:
        fan.like(post)
    cluster.wait_until(lambda: len(tab.toast_messages) == 4, "three at once and one when the window closes")

    processes.process_by_name[process].kill()
    successor = processes.start_named(process)
    wait_until(lambda: processes.has_heartbeat(successor), "the first heartbeat", START_TIMEOUT_SECONDS)
    started_at = time.monotonic()
    for fan in fans[4:]:
        fan.like(post)

    cluster.wait_until(
        lambda: (
            any("4 others" in message for message in tab.toast_messages[4:]) or len(tab.toast_messages) >= 5
        ),
        "an announcement after the kill",
        TAKEOVER_SECONDS + WINDOW_SECONDS - (time.monotonic() - started_at),
    )
