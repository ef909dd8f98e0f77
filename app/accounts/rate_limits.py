"""Rate limits: counted in Redis for all processes, in memory while Redis is unavailable.

Used by app/accounts/authentication.py, app/accounts/credentials.py and blueprints/http/request_auth.py.
Raises RateLimited (429). Writes are counted in this process only, so that a like needs one round trip; their
limit guards against floods and may be exceeded by a factor of the number of web processes.
"""

from collections.abc import Callable

import redis
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.clients import circuit_breaker
from app.clients.client_ip import rate_limit_ip_or_subnet
from app.domain.errors import Rejected
from app.settings import RateLimitRules

REDIS_TIMEOUT_SECONDS = 0.2
REDIS_RETRY_DELAY_SECONDS = 5.0
# Contract 6.26: failed log-ins are limited per account and address, per account over all unknown devices,
# and per address.
UNKNOWN_DEVICES_FACTOR, ADDRESS_FACTOR = 4, 10
Counter = tuple[str, int]
"""Its key, and the multiple of the limit that it allows."""


class RateLimited(Rejected):
    """The client may retry after `retry_after_seconds`."""

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message, "too_many", 429)
        self.retry_after_seconds = retry_after_seconds


class CountersWithMemoryFallback:
    """Counters in Redis. When it fails (after at most 0.2 s), counts in memory for five seconds.

    These calls do not count for the circuit breaker: their timeout is shorter than that of other calls."""

    def __init__(self, redis_url: str, now: Callable[[], float]) -> None:
        self._redis = RedisStorage(
            redis_url,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]
        )
        self._memory = MemoryStorage()
        self._now = now
        self._retry_redis_at = 0.0

    def increment(self, key: str, period_seconds: int, amount: int) -> int:
        if self._now() >= self._retry_redis_at:
            try:
                return self._redis.incr(key, period_seconds, amount)
            except redis.RedisError as exc:
                problem = "Rate limits are counted in memory"
                circuit_breaker.REDIS.outage.record_failure(f"{problem}: {type(exc).__name__}", problem)
                self._retry_redis_at = self._now() + REDIS_RETRY_DELAY_SECONDS
        return self._memory.incr(key, period_seconds, amount)


class RateLimits:
    def __init__(self, rules: RateLimitRules, redis_url: str, now: Callable[[], float]) -> None:
        self._is_enabled = rules.is_enabled
        self._login_limit, self._registration_limit = parse(rules.login), parse(rules.registration)
        write_limit = parse(rules.write)
        self._max_writes, self._write_period_seconds = write_limit.amount, write_limit.get_expiry()
        self._counters = CountersWithMemoryFallback(redis_url, now)
        self._now = now
        self._write_count_by_user: dict[str, int] = {}
        self._write_period_ends_at = 0.0

    def count_login_attempt(self, account_key: str, client_ip: str, device_key: str | None = None) -> None:
        """Counts an attempt before it is made, so that concurrent ones cannot exceed the limit. A device
        known to the account (`device_key`) has its own counter, so that strangers cannot lock its
        owner out. Raises RateLimited."""
        self._count_or_raise(
            self._login_limit, _login_counters(account_key, client_ip, device_key), "login attempts"
        )

    def refund_login_attempt(self, account_key: str, client_ip: str, device_key: str | None = None) -> None:
        """For an attempt that was not a failure, or whose result is unknown."""
        if self._is_enabled:
            self._refund(self._login_limit, _login_counters(account_key, client_ip, device_key))

    def count_registration(self, client_ip: str) -> None:
        counters = [(f"register:{rate_limit_ip_or_subnet(client_ip)}", 1)]
        self._count_or_raise(self._registration_limit, counters, "registration attempts")

    def count_code_or_reset_request(self, purpose: str, account_key: str, client_ip: str) -> None:
        """Codes and reset tokens: each request sends a message to the account's owner."""
        counters = [
            (f"{purpose}:from:{rate_limit_ip_or_subnet(client_ip)}", ADDRESS_FACTOR),
            (f"{purpose}:{account_key}", 1),
        ]
        self._count_or_raise(self._login_limit, counters, "requests")

    def count_password_attempt(self, purpose: str, account_key: str) -> None:
        self._count_or_raise(self._login_limit, [(f"{purpose}:{account_key}", 1)], "tries")

    def count_write_request(self, user_id: str) -> None:
        if not self._is_enabled:
            return
        now = self._now()
        if now >= self._write_period_ends_at:
            self._write_count_by_user, self._write_period_ends_at = (
                {},
                now + self._write_period_seconds,
            )
        count = self._write_count_by_user[user_id] = self._write_count_by_user.get(user_id, 0) + 1
        if count > self._max_writes:
            retry_after_seconds = max(1, round(self._write_period_ends_at - now))
            raise RateLimited("You are too fast. Please slow down a little.", retry_after_seconds)

    def _count_or_raise(self, limit: RateLimitItem, counters: list[Counter], counted: str) -> None:
        if not self._is_enabled:
            return
        period_seconds = limit.get_expiry()
        for index, (key, factor) in enumerate(counters):
            if self._counters.increment(key, period_seconds, 1) > limit.amount * factor:
                # A refused attempt must not count elsewhere, or one address could lock an account.
                self._refund(limit, counters[:index])
                raise RateLimited(
                    f"Too many {counted}. Please try again in {_format_duration(period_seconds)}.",
                    period_seconds,
                )

    def _refund(self, limit: RateLimitItem, counters: list[Counter]) -> None:
        for key, _ in counters:
            self._counters.increment(key, limit.get_expiry(), -1)


def _login_counters(account_key: str, client_ip: str, device_key: str | None) -> list[Counter]:
    """That of the address comes first: once it is refused, it adds no counters of further accounts."""
    if device_key is not None:
        return [(f"login:{account_key}:device:{device_key}", 1)]
    address_prefix = rate_limit_ip_or_subnet(client_ip)
    return [
        (f"login:from:{address_prefix}", ADDRESS_FACTOR),
        (f"login:{account_key}:{address_prefix}", 1),
        (f"login:{account_key}", UNKNOWN_DEVICES_FACTOR),
    ]


def _format_duration(seconds: int) -> str:
    for unit_seconds, unit_name in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % unit_seconds == 0:
            unit_count = seconds // unit_seconds
            return f"{unit_count} {unit_name}" if unit_count == 1 else f"{unit_count} {unit_name}s"
    return f"{seconds} seconds"
