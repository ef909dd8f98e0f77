"""A worker is killed and started again, once or five times in a row: its work goes on within ten
seconds. Eight of them are ours; two are for the start of a process of Python."""

import time

import pytest

from app.domain.loops import PROCESSES
from tests.services.crew import START_SECONDS, until
from tests.services.town import Town

pytestmark = [pytest.mark.service, pytest.mark.slow]
GO_ON_SECONDS = 8.0
WINDOW_SECONDS = 2.0


@pytest.mark.parametrize(
    ("process", "times"), [*((process, 1) for process in PROCESSES), ("aggregator", 5)]
)
def test_the_work_of_a_killed_worker_goes_on(town: Town, process: str, times: int) -> None:
    crew = town.stage.crew
    author, *fans = town.people("Ann", "Ben", "Cem", "Dan", "Eve", "Fay")
    screen, post = author.screen(), author.posts()
    for fan in fans[:4]:
        fan.likes(post)
    town.hears(lambda: len(screen.toasts) == 4, "three at once and one when the window closes")

    for _ in range(times):
        crew.members[process].kill()
        successor = crew.hire(process)
        until(lambda one=successor: crew.lives(one), START_SECONDS, "its first heartbeat")
    began = time.monotonic()
    for fan in fans[4:]:
        fan.likes(post)

    town.hears(
        lambda: any("4 others" in one for one in screen.toasts[4:]) or len(screen.toasts) >= 5,
        "an announcement after the death",
        GO_ON_SECONDS + WINDOW_SECONDS - (time.monotonic() - began),
    )
