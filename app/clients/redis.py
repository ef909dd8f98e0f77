"""Redis: creates clients with timeouts, loads Lua scripts, builds keys and translates connection errors.

redis-py's default of ten silent retries may apply a write twice (measured), so retries are off
and each caller decides. Pools are bounded, because a burst of greenlets would open a connection each.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from app.clients import circuit_breaker
from app.domain.errors import RedisUnavailable, Unavailable
from app.domain.routing import ingress_shard_of_object

PACKAGE_DIR = Path(__file__).resolve().parent.parent
COMMAND_TIMEOUT_SECONDS = 1.0
READ_CIRCUIT_OPEN_SECONDS = 1.0
TIMEOUT_BACKOFF_SECONDS = 0.5
CONNECT_TIMEOUT_SECONDS = 0.5
POOL_WAIT_TIMEOUT_SECONDS = 0.5
CLIENT_ERRORS = (redis.exceptions.MaxConnectionsError, redis.exceptions.AuthenticationError)
POOL_EXHAUSTED_MESSAGE = (
    "No connection available."  # of BlockingConnectionPool, which raises no specific class
)


def create_redis_client(url: str, max_connections: int = 32) -> redis.Redis:
    """A client for commands. Connects at its first use."""
    return _create_redis_client_with_timeout(url, max_connections, COMMAND_TIMEOUT_SECONDS)


def _create_redis_client_with_timeout(
    url: str, max_connections: int, socket_timeout_seconds: float
) -> redis.Redis:
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=POOL_WAIT_TIMEOUT_SECONDS,
        socket_timeout=socket_timeout_seconds,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        redis_connect_func=_on_connect,
        # A value that is not UTF-8 must not make others in the same reply unreadable.
        encoding_errors="backslashreplace",
    )
    return redis.Redis(connection_pool=pool)


def _on_connect(connection: Any) -> None:
    """Redis may have been unavailable before this connection, although no call failed."""
    REDIS_HEALTH.failure_count += 1
    connection.on_connect()


def register_script(connection: "redis.Redis", name: str) -> Script:
    """Registers the Lua script `name`, given as "<package>/<file>": "ingest/set_membership" is
    app/ingest/lua/set_membership.lua."""
    return connection.register_script(read_lua_source(name))


def read_lua_source(name: str) -> str:
    """The text of the Lua script `name` (see register_script)."""
    package, _, script = name.partition("/")
    return (PACKAGE_DIR / package / "lua" / f"{script}.lua").read_text()


class RedisHealth:
    """The failures of Redis in this process. After a timeout, calls fail at once for a moment, long before
    the breaker opens, so that a request with several calls waits once.
    """

    def __init__(self) -> None:
        self.failure_count = 0
        """Increases with each failure; data read before a change may be outdated."""
        self._backoff_until = 0.0

    def raise_if_backing_off(self) -> None:
        """Raises Unavailable."""
        if time.monotonic() < self._backoff_until:
            self.failure_count += 1
            raise RedisUnavailable("Redis timed out a moment ago")

    def clear_backoff(self) -> None:
        """Allows calls again, because Redis was not the cause of the timeout."""
        self._backoff_until = 0.0

    def record_failure(self, exc: Exception) -> None:
        self.failure_count += 1
        if isinstance(exc, redis.TimeoutError):
            self._backoff_until = time.monotonic() + TIMEOUT_BACKOFF_SECONDS


REDIS_HEALTH = RedisHealth()


@contextmanager
def translate_errors(operation: str) -> Iterator[None]:
    """Turns connection errors of Redis into Unavailable, also at once while its breaker is open. `operation`
    completes the message "could not ..."."""
    REDIS_HEALTH.raise_if_backing_off()
    try:
        with circuit_breaker.REDIS.guard_call(_is_unavailable):
            yield
    except Unavailable as exc:
        REDIS_HEALTH.record_failure(exc)
        raise
    except redis.exceptions.AuthenticationError as exc:
        raise Unavailable(
            f"Redis refused the user or password of REDIS_URL: could not {operation}", "redis_authentication"
        ) from exc
    except (redis.ConnectionError, redis.TimeoutError) as exc:
        if not _is_unavailable(exc):
            raise Unavailable(f"Too many calls wait for Redis: could not {operation}", "redis_busy") from exc
        REDIS_HEALTH.record_failure(exc)
        raise RedisUnavailable(f"Redis is unavailable: could not {operation}") from exc
    except redis.exceptions.OutOfMemoryError as exc:
        raise Unavailable(f"Redis is out of memory: could not {operation}", "redis_full") from exc


def _is_unavailable(exc: BaseException) -> bool:
    """Refused, cut off, timed out or still loading; but not out of memory, nor an exhausted pool."""
    if isinstance(exc, CLIENT_ERRORS) or str(exc) == POOL_EXHAUSTED_MESSAGE:
        return False
    return isinstance(exc, redis.ConnectionError | redis.TimeoutError)


def ping_or_raise(url: str) -> None:
    """The probe of the breaker, on a connection of its own. Raises redis-py's errors."""
    ping_client = redis.Redis.from_url(
        url,
        socket_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        ping_client.ping()
    finally:
        ping_client.close()


class RedisReadCircuit:
    """For reads that PostgreSQL can answer as well. After a failure, calls fail at once for
    READ_CIRCUIT_OPEN_SECONDS, long before the breaker opens, so that a page with three reads waits once.
    """

    def __init__(self) -> None:
        self._open_until = 0.0

    @contextmanager
    def guard_read(self, operation: str) -> Iterator[None]:
        """Raises Unavailable, at once after a recent failure."""
        if time.monotonic() < self._open_until:
            raise RedisUnavailable(f"Redis was unavailable a moment ago: could not {operation}")
        try:
            with translate_errors(operation):
                yield
        except Unavailable:
            self._open_until = time.monotonic() + READ_CIRCUIT_OPEN_SECONDS
            raise


class ClusterTags:
    """Hash tags of keys, for a Redis cluster: one per ingress shard."""

    def __init__(self) -> None:
        self.shard_count: int | None = None
        """None: one server. Then keys have no tags."""

    def slots(self) -> Sequence[int | None]:
        """The shards whose keys have names of their own: all of them in a cluster, else one for all."""
        return (None,) if self.shard_count is None else range(self.shard_count + 1)


CLUSTER_TAGS = ClusterTags()


def redis_key(*parts: str | int, slot_of: str | int | None = None) -> str:
    """The parts joined by colons (docs/stores.md lists the keys).

    `slot_of`: the ingress shard whose hash slot the key belongs to, or an object of that shard. In a cluster
    the shard is added as a hash tag, so that a script finds the stream of a shard and all keys of its objects
    in one slot.
    """
    if slot_of is not None and CLUSTER_TAGS.shard_count is not None:
        is_shard = isinstance(slot_of, int)
        shard = slot_of if is_shard else ingress_shard_of_object(str(slot_of), CLUSTER_TAGS.shard_count)
        parts = (*parts, f"{{{shard}}}")
    return ":".join(str(part) for part in parts)
