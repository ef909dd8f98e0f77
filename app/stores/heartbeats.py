"""Which worker turned its loop, and when: written from inside the loop, so it proves progress."""

import json
import logging
import os
import time

import redis

from app.domain.errors import Unavailable
from app.stores.redis import key, speaking

log = logging.getLogger(__name__)
KEPT_SECONDS = 60


class Heartbeats:
    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._last: dict[str, float] = {}

    def beat(self, worker: str) -> None:
        """At most once a second; a Redis that is away must not stop the worker that reports."""
        now = time.time()
        if now - self._last.get(worker, 0.0) < 1.0:
            return
        self._last[worker] = now
        try:
            with speaking("note a heartbeat"):
                self._redis.set(key("heartbeat", worker, os.getpid()), now, ex=KEPT_SECONDS)
        except Unavailable as fault:
            log.debug("No heartbeat: %s", fault)

    def ages(self) -> dict[str, float]:
        """Seconds since the last beat, by `worker:pid`."""
        with speaking("read the heartbeats"):
            keys = list(self._redis.scan_iter(match=key("heartbeat", "*"), count=500))
            beats = self._redis.mget(keys) if keys else []
        now = time.time()
        pairs = zip(keys, beats, strict=True)
        return {
            str(name).removeprefix("heartbeat:"): round(now - float(json.loads(beat)), 1)
            for name, beat in pairs
            if beat is not None
        }
