"""Heartbeats: when each worker loop last made progress, written from inside the loop.

A heartbeat also carries the circuit breaker states of its process (app/clients/circuit_breaker.py), because
workers open no port. All are in one hash, so that reading them costs the same however many keys Redis has.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import redis

from app.clients.redis import translate_errors
from app.domain.errors import Unavailable

log = logging.getLogger(__name__)
HEARTBEATS_KEY = "heartbeats"
HEARTBEAT_TTL_SECONDS = 60
"""Older ones are those of ended processes: they are not read, and removed by the next process that starts."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    loop: str
    pid: str
    age_seconds: float
    breaker_states: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{self.loop}:{self.pid}"


class Heartbeats:
    def __init__(
        self, connection: redis.Redis, breaker_states: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        self._redis = connection
        self._breaker_states = breaker_states
        self._last_recorded_at: dict[str, float] = {}
        self._has_deleted_expired = False

    def record_heartbeat(self, loop: str) -> None:
        """At most once a second. Errors of Redis are logged only, so that the worker goes on."""
        now = time.time()
        if now - self._last_recorded_at.get(loop, 0.0) < 1.0:
            return
        self._last_recorded_at[loop] = now
        heartbeat_json = json.dumps({"at": now, "breakers": self._breaker_states()})
        try:
            with translate_errors("write a heartbeat"):
                if not self._has_deleted_expired:
                    self._delete_expired(now)
                pipeline = self._redis.pipeline(transaction=False)
                pipeline.hset(HEARTBEATS_KEY, f"{loop}:{os.getpid()}", heartbeat_json)
                pipeline.expire(HEARTBEATS_KEY, HEARTBEAT_TTL_SECONDS)
                pipeline.execute()
        except Unavailable as exc:
            log.debug("Heartbeat not written: %s", exc, extra={"event": "heartbeat_failed"})

    def _delete_expired(self, now: float) -> None:
        expired_names = [
            name
            for name, value in self._redis.hgetall(HEARTBEATS_KEY).items()
            if now - float(json.loads(value)["at"]) > HEARTBEAT_TTL_SECONDS
        ]
        if expired_names:
            self._redis.hdel(HEARTBEATS_KEY, *expired_names)
        self._has_deleted_expired = True


def read_heartbeats(connection: redis.Redis) -> list[Heartbeat]:
    """The last one of each loop and process. Raises Unavailable."""
    with translate_errors("read the heartbeats"):
        stored = connection.hgetall(HEARTBEATS_KEY)
    now = time.time()
    heartbeats = []
    for name, value in sorted(stored.items()):
        loop, _, pid = str(name).rpartition(":")
        fields = json.loads(value)
        age_seconds = round(now - float(fields["at"]), 1)
        if age_seconds <= HEARTBEAT_TTL_SECONDS:
            heartbeats.append(Heartbeat(loop, pid, age_seconds, fields["breakers"]))
    return heartbeats
