"""Kafka's place in a benchmark of everything else: topics of one partition, in memory."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.messaging.records import ConsumedRecord, ProducerRecord


@dataclass
class MemoryTopics:
    """A publisher (app/messaging/publisher.py)."""

    records_by_topic: dict[str, list[ConsumedRecord]] = field(default_factory=lambda: defaultdict(list))

    def publish(self, records: Sequence[ProducerRecord]) -> None:
        for record in records:
            topic_records = self.records_by_topic[record.topic]
            topic_records.append(ConsumedRecord(record.topic, 0, len(topic_records), record.value))


@dataclass
class MemorySubscriber:
    """Reads one topic as app/messaging/consumer.py does, without waiting."""

    topics: MemoryTopics
    topic: str
    position: int = 0

    def poll(self, timeout_seconds: float, max_records: int) -> list[ConsumedRecord]:
        records = self.topics.records_by_topic[self.topic][self.position : self.position + max_records]
        self.position += len(records)
        return records

    def commit(self, offset_by_partition: dict[tuple[str, int], int]) -> bool:
        return True

    def seek_to_committed(self) -> None:
        raise RuntimeError("Redis lost its windows during the benchmark")
