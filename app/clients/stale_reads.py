"""Marks the response of the current request as stale (`stale: true`).

It is, when its counts came from PostgreSQL because Redis was unavailable or suspect. The mark is in Flask's
`g`, which is new for each request; in a worker there is none.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from flask import g, has_app_context

from app.domain.errors import Unavailable

log = logging.getLogger(__name__)
_STALE_KEY = "counts_may_lag"


@contextmanager
def mark_stale_if_redis_unavailable() -> Iterator[None]:
    """For data that is only in Redis: while it is unavailable, the response is stale and without it."""
    try:
        yield
    except Unavailable as exc:
        log.info("Responding without data from Redis: %s", exc, extra={"event": "redis_read_skipped"})
        mark_response_stale()


def mark_response_stale() -> None:
    if has_app_context():
        setattr(g, _STALE_KEY, True)


def is_response_stale() -> bool:
    return bool(has_app_context() and g.get(_STALE_KEY, False))
