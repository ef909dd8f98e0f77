"""Keeper: leads everybody back to Redis after words went past it, or after it was emptied.

In    stores/gate.py: a closed gate; an emptied Redis is noticed here
Out   the gate, open again; in /ready and the log what an emptying cost

Redis may answer again when PostgreSQL has every word, so that what is loaded from there is all.
Closed, no word comes by way of Redis: so the ingress, the fallback queue, the lanes up to their
present ends and the open windows are waited for, one after the other, while people go on speaking
past Redis. Then for a moment nobody may speak (they wait), the last of those words reach their
rows, what Redis knew of their subjects is forgotten, and the gate opens.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import redis

from app.domain.errors import Rejected, Unavailable
from app.domain.events import Kind
from app.domain.pacing import jittered
from app.stores.comment_deletions import CommentDeletions
from app.stores.direct_words import DirectWords
from app.stores.gate import KEPT, OPEN, Gate, State
from app.stores.leases import Lease
from app.stores.redis import key, script, speaking
from app.stores.windows import Windows
from app.streams.fallback import FallbackQueue
from app.streams.ingress import Ingress

log = logging.getLogger(__name__)
HOLD_SECONDS, HOLD_PAUSE_SECONDS = 1.0, 0.02
HOLD_REST_SECONDS = 1.5
"""Between two holds: those who waited go on meanwhile."""
YOUNG_SECONDS, CATCH_UP_SECONDS = 0.5, 3.0
"""A hold begins when all words under way are so young: they arrive before its end. Or after so
long: people may go on speaking faster than words arrive, and then the hold helps them along."""
FORGET_SECONDS = 2.0
IDLE_SECONDS, BUSY_SECONDS = 0.3, 0.05
COMMITS_SECONDS, TELL_SECONDS = 1.0, 2.0
_FORGOTTEN = {
    Kind.LIKE: (("like", "count"), ("like", "users")),
    Kind.FOLLOW: (("follow", "count"), ("follow", "users"), ("follow", "blocked")),
    Kind.COMMENT: (("comment", "count"),),
}
Offsets = Callable[[], dict[str, int]]


@dataclass(frozen=True, slots=True)
class Places:
    """Where words may still be under way. `ends` and `commits` are the lanes', by partition."""

    ingress: Ingress
    fallback: FallbackQueue
    ends: Offsets
    commits: Offsets
    windows: Windows


@dataclass(frozen=True, slots=True)
class Deletions:
    """What was deleted while Redis was away. `tell_redis`: of those so old; whether there may be
    more. `delete_comment`: by whom, and which. Raises Rejected when it is not theirs."""

    tell_redis: Callable[[float], bool]
    comments: CommentDeletions
    delete_comment: Callable[[str, str], None]


class Keeper:
    def __init__(
        self,
        connection: redis.Redis,
        gate: Gate,
        words: DirectWords,
        places: Places,
        deletions: Deletions,
        lease: Lease,
        new_id: Callable[[], str],
    ) -> None:
        self._redis = connection
        self._forget = script(connection, "forget")
        self._gate = gate
        self._words = words
        self._places = places
        self._deletions = deletions
        self._tell_at = 0.0
        self._lease = lease
        self._new_id = new_id
        self._way_back: Iterator[bool] | None = None
        self._waiting: int | None = None
        """Entries in the ingress when we last looked: what an emptying would cost."""

    def step(self) -> int:
        """One look, and one step of the way back. 0: rest."""
        if not self._lease.held():
            self._way_back = None
            return 0
        try:
            return self._look()
        except Unavailable as fault:
            self._way_back = None  # from the beginning, once all answer again
            if fault.code != "redis_unavailable":
                raise
            # Looked for again soon: others may reach it before us.
            log.debug("Redis is away: %s", fault)
            return 0

    def rest(self) -> float:
        """Not in step with others, and short on the way back: people wait for the end of it."""
        seconds = BUSY_SECONDS if self._way_back else IDLE_SECONDS
        return jittered(seconds, seconds / 3, random.random())  # noqa: S311 - a pause

    def release(self) -> None:
        self._lease.release()

    def _look(self) -> int:
        state = self._gate.state()
        if state.state != "open":
            self._words.prune()
        gate, kept = self._seen()
        if state.kept is not None and kept != state.kept:
            self._emptied(state, gate)
            return 0
        self._waiting = sum(self._places.ingress.lengths().values())
        if state.state == "open" and gate is not None:
            self._tell_redis()
            return 0
        if gate is not None:
            # It was cut off when the row was closed, or carries out late what it was told before.
            self._gate.shut(gate)
        if self._way_back is None:
            self._gate.close("its key is gone, or it was never opened", state.since or None)
            since = self._gate.state().since
            self._gate.let_go(since)  # a keeper may have died on the way
            self._way_back = self._back(state.kept, since)
        if next(self._way_back, True):
            self._way_back = None
        return 0

    def _tell_redis(self) -> None:
        """Of deletions whose process died before it did so."""
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + TELL_SECONDS
            self._deletions.tell_redis(TELL_SECONDS)

    def _seen(self) -> tuple[str | None, str | None]:
        with speaking("tell the gate"):
            told: Any = self._redis.mget([OPEN, KEPT])
        return told[0], told[1]

    def _emptied(self, state: State, gate: str | None) -> None:
        self._way_back = None
        self._gate.close("Redis was emptied", state.since)
        if gate is not None:
            self._gate.shut(gate)
        lost = "an unknown number of" if self._waiting is None else str(self._waiting)
        log.warning(
            "Redis was emptied: %s events that the bridge had not moved yet are lost (as counted "
            "last), and figures, traces and remembered keys. Windows and counts are rebuilt from "
            "Kafka and PostgreSQL",
            lost,
        )
        times = int((state.lost or {}).get("times", 0)) + 1
        self._gate.note_loss({"at": time.time(), "events": self._waiting, "times": times})
        self._waiting = None
        with speaking("mark an emptied Redis"):
            self._redis.set(KEPT, str(state.kept))

    def _back(self, kept: str | None, since: str) -> Iterator[bool]:
        """Yields False while it waits, and ends when the gate is open or must be looked at anew."""
        log.info("Failback: waiting for the ingress")
        closed_ms = self._now_ms()
        while self._places.ingress.has_older(closed_ms):
            yield False
        log.info("Failback: waiting for the fallback queue and Kafka")
        yield from self._moved_on()
        log.info("Failback: waiting for open windows to be written")
        pages = self._places.windows.write_early()
        while self._places.windows.unsettled(pages):
            yield False
        log.info("Failback: waiting for writes that went past Redis")
        while True:
            given_up = self._words.given_up()
            if given_up:
                # So old, they were never published, unless they are still on the way.
                yield from self._moved_on()
            self._delete_comments()
            while self._deletions.tell_redis(0.0):
                yield False
            yield from self._caught_up(given_up)
            if self._opens(kept, since, given_up):
                return
            yield from _rests(HOLD_REST_SECONDS)

    def _moved_on(self) -> Iterator[bool]:
        """Until what is in the fallback queue and the lanes now is in windows or tables."""
        last = self._places.fallback.last()
        while self._places.fallback.waits(last):
            yield False
        ends = {place: end for place, end in self._places.ends().items() if end}
        while ends := self._behind(ends, self._places.commits()):
            # Kafka's word costs a connection each time; Redis knows of all that was applied lately.
            look_at = time.monotonic() + COMMITS_SECONDS
            while ends and time.monotonic() < look_at:
                yield False
                ends = self._behind(ends, {})

    def _now_ms(self) -> int:
        with speaking("tell the time"):
            seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def _behind(self, ends: dict[str, int], committed: dict[str, int]) -> dict[str, int]:
        """The lanes that have events up to these ends in no window and no table."""
        applied = self._places.windows.progress()
        return {
            place: end
            for place, end in ends.items()
            if max(applied.get(place, -1) + 1, committed.get(place, 0)) < end
        }

    def _delete_comments(self) -> None:
        """Those that nobody but Redis knew: by now they have rows, or they never existed."""
        for one, has_row in self._deletions.comments.waiting():
            try:
                if has_row:
                    self._deletions.delete_comment(one.actor_id, one.comment_id)
            except Rejected as refusal:
                log.info("A comment is not deleted: %s", refusal)
            self._deletions.comments.done(one)

    def _caught_up(self, given_up: int) -> Iterator[bool]:
        """Until the words under way are young, or for so long."""
        until = time.monotonic() + CATCH_UP_SECONDS
        while self._words.unsettled(given_up, YOUNG_SECONDS) and time.monotonic() < until:
            yield False

    def _opens(self, kept: str | None, since: str, given_up: int) -> bool:
        """For a moment nobody speaks. False: some word has not come yet; then later again."""
        try:
            if not self._gate.hold(since):
                return True  # a twin of ours opened it; if it is closed again, from the start
        except Unavailable as fault:
            log.info("Somebody who speaks does not end: %s", fault)
            return False
        try:
            until = time.monotonic() + HOLD_SECONDS
            while self._words.unsettled(given_up):
                if time.monotonic() > until:
                    return False
                time.sleep(HOLD_PAUSE_SECONDS)
            if self._deletions.comments.waiting():
                return False
            while self._deletions.tell_redis(0.0):
                pass
            self._open(kept, since)
        finally:
            self._gate.let_go(since)
        if given_up:
            log.warning("Words past Redis up to %d were noted and never came", given_up)
        return True

    def _open(self, kept: str | None, since: str) -> None:
        subjects = self._words.subjects()
        forgotten = [key(*name, of) for kind, of in subjects for name in _FORGOTTEN[kind]]
        mark, must_be_there = kept or self._new_id(), int(kept is not None)
        deadline_ms = int((time.time() + FORGET_SECONDS) * 1000)
        with speaking("forget what is out of date"):
            done = self._forget(keys=[KEPT], args=[deadline_ms, mark, must_be_there, *forgotten])
        if done == "forgotten" and self._gate.open(mark, self._new_id(), since):
            log.warning("The gate is open: %d subjects are read afresh", len(subjects))
        else:
            log.warning("The gate was not opened (%s): from the beginning", done)


def _rests(seconds: float) -> Iterator[bool]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield False
