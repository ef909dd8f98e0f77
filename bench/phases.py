"""Where the time of a flush goes: Redis by the calls of Windows, SQL by what a statement writes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from sqlalchemy import Engine, event

from app.stores.windows import Closing, Windows

CLAIM, ROWS, GROUP, REST, COMMIT, SETTLE, PYTHON = (
    "claim",
    "rows and counter",
    "group ledger",
    "other SQL (locks, audience, frames)",
    "commit",
    "settle",
    "Python between",
)
_WRITES = {
    "insert into likes": ROWS,
    "update posts": ROWS,
    "insert into notification": GROUP,
    "update notification_actors": GROUP,
}


class Phases:
    """A stopwatch per phase. Hooks of SQLAlchemy and a subclass: the product is as it is."""

    def __init__(self, engine: Engine) -> None:
        self._spent = dict.fromkeys((CLAIM, ROWS, GROUP, REST, COMMIT, SETTLE), 0.0)
        self._began = 0.0
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)
        # The first is called as a commit begins, the second when the pool has the connection back.
        event.listen(engine, "commit", self._before)
        event.listen(engine, "checkin", self._committed)

    def watched(self, connection: redis.Redis) -> "WatchedWindows":
        return WatchedWindows(connection, self)

    @contextmanager
    def measured(self) -> Iterator[Callable[[float], dict[str, float]]]:
        """Yields what tells, after the end, how many ms of the given seconds each phase took."""
        self._spent = dict.fromkeys(self._spent, 0.0)

        def told(seconds: float) -> dict[str, float]:
            between = seconds - sum(self._spent.values())
            return {name: one * 1000 for name, one in self._spent.items()} | {
                PYTHON: between * 1000
            }

        yield told

    @contextmanager
    def counting(self, phase: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._spent[phase] += time.perf_counter() - began

    def _before(self, *_: Any) -> None:
        self._began = time.perf_counter()

    def _after(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self._spent[phase_of(statement)] += time.perf_counter() - self._began

    def _committed(self, *_: Any) -> None:
        self._spent[COMMIT] += time.perf_counter() - self._began


class WatchedWindows(Windows):
    def __init__(self, connection: redis.Redis, phases: Phases) -> None:
        super().__init__(connection)
        self._phases = phases

    def claim_due(self, *asked: Any) -> list[Closing]:
        with self._phases.counting(CLAIM):
            return super().claim_due(*asked)

    def settle(self, *told: Any) -> None:
        with self._phases.counting(SETTLE):
            super().settle(*told)


def phase_of(statement: str) -> str:
    words = " ".join(statement.split())
    return next((phase for start, phase in _WRITES.items() if words.startswith(start)), REST)
