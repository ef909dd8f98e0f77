"""Flusher: closes due windows, many in one transaction.

Input: claim_due of app/aggregation/windows.py. Output: notifications, groups, counters and outbox rows in one
transaction (app/persistence/event_writer.py), then settle of app/aggregation/windows.py.

Claim, write, settle: a crash between any two repeats the write, which then changes nothing.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

from app.aggregation.windows import ClaimedWindow, WindowStore
from app.domain.grouping import AnnounceWhen, GroupKey
from app.failpoints import hit_failpoint
from app.ingest.comments import Comments
from app.messaging.dead_letters import DeadLetterQueue
from app.messaging.stage_counters import BatchStats, RecordStats, discard_stats
from app.persistence.event_writer import EventBatch, EventToWrite, EventWriter
from app.persistence.written_memberships import WrittenMemberships, written_memberships
from workers.after_write import dead_letter_rejected_events, pending_comment_keys

log = logging.getLogger(__name__)
MAX_WINDOWS = 500


class Flusher:
    def __init__(
        self,
        windows: WindowStore,
        event_writer: EventWriter,
        comments: Comments,
        memberships: WrittenMemberships,
        dead_letters: DeadLetterQueue,
        max_rows: int,
        now: Callable[[], float],
        record_stats: RecordStats = discard_stats,
    ) -> None:
        self._record_stats = record_stats
        self._windows = windows
        self._event_writer = event_writer
        self._comments = comments
        self._memberships = memberships
        self._dead_letters = dead_letters
        self._max_rows = max_rows
        self._now = now
        self._claimed_windows: list[ClaimedWindow] = []

    def step(self) -> int:
        """One transaction; returns the number of closed windows. A failed batch is retried first."""
        if not self._claimed_windows:
            now_ms = int(self._now() * 1000)
            self._claimed_windows = self._windows.claim_due_windows(now_ms, MAX_WINDOWS, self._max_rows)
        if not self._claimed_windows:
            return 0
        hit_failpoint("flusher.claimed")
        self._write_and_settle_windows(self._claimed_windows)
        closed_count, self._claimed_windows = len(self._claimed_windows), []
        return closed_count

    def _write_and_settle_windows(self, windows: Sequence[ClaimedWindow]) -> None:
        started_at = time.perf_counter()
        entries = tuple(
            EventToWrite(event, AnnounceWhen.DEFERRED if window.is_early_flush else AnnounceWhen.ON_CLOSE)
            for window in windows
            for event in window.events
        )
        closed_groups = frozenset(_group_key(window) for window in windows if not window.is_early_flush)
        write_outcome = self._event_writer.write(EventBatch(entries, closed_groups))
        hit_failpoint("flusher.written")
        dead_letter_rejected_events(write_outcome, self._dead_letters)
        self._comments.remove_written_from_pending(pending_comment_keys(entry.event for entry in entries))
        self._memberships.settle(
            written_memberships((entry.event for entry in entries), write_outcome.was_active_by_row)
        )
        self._windows.settle_windows(windows, Counter(write_outcome.outcomes.values()))
        hit_failpoint("flusher.settled")
        self._record_stats(BatchStats("flusher", trace_step="closed", trace_details=write_outcome.outcomes))
        log.info(
            "Closed %d windows with %d events in one transaction, %d client events, %.0f ms",
            len(windows),
            len(entries),
            write_outcome.client_event_count,
            (time.perf_counter() - started_at) * 1000,
            extra={"event": "windows_closed"},
        )


def _group_key(window: ClaimedWindow) -> GroupKey:
    return GroupKey(window.recipient_id, window.kind, window.object_id)
