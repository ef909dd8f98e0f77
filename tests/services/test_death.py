"""Workers die, at any line and many times over; what was accepted arrives once."""

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest

from app.failpoints import NAMES as ALL_POINTS
from app.failpoints import process_of
from tests.services.crew import NAMES, Member, until
from tests.services.stage import Stage, meanwhile

pytestmark = [pytest.mark.service, pytest.mark.slow]
DEATH_SECONDS = 90.0
NOWHERE = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}

POINTS = [point for point in ALL_POINTS if process_of(point) in NAMES]


def rounds() -> list[tuple[str, ...]]:
    """In each round every worker dies at one of its lines; all lines come up."""
    lines = {name: [p for p in POINTS if process_of(p) == name] for name in NAMES}
    longest = max(map(len, lines.values()))
    endless = {name: cycle(points) for name, points in lines.items()}
    return [tuple(next(endless[name]) for name in NAMES) for _ in range(longest)]


def test_every_fail_point_has_its_turn() -> None:
    assert {point for one in rounds() for point in one} == set(POINTS)


@pytest.mark.parametrize("points", rounds(), ids="+".join)
def test_each_worker_dies_at_a_line_and_nothing_is_lost_or_doubled(
    stage: Stage, points: tuple[str, ...]
) -> None:
    draw = random.Random(str(points))
    crowd = stage.people(8)
    posts = [stage.post(owner) for owner in crowd[:2]]
    stage.wants_mail()
    living = {point: _doomed(stage, point) for point in points}

    def all_dead() -> bool:
        for point, member in list(living.items()):
            if not member.alive:
                member.dies(0)
                stage.crew.hire(member.name)
                del living[point]
        return not living

    try:
        meanwhile(lambda: stage.act(crowd, posts, draw), all_dead, DEATH_SECONDS, "all deaths")
    except AssertionError as late:
        raise AssertionError(f"{late}: {list(living)}\n{stage.crew.evidence()}") from None
    finally:
        for member in living.values():
            member.kill()
    for _ in range(20):
        stage.act(crowd, posts, draw)

    stage.come_to_rest()


def _doomed(stage: Stage, point: str) -> Member:
    if point == "bridge.enqueued":  # only while Kafka is away does a bridge put events aside
        return stage.crew.replace("bridge", FAILPOINT=point, **NOWHERE)
    if point == "bridge.drained":
        _put_aside(stage)
    return stage.crew.replace(process_of(point), FAILPOINT=point)


def _put_aside(stage: Stage) -> None:
    """A row of the fallback queue, for the next bridge to drain."""
    stage.crew.replace("bridge", **NOWHERE)
    owner, fan = stage.people(2)
    stage.wish(fan, stage.post(owner), True)
    waits = "select 1 from kafka_fallback_queue where not processed"
    until(lambda: stage.rows(waits), DEATH_SECONDS, "a row of the fallback queue")


def test_random_likes_by_three_hundred_while_every_worker_is_killed_twice(stage: Stage) -> None:
    clients, each = 50, 6
    crowd = stage.people(clients * each)
    posts = [stage.post(owner) for owner in crowd[:4]]

    def client(number: int) -> None:
        """Acts for six people, so that nobody else's wish can come between theirs."""
        draw = random.Random(number)
        own = crowd[number * each : (number + 1) * each]
        for _ in range(60):
            stage.wish(draw.choice(own), draw.choice(posts), draw.random() < 0.6)

    with ThreadPoolExecutor(clients) as pool:
        busy = [pool.submit(client, number) for number in range(clients)]
        for name in (*NAMES, *NAMES):
            stage.crew.members[name].kill()
            stage.crew.hire(name)
        for one in busy:
            one.result()

    stage.come_to_rest()
