"""Each worker starts without services, waits for them, works once they run, and stops on SIGTERM."""

from functools import partial

import pytest

from harness.processes import ManagedProcess
from harness.waiting import wait_until
from infra.services import EmbeddedServices
from tests.support.processes import PROCESS_NAMES, START_TIMEOUT_SECONDS, STOP_TIMEOUT_SECONDS
from tests.support.scenario import WorkerScenario

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.time_limit]


def reports_outage(worker: ManagedProcess) -> bool:
    assert worker.is_running, worker.log_tail()
    return "Outage begins" in worker.log_tail()


def test_workers_without_services_wait_and_can_be_stopped(
    scenario: WorkerScenario,
) -> None:
    unreachable = {
        "DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:1",
    }
    waiting = [scenario.processes.start_extra(name, **unreachable) for name in PROCESS_NAMES]

    for worker in waiting:
        wait_until(
            partial(reports_outage, worker),
            f"an outage in the log of {worker.log_tail()}",
            START_TIMEOUT_SECONDS,
        )

    for worker in waiting:
        assert worker.stop_gracefully() < STOP_TIMEOUT_SECONDS


@pytest.mark.drill
def test_all_workers_survive_an_outage_of_all_services(
    scenario: WorkerScenario, services: EmbeddedServices
) -> None:
    """The running workers, and workers that start during the outage."""
    processes = scenario.processes
    owner, *users = scenario.create_users(6)
    post = scenario.create_post(owner)
    scenario.set_like(users[0], post, is_on=True)
    scenario.assert_consistent_when_idle()
    processes.stop_all()

    services.stop()
    try:
        for name in PROCESS_NAMES:
            processes.start_named(name)
        for name in PROCESS_NAMES:
            wait_until(
                partial(reports_outage, processes.process_by_name[name]),
                f"{name} reports the outage",
                START_TIMEOUT_SECONDS,
            )
    finally:
        services.start()
        scenario.engine.dispose()

    for user_id in users[1:]:
        scenario.set_like(user_id, post, is_on=True)
    scenario.assert_consistent_when_idle()

    services.stop("kafka", "redis", "postgres")
    services.start()
    scenario.engine.dispose()
    for user_id in users[1:]:
        scenario.set_like(user_id, post, is_on=False)
    scenario.assert_consistent_when_idle()
    assert all(processes.process_by_name[name].is_running for name in PROCESS_NAMES)


@pytest.mark.parametrize(
    "name",
    [name if name == "aggregator" else pytest.param(name, marks=pytest.mark.drill) for name in PROCESS_NAMES],
)
def test_busy_worker_stops_within_four_seconds(scenario: WorkerScenario, name: str) -> None:
    users = scenario.create_users(30)
    post = scenario.create_post(users[0])
    for user_id in users:
        scenario.set_like(user_id, post, is_on=True)

    worker = scenario.processes.process_by_name[name]
    wait_until(
        lambda: scenario.processes.has_heartbeat(worker),
        f"the first heartbeat of {worker.log_tail()}",
        START_TIMEOUT_SECONDS,
    )
    assert worker.stop_gracefully() < STOP_TIMEOUT_SECONDS

    scenario.processes.start_named(name)
    scenario.assert_consistent_when_idle()
