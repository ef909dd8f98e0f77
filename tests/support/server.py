"""WebServer: one web process and its workers, started as `make run` does, for the browser tests.

base_url                      address of the web process
processes.restart("flusher")  restarts a worker (tests/support/processes.py)
restart_web()                 kills the web process and starts a new one on the same port
"""

from dataclasses import dataclass, field

from harness.network import free_port
from harness.processes import ManagedProcess
from tests.support.processes import ProcessGroup


@dataclass
class WebServer:
    processes: ProcessGroup
    port: int = field(default_factory=free_port)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def web_process(self) -> ManagedProcess:
        return self.processes.process_by_name["web"]

    def start(self) -> None:
        """Starts the processes that do not run and waits until the web process accepts writes."""
        self.processes.start_missing()
        self.start_web()
        self.processes.wait_until_redis_enabled()

    def start_web(self) -> None:
        self.processes.process_by_name["web"] = self.processes.start_web(self.port)

    def restart_web(self) -> None:
        self.web_process.kill()
        self.start_web()

    def restart_missing(self) -> None:
        """Starts the processes that a previous test killed."""
        self.processes.start_missing()
        if not self.web_process.is_running:
            self.start_web()
