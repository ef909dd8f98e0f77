"""Probes: which services answer, asked of all at once, each bounded to a second.

In    blueprints/health.py
Out   per service: state, latency
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

from app import breakers
from app.domain.errors import Unavailable
from app.settings import Addresses
from app.stores import postgres
from app.stores.redis import WRONG_POLICY

SECONDS = 1.0
HEALTH_MAX_AGE_SECONDS, HEALTH_WAIT_SECONDS = 1.0, 0.5
"""Of what GET /health says of PostgreSQL. Load balancers often wait no longer than a second."""
UP, DOWN = "up", "down"
SILENT = "no answer"


@dataclass(frozen=True, slots=True)
class Finding:
    state: str
    latency_ms: float | None = None
    reason: str | None = None
    breaker: str = breakers.CLOSED
    """The most doubtful of all processes': Kafka's best known ones live in the workers."""


Reports = Callable[[], Mapping[str, Mapping[str, str]]]


class Probes:
    def __init__(self, addresses: Addresses, reports: Reports = dict) -> None:
        # Connections of its own: a probe must not wait for a place in a pool that requests use.
        self._redis = redis.Redis.from_url(
            addresses.redis_url,
            socket_timeout=SECONDS,
            socket_connect_timeout=SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self._addresses = addresses
        self._reports = reports
        self._database: gevent.Greenlet[..., Finding] | None = None
        self._database_asked_at = 0.0

    def look(self) -> dict[str, Finding]:
        """All at once; nobody is waited for longer than a second."""
        questions: dict[str, Callable[[], str | None]] = {
            "redis": self._ask_redis,
            "postgres": self._ask_postgres,
            "kafka": self._ask_kafka,
            "dynamodb": self._ask_dynamodb,
        }
        asked = {
            name: gevent.spawn(_find, question, SECONDS) for name, question in questions.items()
        }
        told = gevent.spawn(self._told)
        all_asked: list[gevent.Greenlet[..., Any]] = [told, *asked.values()]
        gevent.joinall(all_asked, timeout=SECONDS)
        gevent.killall([one for one in all_asked if not one.ready()], block=False)
        processes = [*(told.value or {}).values(), breakers.states()]
        return {
            name: replace(
                (one.value if one.successful() else None) or Finding(DOWN, reason=SILENT),
                breaker=breakers.worst([states[name] for states in processes if name in states]),
            )
            for name, one in asked.items()
        }

    def _told(self) -> Mapping[str, Mapping[str, str]]:
        try:
            return self._reports()
        except Unavailable:
            return {}

    def database(self) -> str:
        """Whether PostgreSQL answers: connected or disconnected. Checked at most
        HEALTH_MAX_AGE_SECONDS ago, and waited for at most HEALTH_WAIT_SECONDS; requests that come
        at the same time share one check."""
        now = time.monotonic()
        checking = self._database
        if checking is None or now - self._database_asked_at >= HEALTH_MAX_AGE_SECONDS:
            checking = self._database = gevent.spawn(_find, self._ask_postgres, HEALTH_WAIT_SECONDS)
            self._database_asked_at = now
        checking.join()
        return "connected" if checking.value and checking.value.state == UP else "disconnected"

    def _ask_redis(self) -> str | None:
        """Why writes could be lost; None when they are safe."""
        # One by one: Redis 6 takes a single name.
        settings = self._redis.config_get("maxmemory-policy")
        settings |= self._redis.config_get("appendonly")
        policy = settings.get("maxmemory-policy", "noeviction")
        if policy != "noeviction":
            return WRONG_POLICY.format(policy=policy)
        if settings.get("appendonly") != "yes":
            return "Redis keeps no append-only file (appendonly no): a restart would lose likes."
        return None

    def _ask_postgres(self) -> str | None:
        postgres.knock(self._addresses.database_url)
        return None

    def _ask_kafka(self) -> str | None:
        """Whether any of the brokers takes a connection."""
        faults: list[OSError] = []
        for server in self._addresses.kafka_bootstrap_servers:
            host, _, port = server.rpartition(":")
            try:
                _knock(host, int(port))
            except OSError as fault:
                faults.append(fault)
            else:
                return None
        raise faults[0]

    def _ask_dynamodb(self) -> str | None:
        url = self._addresses.dynamodb_endpoint_url
        region = self._addresses.aws_region
        where = urlsplit(url or f"https://dynamodb.{region}.amazonaws.com")
        _knock(str(where.hostname), where.port or (443 if where.scheme == "https" else 80))
        return None


def _knock(host: str, port: int) -> None:
    socket.create_connection((host, port), timeout=SECONDS).close()


def _find(question: Callable[[], str | None], seconds: float) -> Finding:
    began = time.perf_counter()
    try:
        with gevent.Timeout(seconds, TimeoutError):
            reason = question()
    except TimeoutError:
        return Finding(DOWN, reason=SILENT)
    except Exception as fault:  # whatever a client raises: the service did not answer
        return Finding(DOWN, reason=type(fault).__name__)
    taken = round((time.perf_counter() - began) * 1000, 1)
    return Finding("refused" if reason else UP, taken, reason)
