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

from app.domain.errors import Unavailable
from app.domain.events import Kind
from app.domain.pacing import jittered
from app.stores.direct_words import GIVEN_UP_SECONDS, DirectWords
from app.stores.gate import KEPT, OPEN, Gate
from app.stores.leases import Lease
from app.stores.redis import key, script, speaking
from app.stores.windows import Windows
from app.streams.fallback import FallbackQueue
from app.streams.ingress import Ingress

log = logging.getLogger(__name__)
HOLD_SECONDS, HOLD_PAUSE_SECONDS = 0.8, 0.02
IDLE_SECONDS, BUSY_SECONDS = 0.3, 0.05
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


class Keeper:
    def __init__(
        self,
        connection: redis.Redis,
        gate: Gate,
        words: DirectWords,
        places: Places,
        lease: Lease,
        new_id: Callable[[], str],
    ) -> None:
        self._redis = connection
        self._forget = script(connection, "forget")
        self._gate = gate
        self._words = words
        self._places = places
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
            self._emptied(state.kept)
            return 0
        self._waiting = sum(self._places.ingress.lengths().values())
        if state.state == "open" and gate is not None:
            return 0
        if self._way_back is None:
            self._gate.close("its key is gone, or it was never opened")
            self._gate.let_go()  # a keeper may have died on the way
            self._gate.shut()
            since = self._gate.state().since
            self._way_back = self._back(state.kept or self._new_id(), since)
        if next(self._way_back, True):
            self._way_back = None
        return 0

    def _seen(self) -> tuple[str | None, str | None]:
        with speaking("tell the gate"):
            told: Any = self._redis.mget([OPEN, KEPT])
        return told[0], told[1]

    def _emptied(self, kept: str) -> None:
        self._way_back = None
        self._gate.close("Redis was emptied")
        self._gate.shut()
        lost = "an unknown number of" if self._waiting is None else str(self._waiting)
        log.warning(
            "Redis was emptied: %s events that the bridge had not moved yet are lost (as counted "
            "last), and figures, traces and remembered keys. Windows and counts are rebuilt from "
            "Kafka and PostgreSQL",
            lost,
        )
        self._gate.note_loss({"at": time.time(), "events": self._waiting})
        with speaking("mark an emptied Redis"):
            self._redis.set(KEPT, kept)

    def _back(self, kept: str, since: str) -> Iterator[bool]:
        """Yields False while it waits, and ends when the gate is open."""
        closed_ms = self._now_ms()
        while self._places.ingress.has_older(closed_ms):
            yield False
        yield from self._moved_on()
        pages = self._places.windows.write_early()
        while self._places.windows.unsettled(pages):
            yield False
        while True:
            # So old, they were never published, unless they are still on the way.
            lost_words = self._words.unsettled(GIVEN_UP_SECONDS)
            if lost_words:
                yield from self._moved_on()
            if self._opens(kept, since, lost_words):
                return
            yield False

    def _moved_on(self) -> Iterator[bool]:
        """Until what is in the fallback queue and the lanes now is in windows or tables."""
        last = self._places.fallback.last()
        while self._places.fallback.waits(last):
            yield False
        ends = self._places.ends()
        while self._behind(ends):
            yield False

    def _now_ms(self) -> int:
        with speaking("tell the time"):
            seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def _behind(self, ends: dict[str, int]) -> bool:
        """Whether a lane has events up to these ends that are in no window and no table."""
        applied = self._places.windows.progress()
        if all(applied.get(place, -1) + 1 >= end for place, end in ends.items() if end):
            return False
        committed = self._places.commits()
        return any(
            max(applied.get(place, -1) + 1, committed.get(place, 0)) < end
            for place, end in ends.items()
        )

    def _opens(self, kept: str, since: str, lost_words: int) -> bool:
        """For a moment nobody speaks. Not open: some word has not come yet; then later again."""
        if self._words.unsettled() - lost_words > MANY:
            return False
        if not self._gate.hold(since):
            return True  # a twin of ours opened it meanwhile; if it is closed again, from the start
        try:
            until = time.monotonic() + HOLD_SECONDS
            while self._words.unsettled() > lost_words:
                if time.monotonic() > until:
                    return False
                time.sleep(HOLD_PAUSE_SECONDS)
            self._open(kept)
        finally:
            self._gate.let_go()
        if lost_words:
            log.warning("%d words past Redis were noted and never came", lost_words)
        return True

    def _open(self, kept: str) -> None:
        subjects = self._words.subjects()
        forgotten = [key(*name, of) for kind, of in subjects for name in _FORGOTTEN[kind]]
        with speaking("forget what is out of date"):
            self._forget(keys=[KEPT], args=[kept, *forgotten])
        self._gate.open(kept, self._new_id())
        log.warning("The gate is open: %d subjects are read afresh", len(subjects))


MANY = 200
"""Words under way that surely do not all arrive in the moment for which people wait."""
