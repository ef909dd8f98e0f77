"""Whether the answer to this request may lag: its counts came from rows while Redis was away or not
trusted. Whoever reads them so marks it; the answer then says `stale: true` (contract 6.20).

Kept in Flask's `g`: new for each request, and nothing at all in a worker.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from flask import g, has_app_context

from app.domain.errors import Unavailable

log = logging.getLogger(__name__)
_NAME = "counts_may_lag"


@contextmanager
def unless_away() -> Iterator[None]:
    """For what Redis alone knows: while it is away the answer goes without it, and says so."""
    try:
        yield
    except Unavailable as fault:
        log.info("Answered without Redis: %s", fault)
        mark()


def mark() -> None:
    if has_app_context():
        setattr(g, _NAME, True)


def is_marked() -> bool:
    return bool(has_app_context() and g.get(_NAME, False))
