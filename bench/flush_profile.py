"""Splits the time of a flush into phases: calls to Redis, SQL statements, commit, Python."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from sqlalchemy import Engine, event

from app.aggregation.windows import ClaimedWindow, WindowStore
from app.persistence.written_memberships import WrittenMembership, WrittenMemberships

CLAIM_PHASE, ROWS_PHASE, GROUP_PHASE, OTHER_SQL_PHASE, COMMIT_PHASE, SETTLE_PHASE, PYTHON_PHASE = (
    "claim",
    "rows and counter",
    "group and actors",
    "other SQL (locks, recipients, client events)",
    "commit",
    "settle",
    "Python between",
)
_PHASE_BY_STATEMENT_PREFIX = {
    "insert into likes": ROWS_PHASE,
    "update posts": ROWS_PHASE,
    "insert into notification": GROUP_PHASE,
    "update notification_actors": GROUP_PHASE,
}


class FlushProfiler:
    """Uses events of SQLAlchemy and subclasses of the two stores in Redis; the product is unchanged."""

    def __init__(self, engine: Engine) -> None:
        self._seconds_by_phase = dict.fromkeys(
            (CLAIM_PHASE, ROWS_PHASE, GROUP_PHASE, OTHER_SQL_PHASE, COMMIT_PHASE, SETTLE_PHASE), 0.0
        )
        self._started_at = 0.0
        event.listen(engine, "before_cursor_execute", self._start_timer)
        event.listen(engine, "after_cursor_execute", self._on_statement_executed)
        # "commit" is called when a commit begins, "checkin" when the connection is back in the pool.
        event.listen(engine, "commit", self._start_timer)
        event.listen(engine, "checkin", self._on_commit_done)

    def profiled_window_store(self, connection: redis.Redis) -> "ProfiledWindowStore":
        return ProfiledWindowStore(connection, self)

    def profiled_memberships(self, connection: redis.Redis) -> "ProfiledWrittenMemberships":
        return ProfiledWrittenMemberships(connection, self)

    @contextmanager
    def profile(self) -> Iterator[Callable[[float], dict[str, float]]]:
        """Yields a function that splits the given seconds into ms per phase, to be called afterwards."""
        self._seconds_by_phase = dict.fromkeys(self._seconds_by_phase, 0.0)

        def split_into_phases(seconds: float) -> dict[str, float]:
            python_seconds = seconds - sum(self._seconds_by_phase.values())
            return {name: phase_seconds * 1000 for name, phase_seconds in self._seconds_by_phase.items()} | {
                PYTHON_PHASE: python_seconds * 1000
            }

        yield split_into_phases

    @contextmanager
    def time_phase(self, phase: str) -> Iterator[None]:
        started_at = time.perf_counter()
        try:
            yield
        finally:
            self._seconds_by_phase[phase] += time.perf_counter() - started_at

    def _start_timer(self, *_: Any) -> None:
        self._started_at = time.perf_counter()

    def _on_statement_executed(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self._seconds_by_phase[phase_of_statement(statement)] += time.perf_counter() - self._started_at

    def _on_commit_done(self, *_: Any) -> None:
        self._seconds_by_phase[COMMIT_PHASE] += time.perf_counter() - self._started_at


class ProfiledWindowStore(WindowStore):
    def __init__(self, connection: redis.Redis, profiler: FlushProfiler) -> None:
        super().__init__(connection)
        self._profiler = profiler

    def claim_due_windows(self, *args: Any) -> list[ClaimedWindow]:
        with self._profiler.time_phase(CLAIM_PHASE):
            return super().claim_due_windows(*args)

    def settle_windows(self, *args: Any) -> None:
        with self._profiler.time_phase(SETTLE_PHASE):
            super().settle_windows(*args)


class ProfiledWrittenMemberships(WrittenMemberships):
    def __init__(self, connection: redis.Redis, profiler: FlushProfiler) -> None:
        super().__init__(connection)
        self._profiler = profiler

    def settle(self, memberships: Sequence[WrittenMembership]) -> None:
        with self._profiler.time_phase(SETTLE_PHASE):
            super().settle(memberships)


def phase_of_statement(statement: str) -> str:
    normalized = " ".join(statement.split())
    return next(
        (phase for prefix, phase in _PHASE_BY_STATEMENT_PREFIX.items() if normalized.startswith(prefix)),
        OTHER_SQL_PHASE,
    )
