"""Makes blocking calls cooperative: patch_all() is the first call of every entry point.

gevent replaces the blocking parts of the standard library, psycogreen those of psycopg2, whose C code the
patch does not reach: one slow query would block every greenlet.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
ITEMS_PER_YIELD = 100
"""For items of about 30 us each: other greenlets wait a few milliseconds."""
BUDGET_EXHAUSTED = "the request has waited long enough"
"""The message of a wait that did not begin because no budget was left; not a failure of PostgreSQL."""
WORKER_TIMEOUT_SECONDS = 40.0
"""Above the statement_timeout of a worker: only a frozen or unreachable server takes longer."""


class PostgresTimeoutBudget(Protocol):
    """How long the caller may still wait for PostgreSQL; charge() records a wait."""

    def remaining_seconds(self) -> float: ...

    def charge(self, seconds: float) -> None: ...


class FixedPostgresTimeoutBudget:
    """The same timeout for each wait."""

    def remaining_seconds(self) -> float:
        return WORKER_TIMEOUT_SECONDS

    def charge(self, seconds: float) -> None:
        pass


_timeout_budget: PostgresTimeoutBudget = FixedPostgresTimeoutBudget()


def patch_all() -> None:
    """Patches once; further calls do nothing. Raises RuntimeError when it is called too late."""
    from gevent import monkey

    if monkey.is_module_patched("socket"):
        return
    # A TLS context of the unpatched class recurses endlessly at its first use. gunicorn imports ssl before it
    # reads its configuration, but does not use it until then.
    if "ssl" in sys.modules and "gunicorn" not in sys.modules:
        raise RuntimeError("patch_all() must run before anything imports ssl")
    monkey.patch_all()
    set_postgres_timeout_budget(FixedPostgresTimeoutBudget())


def iterate_cooperatively(items: Iterable[Item]) -> Iterator[Item]:
    """Yields the items, and lets all other greenlets run after each ITEMS_PER_YIELD.

    gevent.sleep(0) would not be enough: it runs ready greenlets fifty times before it looks at sockets and
    timers (measured: 200 ms)."""
    import gevent

    for position, item in enumerate(items, 1):
        yield item
        if position % ITEMS_PER_YIELD == 0:
            gevent.sleep(1e-6)


def set_postgres_timeout_budget(budget: PostgresTimeoutBudget) -> None:
    """Limits all waits of this process for PostgreSQL.

    libpq has no read timeout, and neither statement_timeout nor tcp_user_timeout helps when the server is
    frozen, because its kernel goes on acknowledging (measured: reads hung until it continued).
    """
    from psycogreen.gevent import gevent_wait_callback
    from psycopg2.extensions import set_wait_callback

    global _timeout_budget
    _timeout_budget = budget
    set_wait_callback(_with_timeout_budget(gevent_wait_callback, budget))


@contextmanager
def charge_pool_wait() -> Iterator[None]:
    """Charges the time in the block, which waits for a connection of the pool, to the budget. What the
    connection itself charges meanwhile is not counted twice."""
    started_at, remaining_before = time.monotonic(), _timeout_budget.remaining_seconds()
    try:
        yield
    finally:
        charged_seconds = remaining_before - _timeout_budget.remaining_seconds()
        _timeout_budget.charge(max(0.0, time.monotonic() - started_at - charged_seconds))


def _with_timeout_budget(
    wait_callback: Callable[..., None], budget: PostgresTimeoutBudget
) -> Callable[[Any], None]:
    from psycopg2 import OperationalError

    def wait(connection: Any) -> None:
        started_at, remaining_seconds = time.monotonic(), budget.remaining_seconds()
        if remaining_seconds <= 0:
            raise OperationalError(BUDGET_EXHAUSTED)
        try:
            wait_callback(connection, timeout=remaining_seconds)
        except TimeoutError as exc:
            # Raised in the wait callback, it also closes the connection, so that a late reply is never read.
            raise OperationalError("timed out") from exc
        finally:
            budget.charge(time.monotonic() - started_at)

    return wait
