"""Offsets: how far each consumer group is in each partition of its topic.

In    Kafka's admin interface; it only looks
Out   app/checkup.py (lag per group), app/diagnose.py (the table)
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError

from app.domain.errors import Unavailable
from app.domain.routing import GROUPS, Topic
from app.streams.clients import connected

LOG_GROUP = "delivery-log-consumer"
TOPIC_OF = {group: topic.value for topic, group in GROUPS.items()} | {LOG_GROUP: Topic.READY.value}
ABSENT = ("absent", 0)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a group is in a partition. `committed` is None where it never committed."""

    group: str
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int


def offsets(servers: tuple[str, ...]) -> list[Place]:
    """Raises Unavailable."""
    with asking(servers) as admin:
        return places_of(admin, groups_of(admin))


@contextmanager
def asking(servers: tuple[str, ...]) -> Iterator[Any]:
    """An admin client; Kafka's faults become Unavailable."""
    try:
        admin = connected(
            KafkaAdminClient,
            bootstrap_servers=list(servers),
            bootstrap_timeout_ms=2000,
            request_timeout_ms=3000,
        )
    except KafkaError as fault:
        raise Unavailable("Kafka did not answer in time", "kafka_unavailable") from fault
    try:
        yield admin
    except KafkaError as fault:
        raise Unavailable("Kafka did not answer", "kafka_unavailable") from fault
    finally:
        admin.close()


def lane_ends(servers: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Of each partition of the lanes: its end, and up to where its group committed. Raises
    Unavailable."""
    lanes = {GROUPS[topic] for topic in (Topic.CRITICAL, Topic.HIGH, Topic.LOW)}
    return {
        f"{one.topic}:{one.partition}": (one.end, one.end - one.lag)
        for one in offsets(servers)
        if one.group in lanes
    }


def groups_of(admin: Any) -> dict[str, tuple[str, int]]:
    """State and number of members of each group of ours."""
    # Only those it lists: asking for an unknown one is an error while Kafka is young.
    known = {one["group_id"] for one in admin.list_groups()} & set(TOPIC_OF)
    described = admin.describe_groups(sorted(known)) if known else {}
    return {
        group: (str(described[group]["group_state"]), len(described[group]["members"]))
        if group in described
        else ABSENT
        for group in TOPIC_OF
    }


def places_of(admin: Any, groups: Mapping[str, tuple[str, int]]) -> list[Place]:
    """Every group in every partition of its topic, read or not."""
    present = set(admin.list_topics()) & set(TOPIC_OF.values())
    partitions = sorted(
        TopicPartition(topic["name"], one["partition_index"])
        for topic in (admin.describe_topics(sorted(present)) if present else [])
        for one in topic["partitions"]
    )
    if not partitions:
        return []
    first = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    last = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    asked = {group: None for group, state in groups.items() if state != ABSENT}
    committed = admin.list_group_offsets(asked) if asked else {}
    rows = []
    for group, topic in TOPIC_OF.items():
        for one in [place for place in partitions if place.topic == topic]:
            mark = committed.get(group, {}).get(one)
            at = mark.offset if mark is not None and mark.offset >= 0 else None
            begin, end = first[one].offset, last[one].offset
            # Retention may have taken what it had not read yet.
            read = begin if at is None else max(begin, at)
            rows.append(Place(group, topic, one.partition, at, end, end - read))
    return rows
