"""Guard: no write is taken by a Redis that may throw it away.

In    blueprints/__init__.py (before each write)
Out   Unavailable with the sentence that says what to set

The look costs a round trip, so it is taken aside, every few seconds; only the first write waits for
it.
"""

import logging
import time

import gevent
import redis

from app.domain.errors import Unavailable
from app.stores.redis import wrong_policy

log = logging.getLogger(__name__)
EVERY_SECONDS = 2.0


class Guard:
    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._refusal: str | None = None
        self._next_look = 0.0

    def check(self) -> None:
        now = time.monotonic()
        if now >= self._next_look:
            first, self._next_look = self._next_look == 0.0, now + EVERY_SECONDS
            if first:
                self._look()
            else:
                gevent.spawn(self._look)
        if self._refusal is not None:
            raise Unavailable(self._refusal, "redis_policy")

    def _look(self) -> None:
        try:
            self._refusal = wrong_policy(self._redis)
        except Unavailable:
            # Away is not wrong: the write itself finds out, and has other ways to go.
            self._refusal = None
        except redis.ResponseError as fault:
            log.info("Redis does not tell its policy: %s", fault)
            self._refusal = None
        if self._refusal is not None:
            log.error("%s", self._refusal)
