"""Whether this process can use Redis: one place that counts failures, refuses calls and asks Redis itself.

In: the calls of this process to Redis, each inside `REDIS_HEALTH.guard_call()`. Out: Unavailable instead of
a call that would wait in vain; `version`, by which readers notice a failure; the outage in the log and the
state in /ready (app/clients/circuit_breaker.py). Whether all processes together use Redis is decided by
app/failover/redis_failover.py.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from app.clients.circuit_breaker import REDIS, Breaker
from app.domain.errors import RedisUnavailable, Unavailable

log = logging.getLogger(__name__)
REFUSE_AFTER_WAIT_SECONDS = 0.5
PING_TIMEOUT_SECONDS, BACKGROUND_PING_TIMEOUT_SECONDS = 0.3, 0.5
"""Of a request that has waited already, and of nobody."""
CLIENT_ERRORS = (redis.exceptions.MaxConnectionsError, redis.exceptions.AuthenticationError)
POOL_EXHAUSTED_MESSAGE = (
    "No connection available."  # of BlockingConnectionPool, which raises no specific class
)


class RedisHealth:
    """After a timeout, calls fail at once for a moment, long before the breaker opens, so that a request with
    several calls waits once."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self.version = 0
        """Increases with each failure; data read before a change may be outdated."""
        self._calls_refused_until = 0.0
        self._reads_refused_until = 0.0

    @contextmanager
    def guard_call(self, operation: str) -> Iterator[None]:
        """Turns connection errors of Redis into Unavailable, also at once while its breaker is open.
        `operation` completes the message "could not ..."."""
        try:
            if time.monotonic() < self._calls_refused_until:
                raise RedisUnavailable("Redis timed out a moment ago")
            with self._breaker.guard_call(_is_unavailable):
                yield
        except Unavailable:
            self.version += 1
            raise
        except redis.exceptions.AuthenticationError as exc:
            raise Unavailable(
                f"Redis refused the user or password of REDIS_URL: could not {operation}",
                "redis_authentication",
            ) from exc
        except (redis.ConnectionError, redis.TimeoutError) as exc:
            if not _is_unavailable(exc):
                raise Unavailable(
                    f"Too many calls wait for Redis: could not {operation}", "redis_busy"
                ) from exc
            self.version += 1
            if isinstance(exc, redis.TimeoutError):
                self._calls_refused_until = time.monotonic() + REFUSE_AFTER_WAIT_SECONDS
            raise RedisUnavailable(f"Redis is unavailable: could not {operation}") from exc
        except redis.exceptions.OutOfMemoryError as exc:
            raise Unavailable(f"Redis is out of memory: could not {operation}", "redis_full") from exc

    @contextmanager
    def guard_read(self, operation: str) -> Iterator[None]:
        """For reads that PostgreSQL can answer as well: also refused for a moment after one of them waited in
        vain for a free connection, so that a page with three reads waits once."""
        if time.monotonic() < self._reads_refused_until:
            raise Unavailable(f"Too many calls waited for Redis: could not {operation}", "redis_busy")
        try:
            with self.guard_call(operation):
                yield
        except Unavailable as exc:
            if exc.code == "redis_busy":
                self._reads_refused_until = time.monotonic() + REFUSE_AFTER_WAIT_SECONDS
            raise

    def require_reverification(self) -> None:
        """Call before a write that bypasses Redis, and after a notification that another process made one."""
        self.version += 1

    def is_answering(self, connection: redis.Redis) -> bool:
        """Whether Redis replies after another call timed out: on a busy machine this process may have been
        too slow. If it does, calls are allowed again at once."""
        try:
            ping_or_raise(connection, PING_TIMEOUT_SECONDS)
        except (redis.RedisError, OSError) as exc:
            log.debug("Redis does not reply to a ping: %s", exc, extra={"event": "redis_ping_failed"})
            return False
        self._calls_refused_until = 0.0
        self._breaker.record_outside_success()
        return True

    def ping_during_outages(self, connection: redis.Redis) -> None:
        """Ends outages by pings in the background instead of by a call of a request."""
        self._breaker.set_probe(lambda: ping_or_raise(connection, BACKGROUND_PING_TIMEOUT_SECONDS))


def ping_or_raise(connection: redis.Redis, timeout_seconds: float) -> None:
    """Sends PING on a new connection. Raises redis-py's errors and OSError."""
    pool = connection.connection_pool
    timeouts = {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}
    ping_connection = pool.connection_class(**(pool.connection_kwargs | timeouts))
    try:
        ping_connection.send_command("PING")
        ping_connection.read_response()
    finally:
        ping_connection.disconnect()


def _is_unavailable(exc: BaseException) -> bool:
    """Refused, cut off, timed out or still loading; but not out of memory, nor an exhausted pool."""
    if isinstance(exc, CLIENT_ERRORS) or str(exc) == POOL_EXHAUSTED_MESSAGE:
        return False
    return isinstance(exc, redis.ConnectionError | redis.TimeoutError)


REDIS_HEALTH = RedisHealth(REDIS)
