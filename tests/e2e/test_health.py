"""GET /health of a web process while its PostgreSQL is killed, frozen and restarted."""

import time
from collections.abc import Iterator

import pytest
import redis

from harness.processes import ManagedProcess
from harness.waiting import wait_until
from infra.services import EmbeddedServices
from tests.conftest import start_services
from tests.support.http_client import send_request
from tests.support.processes import ProcessGroup

pytestmark = [pytest.mark.service, pytest.mark.time_limit]
MAX_AGE_SECONDS = 1.0
MAX_RESPONSE_SECONDS = 1.0
RECOVERY_SECONDS = 10.0


@pytest.fixture(scope="module")
def dedicated_postgres() -> Iterator[EmbeddedServices]:
    """A PostgreSQL that no other test uses, so that it may be stopped."""
    with start_services("postgres") as running:
        yield running


@pytest.fixture(scope="module")
def processes(
    environment: dict[str, str],
    dedicated_postgres: EmbeddedServices,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ProcessGroup]:
    connection = redis.Redis.from_url(environment["REDIS_URL"])
    own_environment = environment | dedicated_postgres.env("postgres")
    processes = ProcessGroup(own_environment, tmp_path_factory.mktemp("health"), connection)
    yield processes
    processes.stop_all()
    connection.close()


@pytest.fixture
def web_process(processes: ProcessGroup, dedicated_postgres: EmbeddedServices) -> Iterator[ManagedProcess]:
    dedicated_postgres.start("postgres")
    yield processes.start_web()
    dedicated_postgres.start("postgres")
    processes.stop_all()


def read_database_status(web_process: ManagedProcess) -> str:
    response = send_request("GET", f"{web_process.base_url}/health")
    assert (response.status, response.body["status"]) == (200, "healthy"), web_process.log_tail()
    return str(response.body["database"])


@pytest.mark.parametrize("fault", ["kill", pytest.param("pause", marks=pytest.mark.drill)])
def test_health_response_reports_an_outage_after_the_check_interval(
    web_process: ManagedProcess, dedicated_postgres: EmbeddedServices, fault: str
) -> None:
    assert read_database_status(web_process) == "connected"
    getattr(dedicated_postgres, fault)("postgres")
    stopped_at = time.monotonic()
    wait_until(lambda: time.monotonic() - stopped_at >= MAX_AGE_SECONDS, "the end of the check interval", 5)

    started_at = time.monotonic()
    status = read_database_status(web_process)

    assert status == "disconnected"
    assert time.monotonic() - started_at < MAX_RESPONSE_SECONDS
    dedicated_postgres.start("postgres")
    wait_until(lambda: read_database_status(web_process) == "connected", "the recovery", RECOVERY_SECONDS)
