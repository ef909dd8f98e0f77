"""WebCluster: web processes and the workers, for tests over HTTP and sockets."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from sqlalchemy import create_engine

from app.clients.postgres import psycopg2_url
from harness.processes import ManagedProcess
from harness.waiting import WaitTimeoutError, wait_until
from infra.services import EmbeddedServices
from tests.support.http_client import HttpClient, register_client
from tests.support.isolated_app import build_services
from tests.support.processes import ProcessGroup
from tests.support.scenario import WorkerScenario


@dataclass
class WebCluster:
    scenario: WorkerScenario
    web_processes: list[ManagedProcess]

    def register_clients(self, *names: str) -> list[HttpClient]:
        """Registers users over HTTP, each at a random web process."""
        return [register_client(random.choice(self.web_processes).base_url, name) for name in names]

    def client_per_process(self, client: HttpClient) -> list[HttpClient]:
        """The client of one user, once for each web process."""
        return [client.at_server(web_process.base_url) for web_process in self.web_processes]

    def wait_until(
        self, condition: Callable[[], object], description: str, timeout_seconds: float = 90.0
    ) -> None:
        """Polls the condition; after the time-out it fails with the logs of all processes."""
        try:
            wait_until(condition, description, timeout_seconds)
        except WaitTimeoutError as exc:
            logs = "\n".join(web_process.log_tail() for web_process in self.web_processes)
            raise WaitTimeoutError(f"{exc}\n{self.scenario.processes.log_tails()}\n{logs}") from None


@contextmanager
def start_cluster(
    environment: dict[str, str], log_dir: Path, web_process_count: int = 2
) -> Iterator[WebCluster]:
    """Workers and web processes of their own, with this environment."""
    engine = create_engine(psycopg2_url(environment["DATABASE_URL"]))
    connection = redis.Redis.from_url(environment["REDIS_URL"], decode_responses=True)
    processes = ProcessGroup(environment, log_dir, connection)
    with build_services(environment) as services:
        try:
            processes.start_missing()
            processes.wait_until_redis_enabled()
            scenario = WorkerScenario(processes, services, engine)
            yield WebCluster(scenario, [processes.start_web() for _ in range(web_process_count)])
        finally:
            processes.stop_all()
            engine.dispose()


@contextmanager
def outage(services: EmbeddedServices, name: str, fault: str = "killed") -> Iterator[None]:
    """The service is killed or frozen, and runs again afterwards."""
    (services.kill if fault == "killed" else services.pause)(name)
    try:
        yield
    finally:
        if fault == "frozen":
            services.resume(name)
        services.start(name)
