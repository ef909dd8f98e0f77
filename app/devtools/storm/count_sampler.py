"""Counts what is written, in a thread: a frozen PostgreSQL blocks it, and must not block the storm."""

import threading
import time

from sqlalchemy.exc import DBAPIError

from app.devtools.storm.ledger import StormStores, WrittenCounts
from app.domain.errors import Unavailable

INTERVAL_SECONDS = 0.5
MAX_AGE_SECONDS = 3.0
"""Older counts are not shown: PostgreSQL does not answer."""
STOP_TIMEOUT_SECONDS = 5.0


class CountSampler:
    def __init__(self, stores: StormStores) -> None:
        self._stores = stores
        self._latest: tuple[float, WrittenCounts] | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def latest(self) -> WrittenCounts | None:
        """None: unknown at the moment."""
        if self._latest is None or time.monotonic() - self._latest[0] > MAX_AGE_SECONDS:
            return None
        return self._latest[1]

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(STOP_TIMEOUT_SECONDS)

    def _run(self) -> None:
        while not self._stopped.wait(INTERVAL_SECONDS):
            try:
                counts = self._stores.count_written()
            except (Unavailable, DBAPIError):
                continue
            self._latest = (time.monotonic(), counts)
