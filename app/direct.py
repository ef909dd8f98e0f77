"""The direct way: what people do while Redis is away, or not trusted because somebody did so.

In    app/actions.py
Out   stores/direct_words.py (likes, follows and comments are noted first), streams/straight.py
Next  workers/aggregator.py; workers/keeper.py leads everybody back

The event keeps the id it had on its way to Redis: if that call took effect after all, the second
arrival changes nothing.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import gevent

from app import stale
from app.domain.errors import Unavailable
from app.domain.events import Event
from app.stores.bell import Bell
from app.stores.direct_words import DirectWords
from app.stores.gate import PAST_REDIS, Gate, Holding
from app.stores.memberships import Asked, Standing
from app.streams.straight import Straight

log = logging.getLogger(__name__)
T = TypeVar("T")
HOLD_SECONDS, HOLD_PAUSE_SECONDS = 1.0, 0.03
SLOW_SECONDS = 0.5
REST_SECONDS, AGAIN_SECONDS = 10.0, 0.5


class Direct:
    def __init__(self, gate: Gate, words: DirectWords, straight: Straight) -> None:
        self._gate = gate
        self._words = words
        self._straight = straight

    def either(
        self, by_redis: Callable[[], T], past_it: Callable[[], T], repeatable: bool = True
    ) -> T:
        """By way of Redis, else past it. Raises Unavailable when neither goes. `repeatable`: done
        twice is done once, so a call that was late may be made again."""
        give_up = time.monotonic() + HOLD_SECONDS
        while True:
            began = time.monotonic()
            try:
                self._gate.trust()
                return by_redis()
            except Unavailable as fault:
                if fault.code not in PAST_REDIS:
                    raise
                log.debug("Past Redis: %s", fault)
                if time.monotonic() - began > SLOW_SECONDS and self._gate.answers():
                    # Late, not away: to close the gate would make everybody slower still.
                    if not repeatable:
                        raise
                    return by_redis()
            self._gate.doubt()
            stale.mark()
            try:
                return past_it()
            except Holding as fault:
                if time.monotonic() > give_up:
                    raise Unavailable("The gate is about to open", "gate_holding") from fault
                time.sleep(HOLD_PAUSE_SECONDS)

    def wish(self, asked: Asked) -> Standing:
        event, standing = self._words.wish(asked)
        self._straight.publish([event])
        return standing

    def comment(self, events: Sequence[Event], post_id: str, said: str | None) -> None:
        """The first is the comment's own; the others are whom it mentions."""
        own = self._words.comment(events[0], post_id, said)
        # What belongs together has one seq: a withdrawn mention must not overtake its comment.
        others = [replace(one, seq=own.seq, direct=True) for one in events[1:]]
        self._straight.publish([own, *others])

    def events(self, events: Sequence[Event]) -> None:
        self._straight.publish(self._words.plain(events))


def heed(bell: Bell, gate: Gate) -> None:
    """For ever: when another process closes the gate, this one stops answering by Redis at once,
    and not only when the keeper has shut it there. After a loss a ring may have been missed."""
    deaf = True
    while True:
        try:
            if bell.wait(0 if deaf else REST_SECONDS) or deaf:
                gate.doubt()
            else:
                bell.check()
            deaf = False
        except Unavailable as fault:
            log.info("Nobody tells when the gate closes: %s", fault)
            deaf = True
            gevent.sleep(AGAIN_SECONDS)
