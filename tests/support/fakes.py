"""In-memory fakes, checked by the same contract tests as the real implementations.

MemoryKafka            topics, partitions by key, consumer groups with committed offsets
MemoryPushPublisher    records the client events that would be pushed to sockets
ManualClock            a clock that moves only when the test moves it
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.messaging.records import ConsumedRecord, ProducerRecord, RecordsRejected
from app.messaging.socket_push import SocketPush, user_room

PARTITIONS = 3
PARTITION_COUNT_BY_TOPIC = {topic.value: PARTITIONS for topic in Topic}


@dataclass
class ManualClock:
    """Starts at a fixed time in 2026, so that no test depends on the current date."""

    unix_seconds: float = 1_780_000_000.0

    def now(self) -> float:
        return self.unix_seconds

    def advance(self, seconds: float) -> None:
        self.unix_seconds += seconds


class MemoryPushPublisher:
    """Records client events instead of publishing them (app.messaging.socket_push.SocketPushPublisher)."""

    def __init__(self) -> None:
        self.client_events: list[SocketPush] = []

    def emit(self, event_name: str, payload: dict[str, Any], room: str) -> None:
        self.emit_all([(event_name, payload, room)])

    def emit_all(self, client_events: Iterable[SocketPush]) -> None:
        self.client_events += client_events

    def events_for_user(self, user_id: str, event: str = "notification") -> list[dict[str, Any]]:
        """Payloads of one event type pushed to a user, in order."""
        room = user_room(user_id)
        return [data for name, data, event_room in self.client_events if (name, event_room) == (event, room)]


@dataclass
class MemoryKafka:
    """A broker. Its partitioner differs from Kafka's: rely on "same key, same partition" only."""

    partition_count_by_topic: Mapping[str, int] = field(
        default_factory=lambda: dict(PARTITION_COUNT_BY_TOPIC)
    )
    is_unavailable: bool = False
    """All calls fail and have no effect."""
    max_record_bytes: int = 1_000_000
    """Larger records are rejected."""
    loses_acknowledgements: bool = False
    """Published records arrive, but the publisher gets an error."""

    def __post_init__(self) -> None:
        self.log_by_partition: dict[tuple[str, int], list[ProducerRecord]] = {
            (topic, partition): []
            for topic, partition_count in self.partition_count_by_topic.items()
            for partition in range(partition_count)
        }
        self.committed_offsets: dict[tuple[str, str, int], int] = {}
        self.group_members: dict[tuple[str, str], list[MemorySubscriber]] = {}

    def publisher(self) -> "MemoryPublisher":
        return MemoryPublisher(self)

    def subscriber(self, group: str, topic: str) -> "MemorySubscriber":
        return MemorySubscriber(self, group, topic)

    def records(self, topic: str) -> list[ProducerRecord]:
        """All records of a topic, in order within each key."""
        return [
            record
            for (log_topic, _), log in self.log_by_partition.items()
            if log_topic == topic
            for record in log
        ]

    def append(self, record: ProducerRecord) -> None:
        partition = crc32(record.key.encode()) % self.partition_count_by_topic[record.topic]
        self.log_by_partition[record.topic, partition].append(record)

    def raise_if_unavailable(self) -> None:
        if self.is_unavailable:
            raise Unavailable("Kafka is unavailable", "kafka_unavailable")


@dataclass
class MemoryPublisher:
    """Obeys app.messaging.publisher.Publishes."""

    memory_kafka: MemoryKafka

    def publish(self, records: Sequence[ProducerRecord]) -> None:
        self.memory_kafka.raise_if_unavailable()
        reason_by_index = {}
        for index, record in enumerate(records):
            if record.topic not in self.memory_kafka.partition_count_by_topic:
                raise Unavailable("Kafka did not take the events", "kafka_unavailable")
            if len(record.value or b"") > self.memory_kafka.max_record_bytes:
                reason_by_index[index] = "MessageSizeTooLargeError"
            else:
                self.memory_kafka.append(record)
        if self.memory_kafka.loses_acknowledgements:
            raise Unavailable("Kafka did not acknowledge in time", "kafka_unavailable")
        if reason_by_index:
            raise RecordsRejected(reason_by_index)

    def close(self) -> None:
        """There is nothing to close."""


class MemorySubscriber:
    """Like KafkaSubscriber. Joins its consumer group when it first polls."""

    def __init__(self, memory_kafka: MemoryKafka, consumer_group: str, topic: str) -> None:
        self._memory_kafka = memory_kafka
        self._consumer_group = consumer_group
        self._topic = topic
        self._positions: dict[int, int] = {}

    def poll(self, timeout_seconds: float, max_records: int) -> list[ConsumedRecord]:
        """Never waits: a test that wants something later asks later."""
        self._memory_kafka.raise_if_unavailable()
        self._rebalance()
        consumed: list[ConsumedRecord] = []
        for partition, position in self._positions.items():
            log = self._memory_kafka.log_by_partition[self._topic, partition]
            new_records = log[position : position + max_records - len(consumed)]
            consumed += [
                ConsumedRecord(self._topic, partition, position + index, record.value)
                for index, record in enumerate(new_records)
            ]
            self._positions[partition] = position + len(new_records)
        return consumed

    def commit(self, offset_by_partition: dict[tuple[str, int], int]) -> bool:
        if self._memory_kafka.is_unavailable:
            return False  # like the real one: records are read again
        for (topic, partition), offset in offset_by_partition.items():
            self._memory_kafka.committed_offsets[self._consumer_group, topic, partition] = offset
        return True

    def seek_to_committed(self) -> None:
        self._memory_kafka.raise_if_unavailable()
        self._positions = {partition: self._committed_offset(partition) for partition in self._positions}

    def close(self) -> None:
        """Leaves the group: other members read again what it did not commit."""
        members = self._memory_kafka.group_members.get((self._consumer_group, self._topic), [])
        if self in members:
            members.remove(self)
        self._positions = {}

    def _rebalance(self) -> None:
        members = self._memory_kafka.group_members.setdefault((self._consumer_group, self._topic), [])
        if self not in members:
            members.append(self)
        count, member_index = len(members), members.index(self)
        assigned_partitions = [
            partition
            for partition in range(self._memory_kafka.partition_count_by_topic[self._topic])
            if partition % count == member_index
        ]
        self._positions = {
            partition: self._positions.get(partition, self._committed_offset(partition))
            for partition in assigned_partitions
        }

    def _committed_offset(self, partition: int) -> int:
        return self._memory_kafka.committed_offsets.get((self._consumer_group, self._topic, partition), 0)
