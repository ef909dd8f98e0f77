"""Whether Redis is suitable: version 7.0 or newer (or Valkey), and no eviction policy that may delete writes.

A server that is too old stops the start (exit_if_too_old). One that appears later, or has an eviction policy,
makes writes and workers wait: UnsuitableRedis. A Redis that does not answer is left to its callers.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import gevent
import redis

from app.clients.redis import create_redis_client, translate_errors
from app.domain.errors import Unavailable
from app.setting_readers import SettingsError

log = logging.getLogger(__name__)
CHECK_INTERVAL_SECONDS = 2.0
MIN_REDIS_VERSION = (7, 0)
WRONG_EVICTION_POLICY = (
    "Redis runs with maxmemory-policy {policy}; it must be noeviction, "
    "or Redis may delete likes that are not in PostgreSQL yet."
)
TOO_OLD = "Redis {version} is too old; Redis 7.0 or newer, or Valkey, is required."


class UnsuitableRedis(Unavailable):
    """Redis answers, but writes to it could fail or be lost."""


def raise_if_unsuitable(connection: "redis.Redis") -> None:
    """Raises UnsuitableRedis, or Unavailable without an answer. What an access list does not let us read is
    not checked."""
    with translate_errors("read the version and the eviction policy"):
        config: Any = _read_if_allowed(lambda: connection.config_get("maxmemory-policy"))
        info: Any = _read_if_allowed(lambda: connection.info("server"))
    if error := find_unsuitable(config, info):
        raise error


def find_unsuitable(config: Mapping[str, str], info: Mapping[str, Any]) -> UnsuitableRedis | None:
    """From CONFIG GET maxmemory-policy and the section "server" of INFO."""
    if message := too_old_message(info):
        return UnsuitableRedis(message, "redis_version")
    policy = config.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        return UnsuitableRedis(WRONG_EVICTION_POLICY.format(policy=policy), "redis_policy")
    return None


def too_old_message(info: Mapping[str, Any]) -> str | None:
    """None if the version is new enough or unknown. Valkey reports the version of Redis that it is
    compatible with."""
    version = str(info.get("redis_version", ""))
    numbers = re.match(r"(\d+)\.(\d+)", version)
    is_too_old = numbers is not None and (int(numbers[1]), int(numbers[2])) < MIN_REDIS_VERSION
    return TOO_OLD.format(version=version) if is_too_old else None


def exit_if_too_old(url: str) -> None:
    """At the start of a process. Raises SettingsError; does not wait for a Redis that is unavailable.

    Reports no outage: the process may fork afterwards, and its first call reports it anyway.
    """
    connection = create_redis_client(url, max_connections=1)
    try:
        info: Any = connection.info("server")
    except redis.RedisError:
        return
    finally:
        connection.close()
    if message := too_old_message(info):
        raise SettingsError(f"REDIS_URL: {message}")


class RedisServerCheck:
    """Called before each write (blueprints/http/write_actions.py). Redis is asked every few seconds in the
    background; only the first write waits for it."""

    def __init__(self, connection: "redis.Redis") -> None:
        self._redis = connection
        self._error: UnsuitableRedis | None = None
        self._next_check_at = 0.0

    def raise_if_found_unsuitable(self) -> None:
        """Raises UnsuitableRedis."""
        now = time.monotonic()
        if now >= self._next_check_at:
            is_first_check, self._next_check_at = (
                self._next_check_at == 0.0,
                now + CHECK_INTERVAL_SECONDS,
            )
            if is_first_check:
                self._refresh_error()
            else:
                gevent.spawn(self._refresh_error)
        if self._error is not None:
            raise UnsuitableRedis(str(self._error), self._error.code)

    def _refresh_error(self) -> None:
        try:
            raise_if_unsuitable(self._redis)
            self._error = None
        except UnsuitableRedis as exc:
            self._error = exc
            log.error("%s", str(exc), extra={"event": "redis_unsuitable"})
        except Unavailable:
            # Not unsuitable: the write itself meets the outage, and can use the failover path.
            self._error = None


def _read_if_allowed(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except redis.ResponseError as exc:
        log.info("Redis cannot be checked: %s", exc, extra={"event": "redis_check_refused"})
        return {}
