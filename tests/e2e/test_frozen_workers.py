"""A worker is frozen at a fail point until its lease ends, while a second one does the work; then it
continues with its old batch. Nothing is lost, doubled or reverted."""

import random
from pathlib import Path

import pytest

from app.failpoints import FAILPOINT_NAMES as ALL_POINTS
from app.failpoints import process_for_failpoint
from harness.processes import ManagedProcess
from tests.support.processes import PROCESS_NAMES
from tests.support.scenario import WorkerScenario, act_until

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.drill]
FREEZE_TIMEOUT_SECONDS = 90.0
NOT_REACHED = ("bridge.enqueued", "bridge.drained")
FAIL_POINTS = [
    name for name in ALL_POINTS if process_for_failpoint(name) in PROCESS_NAMES and name not in NOT_REACHED
]


def is_stopped(worker: ManagedProcess) -> bool:
    """Whether the kernel has stopped it by SIGSTOP."""
    stat = Path(f"/proc/{worker.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize("name", PROCESS_NAMES)
def test_frozen_worker_that_resumes_after_its_lease_changes_nothing(
    scenario: WorkerScenario, name: str
) -> None:
    rng = random.Random(name)
    users = scenario.create_users(8)
    posts: list[str] = []
    scenario.enable_like_mail()
    frozen: list[ManagedProcess] = []

    def act() -> None:
        scenario.act_randomly(users, posts, rng)

    try:
        for point in FAIL_POINTS:
            if process_for_failpoint(point) == name:
                # New posts: each actor is announced once per post, and then nothing is left to send.
                posts[:] = [scenario.create_post(owner) for owner in users[:2]]
                frozen.append(scenario.processes.restart(name, FAILPOINT=f"{point}:2:freeze"))
                act_until(act, lambda: is_stopped(frozen[-1]), FREEZE_TIMEOUT_SECONDS, f"a freeze at {point}")
                scenario.processes.start_named(name)
        # Their leases end, and the worker started last does their work.
        scenario.wait_until_idle()
        for worker in frozen:
            worker.resume()
        for _ in range(20):
            act()
        for worker in frozen:
            worker.stop_gracefully()
    finally:
        for worker in frozen:
            worker.kill()

    scenario.assert_consistent_when_idle()
