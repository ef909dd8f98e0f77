"""Delivery log writer: copies the topic ready-notifications into the delivery log, a table of DynamoDB.

Input: the topic, in a consumer group of its own. Output: app/persistence/delivery_log.py, one item per client
event. It reads separately from workers/deliverer.py, which pushes the same events: an unavailable DynamoDB
delays no push, and Kafka keeps what is still to be written.
"""

from collections.abc import Callable

from app.domain.errors import Poisoned
from app.failpoints import hit_failpoint
from app.messaging.consumer import KafkaSubscriber
from app.messaging.records import ConsumedRecord
from app.messaging.stage_counters import BatchStats, RecordStats, discard_stats
from app.persistence.delivery_log import DeliveryLog, build_delivery_log_item
from workers.ready_records import (
    MAX_BATCH_RECORDS,
    POLL_TIMEOUT_SECONDS,
    UNREAD_COUNT_EVENT,
    last_offset_and_count_by_partition,
    next_offset_by_partition,
    parse_ready_record,
)


class DeliveryLogWriter:
    """Reads ready records and appends an item for each notification to the delivery log. Unread counts are
    not logged. Skips records it cannot parse: the deliverer stores them as dead letters."""

    def __init__(
        self,
        subscriber: KafkaSubscriber,
        delivery_log: DeliveryLog,
        now: Callable[[], float],
        record_stats: RecordStats = discard_stats,
    ) -> None:
        self._record_stats = record_stats
        self._subscriber = subscriber
        self._delivery_log = delivery_log
        self._now = now
        self._pending_records: list[ConsumedRecord] = []

    def step(self) -> int:
        """Appends a batch, then commits its offsets; the batch is kept and repeated after Unavailable."""
        if not self._pending_records:
            self._pending_records = self._subscriber.poll(POLL_TIMEOUT_SECONDS, MAX_BATCH_RECORDS)
        item_by_id, failed_count, badge_count = {}, 0, 0
        for record in self._pending_records:
            try:
                ready = parse_ready_record(record.value)
            except Poisoned:
                failed_count += 1
                continue
            if ready["clientEvent"] == UNREAD_COUNT_EVENT:
                badge_count += 1  # concerns no single notification
            else:
                log_item = build_delivery_log_item(ready, self._now())
                item_by_id[log_item["id"]["S"]] = log_item  # DynamoDB rejects a batch with a repeated key
        self._delivery_log.append(list(item_by_id.values()))
        hit_failpoint("delivery-log.recorded")
        if self._pending_records:
            self._subscriber.commit(next_offset_by_partition(self._pending_records))
            recorded_count = len(self._pending_records) - failed_count - badge_count
            outcomes = {"delivered": recorded_count, "merged": badge_count, "failed": failed_count}
            partition_counts = last_offset_and_count_by_partition(self._pending_records)
            self._record_stats(
                BatchStats("delivery-log", count_by_outcome=outcomes, partition_offsets=partition_counts)
            )
        moved_count, self._pending_records = len(self._pending_records), []
        return moved_count
