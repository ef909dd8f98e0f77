"""Aggregator: writes an event at once, or gathers it into a window.

Input: the priority topics, one loop each. Output: app/persistence/event_writer.py (at once) or
app/aggregation/windows.py (gathered; workers/flusher.py closes the windows).

The committed offset is the low watermark: everything below it is in PostgreSQL. After a crash, events of at
most one window length are read again, which changes nothing; if Redis lost its windows, the same reading
rebuilds them. While Redis is unavailable every event is written at once, and offsets are remembered until it
responds: only Redis knows what its windows hold and which comments and follows it lists as pending.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.aggregation.windows import OfferedEvent, WindowStateLost, WindowStore
from app.delivery.post_change_publisher import PostChangePublisher
from app.domain.clock import TimeAndIdSource
from app.domain.errors import Poisoned, Unavailable
from app.domain.event_codec import parse_event
from app.domain.events import Event
from app.domain.grouping import AnnounceWhen
from app.domain.windows import (
    AggregationRules,
    WindowDecision,
    instant_announcement_quota,
    new_window_due_at_ms,
)
from app.failpoints import hit_failpoint
from app.ingest.comments import Comments
from app.messaging.consumer import KafkaSubscriber
from app.messaging.dead_letters import DeadLetter, DeadLetterQueue
from app.messaging.records import ConsumedRecord, group_by_partition
from app.messaging.stage_counters import BatchStats, RecordStats, discard_stats
from app.persistence.event_writer import EventBatch, EventToWrite, EventWriter
from app.persistence.pending_follows import PendingFollows
from app.persistence.written_memberships import WrittenMemberships
from workers.after_write import (
    PendingEntryCleanup,
    dead_letter_rejected_events,
    event_outcomes,
    trace_details_by_event,
)

log = logging.getLogger(__name__)
MAX_BATCH_RECORDS = 500
POLL_TIMEOUT_SECONDS = 0.5
COMMIT_INTERVAL_SECONDS = 1.0
UNLIMITED_INSTANT_QUOTA = 2**31
"""For kinds without windows."""


@dataclass(frozen=True, slots=True)
class AggregatorSinks:
    """Destinations of the events of an aggregator."""

    windows: WindowStore
    event_writer: EventWriter
    dead_letters: DeadLetterQueue
    post_changes: PostChangePublisher
    comments: Comments
    pending_follows: PendingFollows
    memberships: WrittenMemberships
    record_stats: RecordStats = discard_stats


class Aggregator:
    """Reads one priority topic."""

    def __init__(
        self,
        subscriber: KafkaSubscriber,
        sinks: AggregatorSinks,
        rules: AggregationRules,
        clock: TimeAndIdSource,
        random_fraction: Callable[[], float],
    ) -> None:
        self._subscriber = subscriber
        self._sinks = sinks
        self._rules = rules
        self._clock = clock
        self._random_fraction = random_fraction
        self._epoch: str | None = None
        self._pending_records: dict[tuple[str, int], list[ConsumedRecord]] = {}
        self._uncommitted: dict[tuple[str, int], int] = {}
        self._next_commit_at = 0.0
        self._persisted = PendingEntryCleanup()
        self._is_redis_down = False
        """Whether Redis failed to respond in this step."""

    def step(self) -> int:
        """One poll. A failed batch is kept and retried before anything newer."""
        if not self._pending_records:
            self._pending_records = group_by_partition(
                self._subscriber.poll(POLL_TIMEOUT_SECONDS, MAX_BATCH_RECORDS)
            )
            if self._pending_records:
                hit_failpoint("aggregator.polled")
        moved_count = 0
        try:
            if self._pending_records:
                self._process_batches(self._pending_records)
                moved_count = sum(len(records) for records in self._pending_records.values())
                self._pending_records = {}
            self._commit_settled_offsets_if_due()
        except WindowStateLost:
            self._rewind_to_committed_offsets()
        self._sinks.post_changes.publish_due_changes()
        return moved_count

    def _rewind_to_committed_offsets(self) -> None:
        log.warning(
            "Redis lost its windows: reading again from the committed offsets",
            extra={"event": "windows_lost"},
        )
        self._epoch = None
        self._pending_records = {}
        self._uncommitted = {}
        self._subscriber.seek_to_committed()

    def _commit_settled_offsets_if_due(self) -> None:
        """Commits what the flusher has settled since, when no new events arrive. This is also how an
        idle loop notices that Redis lost its windows."""
        now = self._clock.now()
        if not self._uncommitted or now < self._next_commit_at:
            return
        self._next_commit_at = now + COMMIT_INTERVAL_SECONDS
        self._commit_offsets_or_defer(dict(self._uncommitted))

    def _commit_offsets_or_defer(self, last_offsets: Mapping[tuple[str, int], int]) -> None:
        try:
            self._commit_safe_offsets(last_offsets)
        except Unavailable as exc:
            log.warning(
                "Offsets are committed once Redis responds: %s",
                exc,
                extra={"event": "offset_commit_deferred"},
            )
            self._uncommitted |= last_offsets

    def _commit_safe_offsets(self, last_offsets: Mapping[tuple[str, int], int]) -> None:
        """Commits up to the first event that a window still holds; all up to `last_offsets` are applied."""
        self._persisted.remove_written_from_pending(
            self._sinks.comments, self._sinks.pending_follows, self._sinks.memberships
        )
        epoch = self._get_or_load_windows_epoch()
        safe_offsets = {
            (topic, partition): self._sinks.windows.mark_applied_and_get_commit_offset(
                epoch, f"{topic}:{partition}", last_offset
            )
            for (topic, partition), last_offset in last_offsets.items()
        }
        hit_failpoint("aggregator.applied")
        is_committed = self._subscriber.commit(safe_offsets)
        for topic_partition, last_offset in last_offsets.items():
            if is_committed and safe_offsets[topic_partition] > last_offset:
                self._uncommitted.pop(topic_partition, None)
            else:
                self._uncommitted[topic_partition] = last_offset

    def _process_batches(self, batches: Mapping[tuple[str, int], Sequence[ConsumedRecord]]) -> None:
        """One transaction for all partitions of the poll."""
        events: list[tuple[int, Event]] = []
        decisions: list[WindowDecision] = []
        self._is_redis_down = False
        for records in batches.values():
            parsed = self._parse_or_dead_letter_records(records)
            decisions += self._offer_to_windows(records[0].partition_name, parsed)
            events += parsed
        hit_failpoint("aggregator.gathered")
        entries = [
            # An event that mentions its recipient may have to be announced outside its window: decided now.
            EventToWrite(
                event,
                AnnounceWhen.NOW if decision is WindowDecision.INSTANT else AnnounceWhen.DEFERRED,
            )
            for (_, event), decision in zip(events, decisions, strict=True)
            if decision is WindowDecision.INSTANT or event.mentions_recipient
        ]
        write_outcome = self._sinks.event_writer.write(EventBatch(tuple(entries)))
        hit_failpoint("aggregator.written")
        self._persisted.add_persisted_events(
            [entry.event for entry in entries], write_outcome.was_active_by_row
        )
        dead_letter_rejected_events(write_outcome, self._sinks.dead_letters)
        self._commit_offsets_or_defer(
            {topic_partition: records[-1].offset for topic_partition, records in batches.items()}
        )
        outcome_names = event_outcomes(events, decisions, write_outcome)
        self._record_batch_stats(
            batches, outcome_names, trace_details_by_event(events, outcome_names, write_outcome)
        )
        self._sinks.post_changes.record_count_changes(event for _, event in events)

    def _record_batch_stats(
        self,
        batches: Mapping[tuple[str, int], Sequence[ConsumedRecord]],
        outcome_names: Sequence[str],
        steps_by_event: Mapping[str, str],
    ) -> None:
        """Records the counters of this stage and the trace steps of these events."""
        read_count = sum(len(records) for records in batches.values())
        self._sinks.record_stats(
            BatchStats(
                "aggregator",
                count_by_outcome=Counter(outcome_names) + Counter(failed=read_count - len(outcome_names)),
                partition_offsets={
                    records[0].partition_name: (records[-1].offset, len(records))
                    for records in batches.values()
                },
                trace_step="aggregated",
                trace_details=steps_by_event,
            )
        )

    def _offer_to_windows(self, partition: str, events: Sequence[tuple[int, Event]]) -> list[WindowDecision]:
        if not events:
            return []
        offers = [self._build_window_offer(offset, event) for offset, event in events]
        max_rows = self._rules.flush_max_rows
        try:
            if not self._is_redis_down:
                return self._sinks.windows.gather_events(
                    self._get_or_load_windows_epoch(), partition, max_rows, offers
                )
        except Unavailable as exc:
            log.warning(
                "Windows are unavailable, events are announced at once: %s",
                exc,
                extra={"event": "windows_unavailable"},
            )
            self._is_redis_down = True
        # If the call took effect after all, its windows will find everything announced.
        return [WindowDecision.INSTANT] * len(events)

    def _build_window_offer(self, offset: int, event: Event) -> OfferedEvent:
        quota = None if event.bypassed_redis else instant_announcement_quota(event.kind, self._rules)
        now_ms = int(self._clock.now() * 1000)
        due_at_ms = new_window_due_at_ms(now_ms, self._rules, self._random_fraction())
        return OfferedEvent(
            event,
            offset,
            UNLIMITED_INSTANT_QUOTA if quota is None else quota,
            due_at_ms,
            quota is None,
        )

    def _get_or_load_windows_epoch(self) -> str:
        if self._epoch is None:
            self._epoch = self._sinks.windows.get_or_set_epoch(self._clock.new_id())
        return self._epoch

    def _parse_or_dead_letter_records(self, records: Sequence[ConsumedRecord]) -> list[tuple[int, Event]]:
        events = []
        for record in records:
            try:
                events.append((record.offset, parse_event(record.value)))
            except Poisoned as exc:
                self._sinks.dead_letters.store_and_publish(
                    DeadLetter(
                        record.topic,
                        f"{record.partition}:{record.offset}",
                        str(exc),
                        record.value,
                    )
                )
        return events
