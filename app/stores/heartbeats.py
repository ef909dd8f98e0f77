"""Which worker turned its loop, and when: written from inside the loop, so it proves progress.

With it goes what its process thinks of the services (app/breakers.py): workers open no port.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import redis

from app.domain.errors import Unavailable
from app.domain.loops import silent
from app.stores.redis import key, speaking

log = logging.getLogger(__name__)
KEPT_SECONDS = 60
FRESH_SECONDS = 10.0
"""What an older beat says of the services is no news."""


class Heartbeats:
    def __init__(
        self, connection: redis.Redis, states: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        self._redis = connection
        self._states = states
        self._last: dict[str, float] = {}

    def beat(self, worker: str) -> None:
        """At most once a second; a Redis that is away must not stop the worker that reports."""
        now = time.time()
        if now - self._last.get(worker, 0.0) < 1.0:
            return
        self._last[worker] = now
        said = json.dumps({"at": now, "breakers": self._states()})
        try:
            with speaking("note a heartbeat"):
                self._redis.set(key("heartbeat", worker, os.getpid()), said, ex=KEPT_SECONDS)
        except Unavailable as fault:
            log.debug("No heartbeat: %s", fault)

    def ages(self) -> dict[str, float]:
        """Seconds since the last beat, by `worker:pid`."""
        now = time.time()
        return {name: round(now - float(beat["at"]), 1) for name, beat in self._read().items()}

    def silent(self) -> list[str]:
        """Names of the loops that no process runs."""
        return [loop.name for loop in silent(self.ages(), FRESH_SECONDS)]

    def breakers(self) -> dict[str, dict[str, str]]:
        """State by service, by `worker:pid`, of those who beat lately."""
        since = time.time() - FRESH_SECONDS
        return {
            name: dict(beat["breakers"])
            for name, beat in self._read().items()
            if float(beat["at"]) >= since
        }

    def _read(self) -> dict[str, dict[str, Any]]:
        with speaking("read the heartbeats"):
            keys = list(self._redis.scan_iter(match=key("heartbeat", "*"), count=500))
            beats = self._redis.mget(keys) if keys else []
        return {
            str(name).removeprefix("heartbeat:"): json.loads(beat)
            for name, beat in zip(keys, beats, strict=True)
            if beat is not None
        }
