"""Dependency checks: which services respond, all checked at once with a limit of a second each.

Used by blueprints/api/health.py. Output: state and latency per service.
"""

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import gevent
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.clients import circuit_breaker, postgres
from app.clients.redis_server_check import find_unsuitable
from app.domain.errors import Unavailable
from app.settings import ServiceUrls

CHECK_TIMEOUT_SECONDS = 1.0
HEALTH_MAX_AGE_SECONDS, HEALTH_WAIT_SECONDS = 1.0, 0.5
"""Limits for GET /health: load balancers often wait no longer than a second."""
UP, DOWN, REFUSED = "up", "down", "refused"
TIMED_OUT = "no answer"


@dataclass(frozen=True, slots=True)
class DependencyStatus:
    state: str
    latency_ms: float | None = None
    reason: str | None = None
    breaker_state: str = circuit_breaker.CLOSED
    """The most degraded breaker state of all processes (the workers use Kafka most)."""


BreakerReports = Callable[[], Mapping[str, Mapping[str, str]]]


class DependencyChecks:
    def __init__(self, service_urls: ServiceUrls, worker_breaker_states: BreakerReports = dict) -> None:
        # Separate connections: a check must not wait for the pools that requests use.
        self._redis = redis.Redis.from_url(
            service_urls.redis_url,
            socket_timeout=CHECK_TIMEOUT_SECONDS,
            socket_connect_timeout=CHECK_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self._service_urls = service_urls
        self._worker_breaker_states = worker_breaker_states
        self._postgres_check: gevent.Greenlet[..., DependencyStatus] | None = None
        self._postgres_checked_at = 0.0

    def check_all(self) -> dict[str, DependencyStatus]:
        """Checks all services at once, for a second at most."""
        checks: dict[str, Callable[[], str | None]] = {
            "redis": self._check_redis_durability,
            "postgres": self._check_postgres,
            "kafka": self._check_kafka,
            "dynamodb": self._check_dynamodb,
        }
        greenlets_by_service = {
            name: gevent.spawn(_run_check_with_timeout, check, CHECK_TIMEOUT_SECONDS)
            for name, check in checks.items()
        }
        worker_states = gevent.spawn(self._read_worker_breaker_states)
        all_greenlets: list[gevent.Greenlet[..., Any]] = [
            worker_states,
            *greenlets_by_service.values(),
        ]
        gevent.joinall(all_greenlets, timeout=CHECK_TIMEOUT_SECONDS)
        gevent.killall([greenlet for greenlet in all_greenlets if not greenlet.ready()], block=False)
        processes = [*(worker_states.value or {}).values(), circuit_breaker.breaker_states()]
        return {
            name: replace(
                (greenlet.value if greenlet.successful() else None)
                or DependencyStatus(DOWN, reason=TIMED_OUT),
                breaker_state=circuit_breaker.most_degraded_breaker_state(
                    [states[name] for states in processes if name in states]
                ),
            )
            for name, greenlet in greenlets_by_service.items()
        }

    def _read_worker_breaker_states(self) -> Mapping[str, Mapping[str, str]]:
        try:
            return self._worker_breaker_states()
        except Unavailable:
            return {}

    def cached_postgres_status(self) -> str:
        """Whether PostgreSQL responds: connected or disconnected. The check is at most
        HEALTH_MAX_AGE_SECONDS old and takes at most HEALTH_WAIT_SECONDS; concurrent requests share
        one check."""
        now = time.monotonic()
        check = self._postgres_check
        if check is None or now - self._postgres_checked_at >= HEALTH_MAX_AGE_SECONDS:
            check = self._postgres_check = gevent.spawn(
                _run_check_with_timeout, self._check_postgres, HEALTH_WAIT_SECONDS
            )
            self._postgres_checked_at = now
        check.join()
        return "connected" if check.value and check.value.state == UP else "disconnected"

    def _check_redis_durability(self) -> str | None:
        """Why writes could be lost; None if they cannot."""
        # One by one: Redis 6 accepts a single name.
        redis_config: Any = self._redis.config_get("maxmemory-policy")
        redis_config |= self._redis.config_get("appendonly")
        if error := find_unsuitable(redis_config, self._redis.info("server")):
            return str(error)
        if redis_config.get("appendonly") != "yes":
            return "Redis has no append-only file (appendonly no): a restart would lose likes."
        return None

    def _check_postgres(self) -> str | None:
        postgres.ping_or_raise(self._service_urls.database_url)
        return None

    def _check_kafka(self) -> str | None:
        """Whether any broker accepts a connection."""
        errors: list[OSError] = []
        for server in self._service_urls.kafka_connection.bootstrap_servers:
            host, _, port = server.rpartition(":")
            try:
                _ping_tcp(host, int(port))
            except OSError as exc:
                errors.append(exc)
            else:
                return None
        raise errors[0]

    def _check_dynamodb(self) -> str | None:
        url = self._service_urls.dynamodb_endpoint_url
        region = self._service_urls.aws_region
        parsed_url = urlsplit(url or f"https://dynamodb.{region}.amazonaws.com")
        _ping_tcp(
            str(parsed_url.hostname),
            parsed_url.port or (443 if parsed_url.scheme == "https" else 80),
        )
        return None


def _ping_tcp(host: str, port: int) -> None:
    socket.create_connection((host, port), timeout=CHECK_TIMEOUT_SECONDS).close()


def _run_check_with_timeout(check: Callable[[], str | None], timeout_seconds: float) -> DependencyStatus:
    started_at = time.perf_counter()
    try:
        with gevent.Timeout(timeout_seconds, TimeoutError):
            reason = check()
    except TimeoutError:
        return DependencyStatus(DOWN, reason=TIMED_OUT)
    except Exception as exc:  # any error of a client: the service did not respond
        return DependencyStatus(DOWN, reason=type(exc).__name__)
    latency_ms = round((time.perf_counter() - started_at) * 1000, 1)
    return DependencyStatus(REFUSED if reason else UP, latency_ms, reason)
