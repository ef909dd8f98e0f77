"""Offsets: how far each consumer group is in each partition of its topic.

In    Kafka's admin interface; it only looks
Out   app/checkup.py (lag per group), app/diagnose.py (the table)
"""

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError

from app.domain.errors import Unavailable
from app.domain.loops import LANE_GROUPS, READERS
from app.streams.clients import connected

TOPIC_OF = {group: str(loop.topic) for group, loop in READERS.items()}
LANES = frozenset(TOPIC_OF[group] for group in LANE_GROUPS.values())
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


def lane_ends(servers: tuple[str, ...]) -> dict[str, int]:
    """Of each partition of the lanes. Raises Unavailable."""
    with asking(servers) as admin:
        ends = _ends(admin, _partitions(admin, LANES))
    return {f"{place.topic}:{place.partition}": end for place, end in ends.items()}


def lane_commits(servers: tuple[str, ...]) -> dict[str, int]:
    """Up to where each lane's group has committed, or where retention lets it begin."""
    return {
        f"{one.topic}:{one.partition}": one.end - one.lag
        for one in offsets(servers)
        if one.topic in LANES
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
    partitions = _partitions(admin, set(TOPIC_OF.values()))
    if not partitions:
        return []
    first = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    last = _ends(admin, partitions)
    asked = {group: None for group, state in groups.items() if state != ABSENT}
    committed = admin.list_group_offsets(asked) if asked else {}
    rows = []
    for group, topic in TOPIC_OF.items():
        for one in [place for place in partitions if place.topic == topic]:
            mark = committed.get(group, {}).get(one)
            at = mark.offset if mark is not None and mark.offset >= 0 else None
            begin, end = first[one].offset, last[one]
            # Retention may have taken what it had not read yet.
            read = begin if at is None else max(begin, at)
            rows.append(Place(group, topic, one.partition, at, end, end - read))
    return rows


def _partitions(admin: Any, topics: Set[str]) -> list[Any]:
    present = sorted(set(admin.list_topics()) & topics)
    return sorted(
        TopicPartition(topic["name"], one["partition_index"])
        for topic in (admin.describe_topics(present) if present else [])
        for one in topic["partitions"]
    )


def _ends(admin: Any, partitions: list[Any]) -> dict[Any, int]:
    if not partitions:
        return {}
    found = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    return {place: one.offset for place, one in found.items()}
