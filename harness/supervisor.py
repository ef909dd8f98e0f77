"""Restarts processes that ended."""

import threading
from collections.abc import Callable

from harness.processes import ManagedProcess

SUPERVISOR_POLL_SECONDS = 0.1


class Supervisor:
    """Restarts a supervised process after a delay, as a service manager does."""

    def __init__(
        self, list_processes: Callable[[], list[ManagedProcess]], restart_delay_seconds: float = 0.5
    ) -> None:
        self._list_processes = list_processes
        self._restart_delay_seconds = restart_delay_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stopped.wait(SUPERVISOR_POLL_SECONDS):
            for process in self._list_processes():
                if process.is_supervised and process.popen is not None and not process.is_running:
                    process.unexpected_exits += 1
                    if self._stopped.wait(self._restart_delay_seconds):
                        return
                    if process.is_supervised:
                        process.start()
