"""The retention loop: once per interval, deletes what is past its retention, in batches with pauses.

In: the categories that no process completed within the interval. Out: deleted rows
(app/operations/retention.py). One process at a time does this, by lease. It goes round the
categories, one batch each, so that a large one does not delay the others. A restarted process goes on with
the categories that are still due.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping

from app.clients.leases import PostgresLease
from app.operations.retention import CategoryProgress, RetentionPurge
from app.operations.retention_categories import RETENTION_CATEGORIES, RetentionCategory

log = logging.getLogger(__name__)
MAX_DATABASE_SHARE = 0.1
"""The share of the time in which a batch runs, while there is something to delete."""
MIN_PAUSE_SECONDS = 0.05
LEASE_RETRY_SECONDS = 10.0
FAILURE_PAUSE_SECONDS = 30.0
MAX_IDLE_DELAY_SECONDS = 1.0
"""The loop records a heartbeat this often, at least."""


class RetentionLoop:
    def __init__(
        self,
        purge: RetentionPurge,
        lease: PostgresLease,
        interval_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`interval_seconds`: 0 switches the loop off."""
        self._purge = purge
        self._lease = lease
        self._interval_seconds = interval_seconds
        self._monotonic = monotonic
        self._due: deque[RetentionCategory] = deque()
        self._deleted_by_category: Counter[str] = Counter()
        self._next_step_at = 0.0

    def step(self) -> int:
        """Deletes at most one batch. Always returns 0: rest in between."""
        if not self._interval_seconds or (self._due and not self._keep_lease()):
            return 0
        if self._monotonic() < self._next_step_at:
            return 0
        if self._due or self._start_round():
            self._purge_next_category()
        return 0

    def idle_delay(self) -> float:
        if not self._interval_seconds:
            return MAX_IDLE_DELAY_SECONDS
        return min(MAX_IDLE_DELAY_SECONDS, max(MIN_PAUSE_SECONDS, self._next_step_at - self._monotonic()))

    def release_lease(self) -> None:
        self._lease.release()

    def _start_round(self) -> bool:
        due, seconds_until_next = due_categories(self._purge.read_progress(), self._interval_seconds)
        if not due:
            self._rest(seconds_until_next)
            return False
        self._due.extend(due)
        return self._keep_lease()

    def _keep_lease(self) -> bool:
        """Also called during pauses, which may be longer than the lease."""
        if self._lease.acquire_or_renew():
            return True
        self._due.clear()
        self._rest(LEASE_RETRY_SECONDS)
        return False

    def _purge_next_category(self) -> None:
        category = self._due[0]
        # First, so that after an error the others come before it.
        self._due.rotate(-1)
        self._rest(FAILURE_PAUSE_SECONDS)
        started_at = self._monotonic()
        result = self._purge.purge_batch(category)
        duration_seconds = self._monotonic() - started_at
        self._deleted_by_category[category.name] += result.deleted_count
        if not result.has_more:
            self._due.pop()
        if not self._due:
            self._log_round()
        self._rest(max(MIN_PAUSE_SECONDS, duration_seconds * (1 / MAX_DATABASE_SHARE - 1)))

    def _log_round(self) -> None:
        deleted = {name: count for name, count in self._deleted_by_category.items() if count}
        self._deleted_by_category.clear()
        if deleted:
            log.info(
                "Deleted rows past their retention: %s",
                ", ".join(f"{count} {name}" for name, count in deleted.items()),
                extra={"event": "retention_round_completed"},
            )

    def _rest(self, seconds: float) -> None:
        self._next_step_at = self._monotonic() + seconds


def due_categories(
    progress_by_category: Mapping[str, CategoryProgress], interval_seconds: float
) -> tuple[list[RetentionCategory], float]:
    """The categories that were not completed within the interval, and the seconds until the next is due."""
    due: list[RetentionCategory] = []
    seconds_until_next = interval_seconds
    for name, category in RETENTION_CATEGORIES.items():
        progress = progress_by_category.get(name)
        if progress is None or progress.completed_seconds_ago is None:
            due.append(category)
            continue
        remaining_seconds = interval_seconds - progress.completed_seconds_ago
        if remaining_seconds <= 0:
            due.append(category)
        else:
            seconds_until_next = min(seconds_until_next, remaining_seconds)
    return due, seconds_until_next
