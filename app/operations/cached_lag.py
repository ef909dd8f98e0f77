"""Consumer lag for the dashboard, read from Kafka at most every two seconds."""

import time
from collections.abc import Callable, Sequence

import gevent

from app.domain.errors import Unavailable
from app.operations.consumer_lag import PartitionOffset

KAFKA_TIMEOUT_SECONDS = 1.5
LAG_CACHE_SECONDS = 2.0


class CachedPartitionOffsets:
    """Shared by all requests of a process, so that Kafka's load does not grow with open dashboards."""

    def __init__(self, fetch_offsets: Callable[[], Sequence[PartitionOffset]]) -> None:
        self._fetch_offsets = fetch_offsets
        self._cached_offsets: Sequence[PartitionOffset] = ()
        self._expires_at = 0.0

    def __call__(self) -> Sequence[PartitionOffset]:
        """Raises Unavailable."""
        if time.monotonic() >= self._expires_at:
            with gevent.Timeout(KAFKA_TIMEOUT_SECONDS, Unavailable("Kafka did not answer in time")):
                self._cached_offsets = self._fetch_offsets()
            self._expires_at = time.monotonic() + LAG_CACHE_SECONDS
        return self._cached_offsets
