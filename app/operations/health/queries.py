"""Queries: bounded reads of a service, at most one at a time each.

In: a function that reads one service. Out: an Answer, also while the service is unavailable. Nothing is
raised.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import gevent

from app.domain.errors import Unavailable

log = logging.getLogger(__name__)
T = TypeVar("T")


class QueryTimedOut(Exception):
    """No client translates it, so that a slow report does not count as a failure of the service."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    value: T | None
    latency_ms: float | None = None
    code: str = ""
    """Why there is no value: the code of Unavailable, "timeout" or "check_failed". Empty: there is one."""
    reason: str = ""


class Query(Generic[T]):
    """Callers at the same time share one read, and later ones its answer for `max_age_seconds`."""

    def __init__(
        self, service: str, read: Callable[[], T], timeout_seconds: float, max_age_seconds: float = 0.0
    ) -> None:
        self.service = service
        self._read = read
        self._timeout_seconds = timeout_seconds
        self._max_age_seconds = max_age_seconds
        self._greenlet: gevent.Greenlet[..., Answer[T]] | None = None
        self._started_at = 0.0

    def start(self) -> "gevent.Greenlet[..., Answer[T]]":
        now = time.monotonic()
        if self._greenlet is None or (
            self._greenlet.ready() and now - self._started_at >= self._max_age_seconds
        ):
            self._greenlet, self._started_at = gevent.spawn(self._run), now
        return self._greenlet

    def _run(self) -> Answer[T]:
        started_at = time.perf_counter()
        try:
            with gevent.Timeout(self._timeout_seconds, QueryTimedOut()):
                value = self._read()
        except QueryTimedOut:
            return no_answer(self._timeout_seconds)
        except Unavailable as exc:
            return Answer(None, code=exc.code, reason=f"{exc} ({type(exc.__cause__ or exc).__name__})")
        except Exception as exc:  # a bug, or an unexpected error of a library
            log.exception("A query of %s failed", self.service, extra={"event": "health_query_failed"})
            return Answer(None, code="check_failed", reason=type(exc).__name__)
        return Answer(value, round((time.perf_counter() - started_at) * 1000, 1))


def no_answer(timeout_seconds: float) -> Answer[Any]:
    return Answer(None, code="timeout", reason=f"no answer within {timeout_seconds:g} s")


def run_queries(queries: Sequence[Query[Any]], timeout_seconds: float) -> list[Answer[Any]]:
    """Runs all of them at the same time and returns their answers in the same order."""
    greenlets = [query.start() for query in queries]
    gevent.joinall(greenlets, timeout=timeout_seconds)
    return [greenlet.value or no_answer(timeout_seconds) for greenlet in greenlets]
