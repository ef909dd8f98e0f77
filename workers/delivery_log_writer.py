"""Delivery log writer: copies a topic of client events into the delivery log, a table of DynamoDB.

Input: ready-notifications, one client event per record, or bulk-notifications, one page of a fan-out per
record (workers/fan_out_pages_log.py), in a group of its own. Output: app/persistence/delivery_log.py. It
reads separately from workers/deliverer.py, which pushes the same events: an unavailable DynamoDB delays no
push, and Kafka keeps what is still to be written.
"""

from collections.abc import Callable
from typing import Any

from app.domain.errors import Poisoned
from app.domain.grouping import UNREAD_COUNT_EVENT
from app.failpoints import hit_failpoint
from app.messaging.consumer import KafkaSubscriber
from app.messaging.records import ConsumedRecord
from app.messaging.stage_counters import BatchStats, RecordStats, discard_stats
from app.persistence.delivery_log import DeliveryLog, build_delivery_log_item
from workers.ready_records import (
    MAX_BATCH_RECORDS,
    POLL_TIMEOUT_SECONDS,
    last_offset_and_count_by_partition,
    next_offset_by_partition,
    parse_ready_record,
)

ItemsOfRecord = Callable[[bytes | None, float], list[dict[str, Any]]]
"""The items of a record's value, at a time in Unix seconds. Raises Poisoned."""


def delivery_log_items_of_ready_record(value: bytes | None, now_seconds: float) -> list[dict[str, Any]]:
    ready = parse_ready_record(value)
    # An unread count concerns no single notification.
    return [] if ready["clientEvent"] == UNREAD_COUNT_EVENT else [build_delivery_log_item(ready, now_seconds)]


class DeliveryLogWriter:
    """Appends an item for each notification of a record to the delivery log. Unread counts are not logged.
    Skips records it cannot parse: the deliverer stores them as dead letters. `stage`: the pipeline stage
    whose counters it increments, by records."""

    def __init__(
        self,
        subscriber: KafkaSubscriber,
        delivery_log: DeliveryLog,
        now: Callable[[], float],
        record_stats: RecordStats = discard_stats,
        items_of_record: ItemsOfRecord = delivery_log_items_of_ready_record,
        stage: str = "delivery-log",
        max_batch_records: int = MAX_BATCH_RECORDS,
    ) -> None:
        self._items_of_record = items_of_record
        self._stage = stage
        self._max_batch_records = max_batch_records
        self._record_stats = record_stats
        self._subscriber = subscriber
        self._delivery_log = delivery_log
        self._now = now
        self._pending_records: list[ConsumedRecord] = []

    def step(self) -> int:
        """Appends a batch, then commits its offsets; the batch is kept and repeated after Unavailable."""
        if not self._pending_records:
            self._pending_records = self._subscriber.poll(POLL_TIMEOUT_SECONDS, self._max_batch_records)
        item_by_id: dict[str, dict[str, Any]] = {}
        failed_count = skipped_count = 0
        for record in self._pending_records:
            try:
                items = self._items_of_record(record.value, self._now())
            except Poisoned:
                failed_count += 1
                continue
            skipped_count += not items
            # DynamoDB rejects a batch with a repeated key.
            item_by_id |= {log_item["id"]["S"]: log_item for log_item in items}
        self._delivery_log.append(list(item_by_id.values()))
        hit_failpoint(f"{self._stage}.recorded")
        if self._pending_records:
            self._subscriber.commit(next_offset_by_partition(self._pending_records))
            recorded_count = len(self._pending_records) - failed_count - skipped_count
            outcomes = {"delivered": recorded_count, "merged": skipped_count, "failed": failed_count}
            partition_counts = last_offset_and_count_by_partition(self._pending_records)
            self._record_stats(
                BatchStats(self._stage, count_by_outcome=outcomes, partition_offsets=partition_counts)
            )
        moved_count, self._pending_records = len(self._pending_records), []
        return moved_count
