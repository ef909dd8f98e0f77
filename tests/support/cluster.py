"""WebCluster: two web processes and the workers, for tests over HTTP and sockets."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from harness.processes import ManagedProcess
from harness.waiting import WaitTimeoutError, wait_until
from tests.support.http_client import HttpClient, register_client
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
