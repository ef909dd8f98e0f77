"""Redis: the client, its patience, and every key's name.

redis-py's defaults are wrong for writes: ten silent retries apply a call twice (field notes 3,
measured), so retries are off and each caller decides. Pools have a size and a wait, or a burst of
greenlets would open a connection each.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from app import breakers
from app.domain.errors import Unavailable

SCRIPTS = Path(__file__).parent / "scripts"
COMMAND_SECONDS = 1.0
LOOK_AWAY_SECONDS = 1.0
SILENT_SECONDS = 0.5
CONNECT_SECONDS = 0.5
POOL_WAIT_SECONDS = 0.5
OUR_FAULT = (redis.exceptions.MaxConnectionsError, redis.exceptions.AuthenticationError)
POOL_IS_BUSY = "No connection available."  # BlockingConnectionPool's words; no class of its own
WRONG_POLICY = (
    "Redis runs with maxmemory-policy {policy}; it must be noeviction, "
    "or it would throw away likes that nobody has written down yet."
)


def client(url: str, connections: int = 32) -> redis.Redis:
    """For commands. Raises nothing until it is used."""
    return _client(url, connections, COMMAND_SECONDS)


def _client(url: str, connections: int, seconds: float) -> redis.Redis:
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=POOL_WAIT_SECONDS,
        socket_timeout=seconds,
        socket_connect_timeout=CONNECT_SECONDS,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        redis_connect_func=_connected,
        # Whoever wrote bytes that are no text must not stop the reader of their neighbours.
        encoding_errors="backslashreplace",
    )
    return redis.Redis(connection_pool=pool)


def _connected(connection: Any) -> None:
    """A new connection may be one to a Redis that was away, though no call of ours met it so."""
    TRUST.faults += 1
    connection.on_connect()


def script(connection: "redis.Redis", name: str) -> Script:
    """A script of stores/scripts by its file name."""
    return connection.register_script((SCRIPTS / f"{name}.lua").read_text())


class Trust:
    """What this process has lived through with Redis. One that was silent is not asked for a
    moment, long before its breaker opens: who asks it several times must not wait several times.
    """

    def __init__(self) -> None:
        self.faults = 0
        """How often it let us down: whoever relied on it looks again when this has changed."""
        self._silent_until = 0.0

    def ask(self) -> None:
        """Raises Unavailable."""
        if time.monotonic() < self._silent_until:
            self.faults += 1
            raise Unavailable("Redis was silent just now", "redis_unavailable")

    def heard(self) -> None:
        """It was not Redis that was slow."""
        self._silent_until = 0.0

    def lost(self, fault: Exception) -> None:
        self.faults += 1
        if isinstance(fault, redis.TimeoutError):
            self._silent_until = time.monotonic() + SILENT_SECONDS


TRUST = Trust()


@contextmanager
def speaking(what: str) -> Iterator[None]:
    """Turns Redis's connection faults into Unavailable, at the edge that knows Redis, and asks it
    only while its breaker trusts it."""
    TRUST.ask()
    try:
        with breakers.REDIS.passage(_is_away):
            yield
    except Unavailable as fault:
        TRUST.lost(fault)
        raise
    except (redis.ConnectionError, redis.TimeoutError) as fault:
        if not _is_away(fault):
            raise Unavailable(f"Too many want Redis to {what}", "redis_busy") from fault
        TRUST.lost(fault)
        raise Unavailable(f"Redis did not {what} in time", "redis_unavailable") from fault
    except redis.exceptions.OutOfMemoryError as fault:
        raise Unavailable(f"Redis cannot {what} now", "redis_full") from fault


def _is_away(fault: BaseException) -> bool:
    """Refused, cut off, silent or still loading. Not: out of memory, or no place in our pool."""
    if isinstance(fault, OUR_FAULT) or str(fault) == POOL_IS_BUSY:
        return False
    return isinstance(fault, redis.ConnectionError | redis.TimeoutError)


def knock(url: str) -> None:
    """The breaker's question, by a connection of its own. Raises whatever redis-py raises."""
    asked = redis.Redis.from_url(
        url,
        socket_timeout=CONNECT_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        asked.ping()
    finally:
        asked.close()


class Glance:
    """Reads that PostgreSQL can answer as well. Once Redis let us wait in vain, it is not asked for
    a second, long before its breaker opens: a page that looks three times must not wait three
    times.
    """

    def __init__(self) -> None:
        self._away_until = 0.0

    @contextmanager
    def at(self, what: str) -> Iterator[None]:
        """Raises Unavailable, at once while it looks away."""
        if time.monotonic() < self._away_until:
            raise Unavailable(f"Redis is taken to be away: {what}", "redis_unavailable")
        try:
            with speaking(what):
                yield
        except Unavailable:
            self._away_until = time.monotonic() + LOOK_AWAY_SECONDS
            raise


def wrong_policy(connection: "redis.Redis") -> str | None:
    """The sentence that explains why this Redis must not be used; None when it may."""
    with speaking("tell its settings"):
        answer: Any = connection.config_get("maxmemory-policy")
    policy = answer.get("maxmemory-policy", "noeviction")
    return None if policy == "noeviction" else WRONG_POLICY.format(policy=policy)


def key(*parts: str | int) -> str:
    """Every key is made here: parts joined by colons (contract 5 names those that others read)."""
    return ":".join(str(part) for part in parts)
