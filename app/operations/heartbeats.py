"""Heartbeats: when each worker loop last made progress, written from inside the loop.

A heartbeat also carries the circuit breaker states of its process (app/clients/circuit_breaker.py), because
workers open no port.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import redis

from app.clients.redis import redis_key, translate_errors
from app.domain.errors import Unavailable
from app.domain.worker_loops import loops_without_recent_heartbeat

log = logging.getLogger(__name__)
HEARTBEAT_TTL_SECONDS = 60
MAX_HEARTBEAT_AGE_SECONDS = 10.0
"""Breaker states of older heartbeats are ignored."""


class Heartbeats:
    def __init__(
        self, connection: redis.Redis, breaker_states: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        self._redis = connection
        self._breaker_states = breaker_states
        self._last_recorded_at: dict[str, float] = {}

    def record_heartbeat(self, worker: str) -> None:
        """At most once a second. Errors of Redis are logged only, so that the worker goes on."""
        now = time.time()
        if now - self._last_recorded_at.get(worker, 0.0) < 1.0:
            return
        self._last_recorded_at[worker] = now
        heartbeat_json = json.dumps({"at": now, "breakers": self._breaker_states()})
        try:
            with translate_errors("write a heartbeat"):
                self._redis.set(
                    redis_key("heartbeat", worker, os.getpid()),
                    heartbeat_json,
                    ex=HEARTBEAT_TTL_SECONDS,
                )
        except Unavailable as exc:
            log.debug("Heartbeat not written: %s", exc, extra={"event": "heartbeat_failed"})

    def ages_seconds(self) -> dict[str, float]:
        """Seconds since the last heartbeat, by `loop:pid`."""
        now = time.time()
        return {name: round(now - float(heartbeat["at"]), 1) for name, heartbeat in self._read_all().items()}

    def missing_loops(self) -> list[str]:
        """Names of the loops that no process runs."""
        return [
            loop.name
            for loop in loops_without_recent_heartbeat(self.ages_seconds(), MAX_HEARTBEAT_AGE_SECONDS)
        ]

    def breaker_states_by_worker(self) -> dict[str, dict[str, str]]:
        """Breaker state by service, by `loop:pid`, from recent heartbeats."""
        oldest_at = time.time() - MAX_HEARTBEAT_AGE_SECONDS
        return {
            name: dict(heartbeat["breakers"])
            for name, heartbeat in self._read_all().items()
            if float(heartbeat["at"]) >= oldest_at
        }

    def _read_all(self) -> dict[str, dict[str, Any]]:
        with translate_errors("read the heartbeats"):
            keys = list(self._redis.scan_iter(match=redis_key("heartbeat", "*"), count=500))
            heartbeat_values = self._redis.mget(keys) if keys else []
        return {
            str(name).removeprefix("heartbeat:"): json.loads(value)
            for name, value in zip(keys, heartbeat_values, strict=True)
            if value is not None
        }
