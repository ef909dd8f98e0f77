"""The crier: tells the people on this process's sockets, each frame once and in order.

In    app/listener.py (Redis), channel "critical" (NOTIFY), streams/critical.py (directly)
Out   `emit`: the sockets of this process
Next  jinja/static/bell.js

Critical frames overtake others that are still on their way through Kafka, and pub/sub may lose one.
Clients take no number lower than the last, so what lies between is read from the outbox and told
first.
"""

import logging
import time
from datetime import datetime
from typing import Any, Protocol

import gevent

from app.domain.errors import Unavailable
from app.domain.events import Priority
from app.domain.ledger import Frame
from app.heard import Heard
from app.metrics import CRITICAL_SECONDS
from app.stores.bell import Bell
from app.stores.history import History
from app.stores.urgency import Urgent
from app.streams.push import room_of

log = logging.getLogger(__name__)
REST_SECONDS, AGAIN_SECONDS = 1.0, 0.5
GAP_SECONDS = 0.5
"""Past it the frame in hand goes first: late is worse than out of order."""
USERS = room_of("")
_CRITICAL = Frame.ANNOUNCED.value, Priority.CRITICAL.value


class Emits(Protocol):
    def __call__(self, event: str, data: dict[str, Any], room: str) -> None: ...


class Crier:
    def __init__(self, history: History, heard: Heard, emit: Emits) -> None:
        self._history = history
        self._heard = heard
        self._emit = emit

    def takes(self, event: str, data: Any, room: object) -> bool:
        """Of what came by Redis: whether the sockets are to have it."""
        if not isinstance(room, str) or not room.startswith(USERS) or not isinstance(data, dict):
            return True
        user_id = room.removeprefix(USERS)
        self._mend(user_id, data.get("seq"), "redis")
        return self._news(user_id, event, data, "redis")

    def cry(self, urgent: Urgent) -> None:
        """A critical frame that this very process wrote, and has in hand."""
        self._mend(urgent.user_id, urgent.seq, "direct")
        self._tell(urgent.user_id, urgent.event, dict(urgent.data), "direct")

    def ring(self, word: str) -> None:
        """NOTIFY: `user seq`; the frame is in the outbox. Raises Unavailable."""
        user_id, _, number = word.partition(" ")
        seq = int(number) if number.isdecimal() else 0
        if self._heard.knows(user_id) and not self._heard.has(user_id, seq):
            last = self._heard.last(user_id)
            self._fill(user_id, seq - 1 if last is None else min(last, seq - 1), "notify")

    def catch_up(self) -> int:
        """Everybody here who is behind the tables hears what they lack; how many were. Raises
        Unavailable."""
        behind = 0
        for user_id, seq in self._history.positions(self._heard.here()).items():
            last = self._heard.last(user_id)
            if last is None:
                self._heard.begin(user_id, seq)
            elif last < seq:
                self._fill(user_id, last, "notify")
                behind += 1
        return behind

    def _mend(self, user_id: str, seq: object, way: str) -> None:
        """Tells what comes before this number, if it was not told."""
        last = self._heard.last(user_id)
        if last is None or not isinstance(seq, int) or seq <= last + 1:
            return
        try:
            self._fill(user_id, last, way)
        except Unavailable as fault:
            log.warning("A frame overtakes others: %s", fault)

    def _fill(self, user_id: str, since: int, way: str) -> None:
        """All frames after that number, and the badge as it stands. Raises Unavailable."""
        ends = gevent.Timeout(GAP_SECONDS)
        try:
            with ends:
                frames = self._history.later(user_id, since)
        except gevent.Timeout as late:
            if late is not ends:
                raise
            raise Unavailable("The outbox is slow", "postgres_unavailable") from late
        for event, data in frames:
            self._tell(user_id, event, data, way)

    def _tell(self, user_id: str, event: str, data: dict[str, Any], way: str) -> None:
        if self._heard.knows(user_id) and self._news(user_id, event, data, way):
            self._emit(event, data, room_of(user_id))

    def _news(self, user_id: str, event: str, data: dict[str, Any], way: str) -> bool:
        news = self._heard.takes(user_id, event, data)
        if news and (event, data.get("priority")) == _CRITICAL:
            CRITICAL_SECONDS.labels(way).observe(_age(data))
        return news


def listen(bell: Bell, crier: Crier) -> None:
    """For ever. After each loss those who are here hear what was told meanwhile."""
    deaf = True
    while True:
        try:
            rung = bell.wait(0 if deaf else REST_SECONDS)
            if deaf:
                crier.catch_up()
                deaf = False
            for word in rung:
                crier.ring(word)
            if not rung:
                bell.check()
        except Unavailable as fault:
            if not deaf:
                log.warning("Critical frames come by Redis alone: %s", fault)
            deaf = True
            gevent.sleep(AGAIN_SECONDS)
        except Exception:  # one odd word must not end all others
            log.exception("A ring was not understood")
            deaf = True
            gevent.sleep(AGAIN_SECONDS)


def _age(data: dict[str, Any]) -> float:
    """From its own time to now."""
    try:
        return max(0.0, time.time() - datetime.fromisoformat(str(data["timestamp"])).timestamp())
    except (KeyError, ValueError):
        return 0.0
