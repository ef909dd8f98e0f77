"""A worker is frozen at a line, past its lease, while a second one does all the work; then it wakes
with the old batch in its hand. Nothing is lost, doubled or turned back."""

import random
import signal

import pytest

from app.failpoints import NAMES as ALL_POINTS
from app.failpoints import process_of
from tests.services.crew import NAMES, Member
from tests.services.stage import Stage, meanwhile

pytestmark = [pytest.mark.service, pytest.mark.slow]
REACH_SECONDS = 90.0
ELSEWHERE = ("bridge.enqueued", "bridge.drained")
POINTS = [one for one in ALL_POINTS if process_of(one) in NAMES and one not in ELSEWHERE]


def stands_still(member: Member) -> bool:
    """SIGSTOP, as the kernel tells it."""
    stat = (f"/proc/{member.process.pid}/stat",)
    with open(*stat) as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize("name", NAMES)
def test_a_worker_that_wakes_past_its_lease_does_no_harm(stage: Stage, name: str) -> None:
    draw = random.Random(name)
    crowd = stage.people(8)
    posts: list[str] = []
    stage.wants_mail()
    frozen: list[Member] = []

    def act() -> None:
        stage.act(crowd, posts, draw)

    try:
        for point in POINTS:
            if process_of(point) == name:
                # New ones: everybody is announced once per post, and then nothing is left to send.
                posts[:] = [stage.post(owner) for owner in crowd[:2]]
                frozen.append(stage.crew.replace(name, FAILPOINT=f"{point}:2:freeze"))
                meanwhile(
                    act, lambda: stands_still(frozen[-1]), REACH_SECONDS, f"a stop at {point}"
                )
                stage.crew.hire(name)
        # All that they hold runs out, and the last one hired does their work.
        stage.settles()
        for member in frozen:
            member.process.send_signal(signal.SIGCONT)
        for _ in range(20):
            act()
        for member in frozen:
            member.stop()
    finally:
        for member in frozen:
            member.process.kill()

    stage.come_to_rest()
