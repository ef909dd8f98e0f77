"""Acks: what clients say they have shown, gathered for a moment and written together.

In    app/sockets.py: notification_ack {notificationId, version}
Out   stores/seen.py

A socket never waits for it. With PostgreSQL away acks wait here, as many as fit; what does not is
counted and dropped: an ack says that somebody looked, and is no promise to anybody.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import gevent

from app.domain.errors import Poisoned, Unavailable
from app.domain.events import checked_uuid
from app.stores.seen import Ack

log = logging.getLogger(__name__)
MOST, MOST_OF_ONE, BATCH = 10_000, 500, 500
PAUSE_SECONDS, AGAIN_SECONDS = 0.2, 1.0
MAX_VERSION = 2**31 - 1


class Acks:
    def __init__(self, record: Callable[[Sequence[Ack]], int]) -> None:
        self._record = record
        self._waiting: dict[Ack, None] = {}
        self._of: Counter[str] = Counter()
        self.dropped = 0

    def take(self, user_id: str, said: Any) -> None:
        """Anything may come; what is no ack is nothing."""
        ack = ack_of(user_id, said)
        if ack is None or ack in self._waiting:
            return
        if len(self._waiting) >= MOST or self._of[user_id] >= MOST_OF_ONE:
            self.dropped += 1
            return
        self._waiting[ack] = None
        self._of[user_id] += 1

    def step(self) -> int:
        """Writes the oldest ones; how many. Raises Unavailable: then they wait on."""
        some = list(self._waiting)[:BATCH]
        if some:
            self._record(some)
        for ack in some:
            del self._waiting[ack]
            self._of[ack.user_id] -= 1
        self._of = +self._of
        return len(some)

    def run(self) -> None:
        """For ever."""
        while True:
            gevent.sleep(PAUSE_SECONDS)
            try:
                while self.step():
                    pass
            except Unavailable as fault:
                log.warning("%d acks wait: %s", len(self._waiting), fault)
                gevent.sleep(AGAIN_SECONDS)
            except Exception:  # one odd ack must not end the writing of all others
                log.exception("Acks could not be written and are dropped")
                self._waiting.clear()
                self._of.clear()

    def flush(self) -> None:
        """At the stop: what still waits, if PostgreSQL answers."""
        try:
            while self.step():
                pass
        except Unavailable as fault:
            log.warning("%d acks are lost: %s", len(self._waiting), str(fault))


def ack_of(user_id: str, said: Any) -> Ack | None:
    """None for what is no `{notificationId, version}`; without a version (the seed's client) the
    first one is meant."""
    if not isinstance(said, dict):
        return None
    version = said.get("version", 1)
    if isinstance(version, bool) or not isinstance(version, int):
        return None
    if not 1 <= version <= MAX_VERSION:
        return None
    try:
        return Ack(user_id, checked_uuid(said.get("notificationId"), "notificationId"), version)
    except Poisoned:
        return None
