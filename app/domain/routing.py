"""Which way an event goes: its ingress shard, its priority, its topic and its partition key."""

from enum import StrEnum
from zlib import crc32

from app.domain.events import COMMENT_KINDS, CRITICAL_KINDS, Event, Kind, Priority


class Topic(StrEnum):
    CRITICAL = "critical-notifications"
    HIGH = "high-priority-notifications"
    LOW = "low-priority-notifications"
    READY = "ready-notifications"
    DEAD_LETTER = "dead-letter-notifications"


LANES = {
    Priority.CRITICAL: Topic.CRITICAL,
    Priority.HIGH: Topic.HIGH,
    Priority.LOW: Topic.LOW,
}

CRITICAL_SHARD = 0
"""Critical events have an ingress shard of their own: no viral post stands before them."""

_ALWAYS_HIGH = frozenset({Kind.FOLLOW, Kind.BELL_POST, Kind.MENTION}) | COMMENT_KINDS
_HIGH_FROM_FOLLOWERS = frozenset({Kind.LIKE, Kind.POST_SHARE})


def priority_of(kind: Kind, follower: bool) -> Priority:
    """The lane of an event (pipeline 3.6). `follower`: its actor follows its recipient."""
    if kind in CRITICAL_KINDS:
        return Priority.CRITICAL
    if kind in _ALWAYS_HIGH or (follower and kind in _HIGH_FROM_FOLLOWERS):
        return Priority.HIGH
    return Priority.LOW


def topic_of(event: Event) -> Topic:
    return LANES[priority_of(event.kind, event.follower)]


def partition_key(event: Event) -> str:
    """One person's events keep their order."""
    return event.recipient_id


def shard_of(subject_id: str, shards: int) -> int:
    """The ingress shard of a post or a followed person: 1..shards (0 is the critical one)."""
    return 1 + crc32(subject_id.encode()) % shards


def shard_of_event(event: Event, shards: int) -> int:
    """Same subject, same shard, so that a like and its unlike can never overtake each other."""
    if event.kind in CRITICAL_KINDS:
        return CRITICAL_SHARD
    return shard_of(event.group_object, shards)
