"""The loop around every worker: prepare, step, idle delay, heartbeat, retry, stop."""

import logging
import random
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import gevent
from gevent.event import Event

from app.clients import circuit_breaker
from app.clients.outage_log import Outage
from app.domain.backoff import backoff_delay
from app.domain.errors import Unavailable

log = logging.getLogger(__name__)
STEP_TIMEOUT_SECONDS = 100.0
"""More than twice the longest wait for PostgreSQL: a longer step hangs in some library."""
SHUTDOWN_GRACE_SECONDS = 3.0
MAX_BATCH_BURST = 20
"""How many batches may follow each other without a rest after a quiet time."""
CLOSE_TIMEOUT_SECONDS = 0.8
"""Stopping takes at most four seconds (contract); honcho kills after five."""


class StepTimeout(Exception):
    """A step did not end in time."""


def noop() -> None:
    return None


@dataclass
class Worker:
    """`step` processes one bounded batch and returns the number of items moved; 0 means idle."""

    name: str
    step: Callable[[], int]
    idle_delay: Callable[[], float]
    heartbeat: Callable[[str], object]
    prepare: Callable[[], object] = noop
    close: Callable[[], object] = noop
    batch_interval_seconds: float = 0.0
    """See WorkerLoop (app/domain/worker_loops.py)."""
    stop_event: Event = field(default_factory=Event)
    consecutive_failures: int = 0
    next_batch_at: float = 0.0
    """When the next batch would start if all of them kept the interval; in the past while a burst is left."""
    outage: Outage = field(init=False)
    """Errors of this loop that belong to no service."""

    def __post_init__(self) -> None:
        self.outage = Outage(self.name)

    def run(self) -> None:
        """Runs until stop_event is set. Waits for unavailable services with a jittered back-off."""
        is_prepared = False
        while not self.stop_event.is_set():
            self.heartbeat(self.name)
            try:
                if not is_prepared:
                    self.prepare()
                    is_prepared = True
                with gevent.Timeout(STEP_TIMEOUT_SECONDS, StepTimeout):
                    moved_count = self.step()
                delay_seconds = self._schedule_next_batch() if moved_count else self.idle_delay()
                self.consecutive_failures = 0
                self.outage.record_success()
            except Unavailable as exc:
                outage = circuit_breaker.outage_for_error_code(exc.code) or self.outage
                outage.record_failure(f"{self.name} waits: {exc}", f"{self.name} waits")
                delay_seconds = self._count_failure_and_get_delay()
            except StepTimeout:
                log.exception(
                    "%s hangs and is restarted with new clients", self.name, extra={"event": "step_timed_out"}
                )
                self._close_after_timeout()
                delay_seconds = self._count_failure_and_get_delay()
            except Exception as exc:
                # A bug, or an unexpected error of a library. Nothing was acknowledged, so a retry is safe;
                # exiting would end the other processes too (honcho).
                error_type, frame_summary = (
                    type(exc).__name__,
                    traceback.extract_tb(exc.__traceback__)[-1],
                )
                self.outage.record_failure(
                    f"{self.name} failed with an unexpected error: {error_type}",
                    f"{error_type} in {frame_summary.name}, line {frame_summary.lineno}",
                    exc,
                )
                delay_seconds = self._count_failure_and_get_delay()
            self.stop_event.wait(delay_seconds)

    def _schedule_next_batch(self) -> float:
        """Returns the delay in seconds until the next batch may start."""
        now = time.monotonic()
        burst_start = now - MAX_BATCH_BURST * self.batch_interval_seconds
        self.next_batch_at = max(self.next_batch_at, burst_start) + self.batch_interval_seconds
        return max(0.0, self.next_batch_at - now)

    def _close_after_timeout(self) -> None:
        """Releases what the step held. Exiting would end the other processes too (honcho)."""
        try:
            with gevent.Timeout(SHUTDOWN_GRACE_SECONDS, StepTimeout):
                self.close()
        except Exception as exc:  # new clients are created in any case
            log.warning(
                "Closing %s failed: %s",
                self.name,
                type(exc).__name__,
                extra={"event": "worker_close_failed"},
            )

    def _count_failure_and_get_delay(self) -> float:
        self.consecutive_failures += 1
        return backoff_delay(
            self.consecutive_failures,
            base_seconds=0.1,
            max_seconds=1.0,
            random_unit=random.random(),  # noqa: S311 - a pause
        )


def run_workers(workers: Sequence[Worker], grace_seconds: float = SHUTDOWN_GRACE_SECONDS) -> int:
    """Runs until SIGTERM or SIGINT. Returns 0 if every loop ended by itself within `grace_seconds`."""
    stop_requested = Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(signal_number, stop_requested.set)
    greenlets = [gevent.spawn(worker.run) for worker in workers]
    for greenlet in greenlets:
        greenlet.link(lambda _: stop_requested.set())
    stop_requested.wait()
    for worker in workers:
        worker.stop_event.set()
    deadline = time.monotonic() + grace_seconds + CLOSE_TIMEOUT_SECONDS
    finished = gevent.joinall(greenlets, timeout=grace_seconds)
    gevent.killall(greenlets, timeout=CLOSE_TIMEOUT_SECONDS / 2)
    closing_greenlets = [gevent.spawn(worker.close) for worker in workers]
    # The time that ending early left over may be used for closing.
    gevent.joinall(closing_greenlets, timeout=max(CLOSE_TIMEOUT_SECONDS / 2, deadline - time.monotonic()))
    is_clean = len(finished) == len(greenlets) and all(greenlet.successful() for greenlet in finished)
    return 0 if is_clean else 1
