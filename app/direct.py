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
from app.stores.comment_deletions import CommentDeletion
from app.stores.direct_words import DirectWords
from app.stores.gate import CLOSED_CODE, PAST_REDIS, Gate, Holding, NotClosed
from app.stores.memberships import Asked, Standing
from app.streams.straight import Straight

log = logging.getLogger(__name__)
T = TypeVar("T")
HOLD_SECONDS, HOLD_PAUSE_SECONDS = 1.6, 0.25
"""Longer than the keeper holds (workers/keeper.py); the pause ends early when the state changes."""
KEY_SECONDS, KEY_PAUSE_SECONDS = 0.5, 0.03
"""How long the key of an opening is waited for: it is set just after the row."""
REST_SECONDS, AGAIN_SECONDS = 10.0, 0.5


class Call:
    """One call of `either`: how long it lasts, and which openings it has met."""

    def __init__(self, repeatable: bool) -> None:
        self.repeatable = repeatable
        self._began = time.monotonic()
        self._seen: dict[str, float] = {}

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def since_first_seen(self, opening: str) -> float:
        now = time.monotonic()
        return now - self._seen.setdefault(opening, now)


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
        call = Call(repeatable)
        while True:
            try:
                self._gate.trust()
                return by_redis()
            except Unavailable as fault:
                if fault.code not in PAST_REDIS:
                    raise
                log.debug("Past Redis: %s", fault)
                refusal = fault
            self._gate.doubt()
            try:
                done = past_it()
            except NotClosed as row:
                self._try_redis_again(refusal, row.since, call)
            except Holding as row:
                self._wait_for_the_end(row.since, call)
            else:
                stale.mark()
                return done

    def _try_redis_again(self, refusal: Unavailable, since: str | None, call: Call) -> None:
        """Redis refused, and yet writes go by way of it since then. Either it was opened after the
        refusal, or our own process was late; or Redis is really away or has lost its key: then the
        gate is closed, that opening and no later one. Raises the refusal when the time is over, or
        when a second call could do the same twice."""
        is_there = refusal.code == CLOSED_CODE or self._gate.answers()
        may_be_done = refusal.__cause__ is not None
        if since is None or not is_there:
            self._gate.close("Redis does not answer", since)
        elif may_be_done and not call.repeatable:
            raise refusal
        elif call.since_first_seen(since) < KEY_SECONDS:
            time.sleep(KEY_PAUSE_SECONDS)
        elif call.seconds() < HOLD_SECONDS:
            self._gate.close("Redis refuses, or has lost its key", since)
        else:
            raise refusal

    def _wait_for_the_end(self, since: str, call: Call) -> None:
        """Of a hold. Who waited longer than any hold lasts ends it: its keeper died."""
        waited = call.seconds()
        if waited < HOLD_SECONDS:
            self._gate.wait(HOLD_PAUSE_SECONDS)
        elif waited < HOLD_SECONDS + KEY_SECONDS:
            self._gate.let_go(since)
        else:
            raise Unavailable("Temporarily unavailable, please retry", "busy")

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

    def delete_later(self, one: CommentDeletion) -> None:
        self._words.delete_later(one)

    def tell_redis(self, act: Callable[[], None]) -> None:
        """Of what the tables have already. While Redis is away, writes go past it until it was
        told, which workers/keeper.py does: so nobody is answered by what it knew before."""
        try:
            self.either(act, self._words.closed)
        except Unavailable as fault:
            log.info("Redis is told later: %s", fault)

    def events(self, events: Sequence[Event]) -> None:
        self._straight.publish(self._words.plain(events))


def heed(bell: Bell, gate: Gate) -> None:
    """For ever: when another process closes the gate, this one stops answering by Redis at once,
    and not only when the keeper has shut it there; and who waits for the end of a hold goes on.
    After a loss a ring may have been missed."""
    deaf = True
    while True:
        try:
            if bell.wait(0 if deaf else REST_SECONDS) or deaf:
                gate.has_changed()
            else:
                bell.check()
            deaf = False
        except Unavailable as fault:
            log.info("Nobody tells when the gate closes: %s", fault)
            deaf = True
            gevent.sleep(AGAIN_SECONDS)
