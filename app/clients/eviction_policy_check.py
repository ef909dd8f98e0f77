"""Refuses writes while Redis has an eviction policy that may delete them; raises Unavailable.

Called before each write (blueprints/http/write_actions.py). The policy is read every few seconds in the
background; only the first write waits for it.
"""

import logging
import time

import gevent
import redis

from app.clients.redis import eviction_policy_error
from app.domain.errors import Unavailable

log = logging.getLogger(__name__)
CHECK_INTERVAL_SECONDS = 2.0


class EvictionPolicyCheck:
    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._error_message: str | None = None
        self._next_check_at = 0.0

    def raise_if_policy_wrong(self) -> None:
        now = time.monotonic()
        if now >= self._next_check_at:
            is_first_check, self._next_check_at = (
                self._next_check_at == 0.0,
                now + CHECK_INTERVAL_SECONDS,
            )
            if is_first_check:
                self._refresh_error_message()
            else:
                gevent.spawn(self._refresh_error_message)
        if self._error_message is not None:
            raise Unavailable(self._error_message, "redis_policy")

    def _refresh_error_message(self) -> None:
        try:
            self._error_message = eviction_policy_error(self._redis)
        except Unavailable:
            # Not a wrong policy: the write itself meets the outage, and can use the failover path.
            self._error_message = None
        except redis.ResponseError as exc:
            log.info(
                "Cannot read the eviction policy of Redis: %s",
                exc,
                extra={"event": "eviction_policy_unknown"},
            )
            self._error_message = None
        if self._error_message is not None:
            log.error("%s", self._error_message, extra={"event": "eviction_policy_wrong"})
