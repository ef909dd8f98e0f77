"""Consumer lag: committed and end offset of each consumer group in each partition of its topic.

Reads Kafka's admin interface, for the groups of app/domain/worker_loops.py.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError

from app.clients.kafka import create_kafka_client, to_unavailable
from app.domain.routing import PRIORITY_TOPICS
from app.domain.worker_loops import LOOP_BY_CONSUMER_GROUP
from app.kafka_settings import KafkaConnection

TOPIC_BY_GROUP = {group: str(loop.topic) for group, loop in LOOP_BY_CONSUMER_GROUP.items()}
ABSENT_GROUP = ("absent", 0)


@dataclass(frozen=True, slots=True)
class PartitionOffset:
    """Position of a group in a partition. `committed` is None if it never committed."""

    group: str
    topic: str
    partition: int
    committed: int | None
    end_offset: int
    lag: int

    @property
    def partition_name(self) -> str:
        return f"{self.topic}:{self.partition}"


@dataclass(frozen=True, slots=True)
class KafkaFigures:
    topics: Collection[str]
    groups: Mapping[str, tuple[str, int]]
    """State and number of members of each consumer group of the pipeline."""
    offsets: list[PartitionOffset]
    """One per group and partition of its topic."""

    def lag_of(self, group: str) -> int:
        return sum(offset.lag for offset in self.offsets if offset.group == group)


def read_kafka_figures(connection: KafkaConnection) -> KafkaFigures:
    """Raises Unavailable."""
    with open_kafka_admin_client(connection) as admin:
        topics = set(admin.list_topics())
        groups = _read_group_states(admin)
        return KafkaFigures(topics, groups, _read_offsets(admin, topics, groups))


def read_consumer_group_offsets(connection: KafkaConnection) -> list[PartitionOffset]:
    """Raises Unavailable."""
    return read_kafka_figures(connection).offsets


def read_priority_topic_end_offsets(connection: KafkaConnection) -> dict[str, int]:
    """End offset of each partition of the priority topics. Raises Unavailable."""
    return {item.partition_name: item.end_offset for item in _read_priority_topic_offsets(connection)}


def read_priority_topic_committed_offsets(connection: KafkaConnection) -> dict[str, int]:
    """Committed offset in each partition of the priority topics, or the earliest one. Raises Unavailable."""
    return {
        item.partition_name: item.end_offset - item.lag for item in _read_priority_topic_offsets(connection)
    }


def _read_priority_topic_offsets(connection: KafkaConnection) -> list[PartitionOffset]:
    """Each of these topics has one consumer group."""
    return [item for item in read_consumer_group_offsets(connection) if item.topic in PRIORITY_TOPICS]


@contextmanager
def open_kafka_admin_client(connection: KafkaConnection) -> Iterator[Any]:
    """An admin client; Kafka errors become Unavailable."""
    try:
        admin = create_kafka_client(
            KafkaAdminClient,
            connection,
            bootstrap_timeout_ms=2000,
            request_timeout_ms=3000,
        )
    except KafkaError as exc:
        raise to_unavailable(exc, "Kafka did not respond in time") from exc
    try:
        yield admin
    except KafkaError as exc:
        raise to_unavailable(exc, "Kafka did not respond") from exc
    finally:
        admin.close()


def _read_group_states(admin: Any) -> dict[str, tuple[str, int]]:
    # Only listed groups: describing an unknown one is an error in older Kafka versions.
    existing_groups = {listing["group_id"] for listing in admin.list_groups()} & set(TOPIC_BY_GROUP)
    described = admin.describe_groups(sorted(existing_groups)) if existing_groups else {}
    return {
        group: (str(described[group]["group_state"]), len(described[group]["members"]))
        if group in described
        else ABSENT_GROUP
        for group in TOPIC_BY_GROUP
    }


def _read_offsets(
    admin: Any, topics: Collection[str], groups: Mapping[str, tuple[str, int]]
) -> list[PartitionOffset]:
    partitions = _list_partitions(admin, set(TOPIC_BY_GROUP.values()) & set(topics))
    earliest = _list_partition_offsets(admin, partitions, OffsetSpec.EARLIEST)
    latest = _list_partition_offsets(admin, partitions, OffsetSpec.LATEST)
    existing_groups = {group: None for group, state in groups.items() if state != ABSENT_GROUP}
    committed = admin.list_group_offsets(existing_groups) if existing_groups and partitions else {}
    rows = []
    for group, topic in TOPIC_BY_GROUP.items():
        for partition in [partition for partition in partitions if partition.topic == topic]:
            group_offset = committed.get(group, {}).get(partition)
            is_committed = group_offset is not None and group_offset.offset >= 0
            committed_offset = group_offset.offset if is_committed else None
            # Retention may have deleted records it had not read yet.
            read_up_to = max(earliest[partition], committed_offset or 0)
            end_offset = latest[partition]
            rows.append(
                PartitionOffset(
                    group,
                    topic,
                    partition.partition,
                    committed_offset,
                    end_offset,
                    end_offset - read_up_to,
                )
            )
    return rows


def _list_partitions(admin: Any, topics: Collection[str]) -> list[Any]:
    return sorted(
        TopicPartition(topic["name"], partition["partition_index"])
        for topic in (admin.describe_topics(sorted(topics)) if topics else [])
        for partition in topic["partitions"]
    )


def _list_partition_offsets(admin: Any, partitions: list[Any], spec: Any) -> dict[Any, int]:
    if not partitions:
        return {}
    offsets = admin.list_partition_offsets(dict.fromkeys(partitions, spec))
    return {partition: offset_info.offset for partition, offset_info in offsets.items()}
