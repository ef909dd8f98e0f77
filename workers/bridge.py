"""Bridge: moves events from the ingress streams into Kafka.

Input: app/ingest/ingress.py, consumer group "bridge", one owner per shard. Output: Kafka, acknowledged by all
replicas (app/messaging/publisher.py), or app/messaging/fallback_queue.py while Kafka is unavailable. Whether
an actor follows the recipient is looked up once per batch (app/persistence/followers.py): it decides the
lane.

Order within a shard is kept by one rule: while a shard has rows in the fallback queue, newer events are
added behind them, and the oldest rows are published first.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.failpoints import hit_failpoint
from app.ingest.ingress import IngressEntry, IngressStreams
from app.messaging.dead_letters import DeadLetterQueue
from app.messaging.fallback_queue import FallbackQueue, PendingFallbackRow
from app.messaging.publisher import RecordPublisher
from app.messaging.records import RecordsRejected
from app.messaging.stage_counters import BatchStats, RecordStats, discard_stats
from workers.ingress_records import (
    FindFollows,
    QueuedEvent,
    convert_entries_to_records,
    trace_details_by_event,
)

log = logging.getLogger(__name__)
MAX_BATCH_ENTRIES = 500
READ_WAIT_SECONDS = 0.5
LEASE_RENEW_INTERVAL_SECONDS = 1.0
FALLBACK_CHECK_INTERVAL_SECONDS = 1.0
"""A failback waits for what web processes put into the fallback queue, so it is checked regularly."""


@dataclass(slots=True)
class OwnedShardState:
    """What the owner of a shard knows about it."""

    last_entry_id: str = "0-0"
    has_pending: bool = True
    """Entries were read but not acknowledged, by this or an earlier owner: those are read first."""
    is_draining_fallback: bool = True
    """Whether the fallback queue had rows of this shard at the last check."""
    recheck_at: float = 0.0
    """When to check again: a former owner that resumed late may have added rows."""


class Bridge:
    def __init__(
        self,
        ingress: IngressStreams,
        publisher: RecordPublisher,
        fallback_queue: FallbackQueue,
        dead_letters: DeadLetterQueue,
        find_follows: FindFollows,
        new_lease_token: Callable[[], str],
        record_stats: RecordStats = discard_stats,
    ) -> None:
        self._record_stats = record_stats
        self._ingress = ingress
        self._publisher = publisher
        self._fallback_queue = fallback_queue
        self._dead_letters = dead_letters
        self._find_follows = find_follows
        self._lease_token = new_lease_token()
        self._owned_shards: dict[int, OwnedShardState] = {}
        self._renew_leases_at = 0.0

    def create_consumer_groups(self) -> None:
        for number in self._ingress.shards:
            self._ingress.create_shard(number)

    def step(self) -> int:
        """Moves one batch of each owned shard; waits for new entries when there were none."""
        try:
            self._renew_and_acquire_leases()
        except Unavailable:
            self._drain_fallback_without_leases()
            raise
        moved_count = sum(self._drain_fallback(number, shard) for number, shard in self._owned_shards.items())
        batches = self._read_entries()
        if batches:
            hit_failpoint("bridge.read")
            moved_count += self._process_batches(batches)
        elif not moved_count and self._owned_shards:
            last_entry_ids = {number: shard.last_entry_id for number, shard in self._owned_shards.items()}
            self._ingress.wait_for_entries(last_entry_ids, READ_WAIT_SECONDS)
        return moved_count

    def _drain_fallback_without_leases(self) -> None:
        """Without Redis there are no leases, but rows of the fallback queue need not wait for it. Two
        bridges may publish the same row; readers drop the copy by its seq."""
        for number in self._ingress.shards:
            self._drain_fallback(number, self._owned_shards.get(number, OwnedShardState()))

    def release_leases(self) -> None:
        """For the end of the process. Pending entries stay pending, and the next owner starts with them."""
        for number in list(self._owned_shards):
            self._ingress.release_lease(number, self._lease_token)

    def _renew_and_acquire_leases(self) -> None:
        """Renews leases and acquires free ones. A new shard starts with its pending entries."""
        if time.monotonic() < self._renew_leases_at:
            return
        for number in self._ingress.shards:
            was_held = self._ingress.acquire_or_renew_lease(number, self._lease_token)
            if was_held is None:
                self._owned_shards.pop(number, None)
            elif not was_held or number not in self._owned_shards:
                self._owned_shards[number] = OwnedShardState()
        self._renew_leases_at = time.monotonic() + LEASE_RENEW_INTERVAL_SECONDS

    def _read_entries(self) -> dict[int, list[IngressEntry]]:
        try:
            return self._read_pending_entries() or self._read_new_entries()
        except Unavailable:
            # The response may have been lost after Redis assigned the entries: they are pending now.
            for shard in self._owned_shards.values():
                shard.has_pending = True
            self._recreate_consumer_groups()
            raise

    def _read_pending_entries(self) -> dict[int, list[IngressEntry]]:
        pending_numbers = [number for number, shard in self._owned_shards.items() if shard.has_pending]
        batches = (
            self._ingress.read_entries(pending_numbers, MAX_BATCH_ENTRIES, redeliver_pending=True)
            if pending_numbers
            else {}
        )
        for number in pending_numbers:
            self._owned_shards[number].has_pending = number in batches
        return batches

    def _read_new_entries(self) -> dict[int, list[IngressEntry]]:
        numbers = list(self._owned_shards)
        return (
            self._ingress.read_entries(numbers, MAX_BATCH_ENTRIES, redeliver_pending=False) if numbers else {}
        )

    def _recreate_consumer_groups(self) -> None:
        for number in self._owned_shards:
            self._ingress.create_shard(number)

    def _process_batches(self, batches: dict[int, list[IngressEntry]]) -> int:
        events = convert_entries_to_records(batches, self._dead_letters, self._find_follows)
        for number in events:
            self._owned_shards[number].has_pending = True  # until acknowledged
        to_publish = {
            number: shard_events
            for number, shard_events in events.items()
            if not self._owned_shards[number].is_draining_fallback
        }
        to_fallback = {number: events[number] for number in events if number not in to_publish}
        to_fallback |= self._publish_and_return_unpublished(to_publish)
        for number, shard_events in to_fallback.items():
            if shard_events:
                self._fallback_queue.enqueue(number, shard_events)
                hit_failpoint("bridge.enqueued")
        return sum(
            self._acknowledge_batch(n, entries, events[n], len(to_fallback.get(n, ())))
            for n, entries in batches.items()
        )

    def _publish_and_return_unpublished(
        self, events_by_shard: dict[int, list[QueuedEvent]]
    ) -> dict[int, list[QueuedEvent]]:
        """Returns what must go to the fallback queue: nothing, everything, or the records that Kafka
        rejected individually, whose rejections are counted there."""
        queued = [
            (number, queued_event) for number, events in events_by_shard.items() for queued_event in events
        ]
        try:
            self._publisher.publish([record for _, (*_, record) in queued])
            hit_failpoint("bridge.published")
            return {}
        except Unavailable as exc:
            log.warning(
                "Kafka is unavailable, events go to the fallback queue: %s",
                exc,
                extra={"event": "kafka_unavailable"},
            )
            unpublished = events_by_shard
        except RecordsRejected as exc:
            unpublished = {}
            for index in exc.reason_by_index:
                number, queued_event = queued[index]
                unpublished.setdefault(number, []).append(queued_event)
        for number in unpublished:
            self._owned_shards[number].is_draining_fallback = True
        return unpublished

    def _acknowledge_batch(
        self,
        number: int,
        entries: Sequence[IngressEntry],
        events: Sequence[QueuedEvent],
        fallback_count: int,
    ) -> int:
        """Called last: a crash before it repeats the batch and loses nothing."""
        failed_count = sum(record.topic == Topic.DEAD_LETTER.value for *_, record in events)
        acknowledged = self._ingress.acknowledge_entries(
            number, self._lease_token, entries, fallback_count, failed_count
        )
        if acknowledged is None:
            log.warning("Shard %d has another owner now", number, extra={"event": "shard_lease_lost"})
            self._owned_shards.pop(number, None)
            return 0
        hit_failpoint("bridge.acknowledged")
        shard = self._owned_shards[number]
        shard.last_entry_id = entries[-1].stream_id
        shard.has_pending = acknowledged.unacknowledged_count > 0
        step = "sent_to_fallback" if fallback_count else "published"
        details = trace_details_by_event(entries, events)
        self._record_stats(BatchStats("bridge", trace_step=step, trace_details=details))
        return len(entries)

    def _drain_fallback(self, number: int, shard: OwnedShardState) -> int:
        """Publishes the oldest rows of the fallback queue, before anything newer of this shard."""
        if not shard.is_draining_fallback and time.monotonic() < shard.recheck_at:
            return 0
        rows = self._read_fallback_rows(number, shard)
        shard.is_draining_fallback = bool(rows)
        shard.recheck_at = time.monotonic() + FALLBACK_CHECK_INTERVAL_SECONDS
        if not rows:
            return 0
        try:
            self._fallback_queue.publish_and_settle(rows, self._publisher)
        except Unavailable as exc:
            log.debug(
                "The fallback queue of shard %d is not drained: %s",
                number,
                exc,
                extra={"event": "fallback_drain_failed"},
            )
            return 0
        return len(rows)

    def _read_fallback_rows(self, number: int, shard: OwnedShardState) -> list[PendingFallbackRow]:
        try:
            return self._fallback_queue.list_pending_rows(number, MAX_BATCH_ENTRIES)
        except Unavailable:
            if shard.is_draining_fallback:
                raise
            return []  # it was empty at the last check: PostgreSQL is not needed then
