"""STOP 6. Flusher: closes due windows; many of them in one transaction.

In    stores/windows.py: claim_due
Out   stores/ledger.py: rows, groups, counters and outbox in one transaction; then
      stores/windows.py: settle
Next  streams/relay.py

Claim, write, settle: dying between any two repeats the write, which then changes nothing.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

from app.domain.ledger import GroupKey, Ring
from app.failpoints import reach
from app.stores.comments import Comments
from app.stores.figures import Note, Passing, unnoted
from app.stores.ledger import Batch, Entry, Ledger
from app.stores.windows import Closing, Windows
from app.streams.dead_letters import DeadLetters
from workers.settling import after_writing, places_of

log = logging.getLogger(__name__)
MAX_WINDOWS = 500


class Flusher:
    def __init__(
        self,
        windows: Windows,
        ledger: Ledger,
        comments: Comments,
        dead_letters: DeadLetters,
        max_rows: int,
        now: Callable[[], float],
        note: Note = unnoted,
    ) -> None:
        self._note = note
        self._windows = windows
        self._ledger = ledger
        self._comments = comments
        self._dead_letters = dead_letters
        self._max_rows = max_rows
        self._now = now
        self._claimed: list[Closing] = []

    def step(self) -> int:
        """One transaction; how many windows it closed. What failed is tried again first."""
        if not self._claimed:
            now_ms = int(self._now() * 1000)
            self._claimed = self._windows.claim_due(now_ms, MAX_WINDOWS, self._max_rows)
        if not self._claimed:
            return 0
        reach("flusher.claimed")
        self._flush(self._claimed)
        closed, self._claimed = len(self._claimed), []
        return closed

    def _flush(self, closings: Sequence[Closing]) -> None:
        began = time.perf_counter()
        entries = tuple(
            Entry(event, Ring.LATER if closing.early else Ring.AT_CLOSE)
            for closing in closings
            for event in closing.events
        )
        closes = frozenset(_group(closing) for closing in closings if not closing.early)
        settled = self._ledger.write(Batch(entries, closes))
        reach("flusher.written")
        after_writing(settled, self._dead_letters)
        self._comments.forget(places_of(entry.event for entry in entries))
        self._windows.settle(closings, Counter(settled.outcomes.values()))
        reach("flusher.settled")
        self._note(Passing("flusher", step="closed", events=settled.outcomes))
        log.info(
            "Closed %d windows with %d events in one transaction, %d frames, %.0f ms",
            len(closings),
            len(entries),
            settled.frames,
            (time.perf_counter() - began) * 1000,
        )


def _group(closing: Closing) -> GroupKey:
    return GroupKey(closing.recipient_id, closing.kind, closing.object_id)
