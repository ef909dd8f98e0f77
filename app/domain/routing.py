"""Routes an event: ingress shard, priority, topic and partition key.

A lane is the topic and the consumer group of one priority.
"""

from enum import StrEnum
from zlib import crc32

from app.domain.events import COMMENT_KINDS, CRITICAL_KINDS, Event, Kind, Priority


class Topic(StrEnum):
    CRITICAL = "critical-notifications"
    HIGH = "high-priority-notifications"
    LOW = "low-priority-notifications"
    READY = "ready-notifications"
    BULK = "bulk-notifications"
    DEAD_LETTER = "dead-letter-notifications"


TOPIC_BY_PRIORITY = {
    Priority.CRITICAL: Topic.CRITICAL,
    Priority.HIGH: Topic.HIGH,
    Priority.LOW: Topic.LOW,
}
PRIORITY_TOPICS = frozenset(topic.value for topic in TOPIC_BY_PRIORITY.values())

CRITICAL_SHARD = 0
"""The ingress shard of critical events, so that they never wait for other events."""

_ALWAYS_HIGH_KINDS = frozenset({Kind.FOLLOW, Kind.BELL_POST, Kind.MENTION}) | COMMENT_KINDS
_HIGH_FROM_FOLLOWER_KINDS = frozenset({Kind.LIKE, Kind.POST_SHARE})


def priority_of(kind: Kind, is_follower: bool) -> Priority:
    """The priority of an event. `is_follower`: its actor follows its recipient."""
    if kind in CRITICAL_KINDS:
        return Priority.CRITICAL
    if kind in _ALWAYS_HIGH_KINDS or (is_follower and kind in _HIGH_FROM_FOLLOWER_KINDS):
        return Priority.HIGH
    return Priority.LOW


def needs_follower_lookup(event: Event) -> bool:
    """Whether the lane depends on something that the event does not state yet: does its actor follow its
    recipient?"""
    return event.kind in _HIGH_FROM_FOLLOWER_KINDS and not event.is_follower and event.actor_id is not None


def topic_of(event: Event) -> Topic:
    return TOPIC_BY_PRIORITY[priority_of(event.kind, event.is_follower)]


def partition_key(event: Event) -> str:
    """By recipient, so that the events for one user stay in order."""
    return event.recipient_id


def ingress_shard_of_object(object_id: str, shard_count: int) -> int:
    """The ingress shard of a post or a followed user: 1..shard_count (0 is CRITICAL_SHARD)."""
    return 1 + crc32(object_id.encode()) % shard_count


def ingress_shard_of_event(event: Event, shard_count: int) -> int:
    """By post, else by object, so that a like and its unlike stay in order. By post, so that a comment, its
    mentions and the counts of the post are changed by one script."""
    if event.kind in CRITICAL_KINDS:
        return CRITICAL_SHARD
    post_id = event.metadata.get("postId")
    object_id = post_id if isinstance(post_id, str) else event.group_object_id
    return ingress_shard_of_object(object_id, shard_count)
