"""Fixtures for tests of real processes. Workers and two web processes are shared by the whole run."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from harness.processes import ManagedProcess
from tests.support.cluster import WebCluster
from tests.support.isolated_app import build_services
from tests.support.processes import PROCESS_NAMES, ProcessGroup
from tests.support.scenario import WorkerScenario


@pytest.fixture(scope="session")
def shared_scenario(
    shared_processes: ProcessGroup, short_windows: dict[str, str], shared_engine: Engine
) -> Iterator[WorkerScenario]:
    with build_services(short_windows) as services:
        yield WorkerScenario(shared_processes, services, shared_engine)


@pytest.fixture(scope="module")
def module_scenario(shared_scenario: WorkerScenario, module_processes: ProcessGroup) -> WorkerScenario:
    shared_scenario.forget_accepted_writes()
    # The previous module may have restarted PostgreSQL.
    shared_scenario.services.engine.dispose()
    shared_scenario.services.critical_engine.dispose()
    return shared_scenario


@pytest.fixture
def scenario(module_scenario: WorkerScenario) -> Iterator[WorkerScenario]:
    """All workers run at the start, and must run at the end."""
    processes = module_scenario.processes
    processes.start_missing()
    yield module_scenario
    stopped = [name for name in PROCESS_NAMES if not processes.process_by_name[name].is_running]
    assert not stopped, processes.log_tails()


@pytest.fixture(scope="session")
def shared_web_processes(shared_scenario: WorkerScenario) -> list[ManagedProcess]:
    """Two web processes, stopped together with the workers."""
    return [shared_scenario.processes.start_web() for _ in range(2)]


@pytest.fixture
def web_processes(
    scenario: WorkerScenario, shared_web_processes: list[ManagedProcess]
) -> list[ManagedProcess]:
    for index, web_process in enumerate(shared_web_processes):
        if not web_process.is_running:
            shared_web_processes[index] = scenario.processes.start_web()
    return shared_web_processes


@pytest.fixture
def cluster(scenario: WorkerScenario, web_processes: list[ManagedProcess]) -> WebCluster:
    return WebCluster(scenario, web_processes)
