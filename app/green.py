"""The patch: the first call of every entry point.

gevent replaces the blocking parts of the standard library, psycogreen those of psycopg2 (C code
that the patch cannot reach: one slow query would stop everybody, field notes 3).
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
TURN = 100
"""Of what takes some 30 us each: a turn is a few milliseconds."""
SPENT = "the request has waited long enough"
"""What a wait says that did not even begin: no fault of PostgreSQL."""
WORKER_SECONDS = 40.0
"""Above a worker's statement_timeout: only a server that is frozen or cut off takes longer."""


class Patience(Protocol):
    """How long the caller may still wait for PostgreSQL, and what it has just waited."""

    def left(self) -> float: ...

    def waited(self, seconds: float) -> None: ...


class Always:
    """The same patience for each wait."""

    def left(self) -> float:
        return WORKER_SECONDS

    def waited(self, seconds: float) -> None:
        pass


_patience: Patience = Always()


def patch() -> None:
    """Patches once; a second call does nothing. Fails when it comes too late."""
    from gevent import monkey

    if monkey.is_module_patched("socket"):
        return
    # A TLS context of the unpatched class recurses for ever at its first use. gunicorn itself
    # imports ssl before it reads its configuration, but makes nothing from it.
    if "ssl" in sys.modules and "gunicorn" not in sys.modules:
        raise RuntimeError("green.patch() must run before anything imports ssl")
    monkey.patch_all()
    wait_with(Always())


def fairly(items: Iterable[T]) -> Iterator[T]:
    """The same, and after each hundred everybody else has a turn, those too who wait for a socket
    or the clock. gevent.sleep(0) lets only those go who are ready by then, fifty times over before
    it looks any further (measured: 200 ms in S3)."""
    import gevent

    for place, item in enumerate(items, 1):
        yield item
        if place % TURN == 0:
            gevent.sleep(1e-6)


def wait_with(patience: Patience) -> None:
    """From now on nobody waits for PostgreSQL longer than that.

    libpq has no end to its waiting: the kernel of a frozen server goes on confirming, so neither
    statement_timeout nor tcp_user_timeout helps (measured: reads hung as long as it was frozen).
    """
    from psycogreen.gevent import gevent_wait_callback
    from psycopg2.extensions import set_wait_callback

    global _patience
    _patience = patience
    set_wait_callback(_bounded(gevent_wait_callback, patience))


@contextmanager
def waiting() -> Iterator[None]:
    """A place in a queue for a connection: that is waiting for PostgreSQL as well. What the
    connection itself waits for in here counts once."""
    began, left = time.monotonic(), _patience.left()
    try:
        yield
    finally:
        counted = left - _patience.left()
        _patience.waited(max(0.0, time.monotonic() - began - counted))


def _bounded(wait: Callable[..., None], patience: Patience) -> Callable[[Any], None]:
    from psycopg2 import OperationalError

    def bounded(connection: Any) -> None:
        began, left = time.monotonic(), patience.left()
        if left <= 0:
            raise OperationalError(SPENT)
        try:
            wait(connection, timeout=left)
        except TimeoutError as fault:
            # Raised in here, it also closes the connection: a late answer must find nobody.
            raise OperationalError("no answer in time") from fault
        finally:
            patience.waited(time.monotonic() - began)

    return bounded
