"""Workers are killed at each fail point and many times in a row; each accepted write has its effect once."""

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest

from app.failpoints import FAILPOINT_NAMES as ALL_POINTS
from app.failpoints import process_for_failpoint
from harness.processes import ManagedProcess
from harness.waiting import wait_until
from tests.support.processes import PROCESS_NAMES
from tests.support.scenario import WorkerScenario, act_until

pytestmark = [pytest.mark.service, pytest.mark.slow]
KILL_TIMEOUT_SECONDS = 90.0
UNREACHABLE_KAFKA = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}

FAIL_POINTS = [point for point in ALL_POINTS if process_for_failpoint(point) in PROCESS_NAMES]


def rounds() -> list[tuple[str, ...]]:
    """In each round every worker is killed at one of its fail points; all fail points occur."""
    points_by_process = {
        name: [point for point in FAIL_POINTS if process_for_failpoint(point) == name]
        for name in PROCESS_NAMES
    }
    round_count = max(map(len, points_by_process.values()))
    endless = {name: cycle(points) for name, points in points_by_process.items()}
    return [tuple(next(endless[name]) for name in PROCESS_NAMES) for _ in range(round_count)]


def test_every_fail_point_is_tested() -> None:
    assert {point for points in rounds() for point in points} == set(FAIL_POINTS)


FIRST_ROUND, *LATER_ROUNDS = rounds()


@pytest.mark.parametrize(
    "points",
    [FIRST_ROUND, *(pytest.param(points, marks=pytest.mark.drill) for points in LATER_ROUNDS)],
    ids="+".join,
)
def test_worker_killed_at_a_fail_point_loses_and_doubles_nothing(
    scenario: WorkerScenario, points: tuple[str, ...]
) -> None:
    rng = random.Random(str(points))
    users = scenario.create_users(8)
    posts = [scenario.create_post(owner) for owner in users[:2]]
    scenario.enable_like_mail()
    running = {point: _restart_with_fail_point(scenario, point) for point in points}

    def all_killed() -> bool:
        for point, worker in list(running.items()):
            if not worker.is_running:
                worker.wait_for_sigkill(0)
                scenario.processes.start_named(worker.name)
                del running[point]
        return not running

    try:
        act_until(
            lambda: scenario.act_randomly(users, posts, rng), all_killed, KILL_TIMEOUT_SECONDS, "all kills"
        )
    except (AssertionError, RuntimeError) as exc:
        raise RuntimeError(f"{exc}: {list(running)}\n{scenario.processes.log_tails()}") from None
    finally:
        for worker in running.values():
            worker.kill()
    for _ in range(20):
        scenario.act_randomly(users, posts, rng)

    scenario.assert_consistent_when_idle()


def _restart_with_fail_point(scenario: WorkerScenario, point: str) -> ManagedProcess:
    if point == "bridge.enqueued":  # only without Kafka does the bridge use the fallback queue
        return scenario.processes.restart("bridge", FAILPOINT=point, **UNREACHABLE_KAFKA)
    if point == "bridge.drained":
        _fill_fallback_queue(scenario)
    return scenario.processes.restart(process_for_failpoint(point), FAILPOINT=point)


def _fill_fallback_queue(scenario: WorkerScenario) -> None:
    """Leaves a row in the fallback queue for the next bridge to drain."""
    scenario.processes.restart("bridge", **UNREACHABLE_KAFKA)
    owner, fan = scenario.create_users(2)
    scenario.set_like(fan, scenario.create_post(owner), True)
    pending = "select 1 from kafka_fallback_queue where not processed"
    wait_until(lambda: scenario.query(pending), "a row of the fallback queue", KILL_TIMEOUT_SECONDS)


@pytest.mark.drill
def test_random_likes_survive_two_kills_of_every_worker(scenario: WorkerScenario) -> None:
    client_count, users_per_client = 50, 6
    users = scenario.create_users(client_count * users_per_client)
    posts = [scenario.create_post(owner) for owner in users[:4]]

    def client(number: int) -> None:
        """Writes for six users of its own, so that the order of the writes of a user is known."""
        rng = random.Random(number)
        own_users = users[number * users_per_client : (number + 1) * users_per_client]
        for _ in range(60):
            scenario.set_like(rng.choice(own_users), rng.choice(posts), rng.random() < 0.6)

    with ThreadPoolExecutor(client_count) as pool:
        futures = [pool.submit(client, number) for number in range(client_count)]
        for name in (*PROCESS_NAMES, *PROCESS_NAMES):
            scenario.processes.process_by_name[name].kill()
            scenario.processes.start_named(name)
        for future in futures:
            future.result()

    scenario.assert_consistent_when_idle()
