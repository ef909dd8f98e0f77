"""Events, and how they are written to the ingress stream and to Kafka (app/domain/event_codec.py reads them).

An event states an outcome (`active`: whether the like or follow exists), not a change, so that applying it
twice, late or after a newer one is harmless: the greatest `seq` wins.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import cast
from uuid import UUID

from app.domain.errors import Poisoned

JsonObject = dict[str, object]


class Kind(StrEnum):
    """What happened. The names are the seed's wire names."""

    LIKE = "LIKE"
    COMMENT = "COMMENT"
    COMMENT_REPLY = "COMMENT_REPLY"
    FOLLOW = "FOLLOW"
    BELL_POST = "BELL_POST"
    MENTION = "MENTION"
    POST_SHARE = "POST_SHARE"
    STORY_VIEW = "STORY_VIEW"
    OTP = "OTP"
    PASSWORD_RESET = "PASSWORD_RESET"  # noqa: S105 - the name of a kind
    SECURITY_ALERT = "SECURITY_ALERT"
    MARKETING = "MARKETING"
    DIGEST = "DIGEST"
    POST_UPDATED = "POST_UPDATED"


class Priority(StrEnum):
    """Each priority has a topic and a consumer group of its own, together called its lane."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    LOW = "LOW"


CRITICAL_KINDS = frozenset({Kind.OTP, Kind.PASSWORD_RESET, Kind.SECURITY_ALERT})
COMMENT_KINDS = frozenset({Kind.COMMENT, Kind.COMMENT_REPLY})
MEMBERSHIP_KINDS = frozenset({Kind.LIKE, Kind.FOLLOW})
ACTORLESS_KINDS = CRITICAL_KINDS | {Kind.MARKETING, Kind.DIGEST}
# Each is a notification of its own: a second log-in code is not "one more" of the first.
UNGROUPED_KINDS = ACTORLESS_KINDS
EXTERNAL_KINDS = frozenset({Kind.STORY_VIEW, Kind.MARKETING, Kind.DIGEST})
"""Kinds that only other servers send (POST /api/events); nothing here raises them."""
FAN_OUT_KINDS = frozenset({Kind.BELL_POST, Kind.MARKETING, Kind.DIGEST})
"""Kinds that one event may announce to many recipients. Each is announced at once, in a row of its own."""
_DEFAULT_OBJECT_TYPE_BY_KIND = {
    Kind.COMMENT_REPLY: "COMMENT",
    Kind.FOLLOW: "USER",
    Kind.STORY_VIEW: "STORY",
}
"""The object type of an event that does not have one; POST for any other kind."""

SEQ_PER_MS = 1024
"""The stream id `ms-n` has the seq `ms * 1024 + n`: an integer with the same order that stays exact in the
doubles of Lua and JavaScript until the year 2248."""

MAX_SEQ = 2**53 - 1
MAX_METADATA_BYTES = 300_000
"""Together with the event's texts well below the maximum size of a Kafka record (1 MB)."""
CANONICAL_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def seq_from_stream_id(stream_id: str) -> int:
    """The seq of a stream id such as `1700000000000-3`. Raises Poisoned for anything else."""
    try:
        ms, _, counter = stream_id.partition("-")
        return int(ms) * SEQ_PER_MS + min(int(counter or 0), SEQ_PER_MS - 1)
    except ValueError as exc:
        raise Poisoned(f"not a stream id: {stream_id!r}") from exc


def occurred_at_from_seq(seq: int) -> datetime:
    """When the event with this seq was accepted, to the millisecond."""
    return datetime.fromtimestamp(seq // SEQ_PER_MS / 1000.0, UTC)


def to_iso_utc(timestamp: datetime) -> str:
    """ISO-8601 in UTC with milliseconds and Z, as the seed's client expects."""
    return timestamp.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def canonical_uuid(value: object, field_name: str) -> str:
    """The UUID in its canonical form. Raises Poisoned for anything else."""
    if isinstance(value, str) and CANONICAL_UUID.fullmatch(value):
        return value
    try:
        return str(UUID(str(value))) if isinstance(value, str) else _raise_not_a_uuid(value, field_name)
    except ValueError:
        return _raise_not_a_uuid(value, field_name)


def _raise_not_a_uuid(value: object, field_name: str) -> str:
    raise Poisoned(f"{field_name} is not a UUID: {str(value)[:60]!r}")


@dataclass(frozen=True, slots=True)
class Event:
    """`recipient_id` may be notified; `object_id` is the post, comment or user that the event is about."""

    event_id: str
    kind: Kind
    recipient_id: str
    actor_id: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    seq: int = 0
    active: bool = True
    is_follower: bool = False
    title: str | None = None
    message: str | None = None
    image_url: str | None = None
    traceparent: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    bypassed_redis: bool = False
    """Written during a Redis failover, so announced at once, without a window."""
    mentions_recipient: bool = False
    """Its text also mentions the recipient, who is notified once (app/domain/causes.py)."""

    @property
    def group_object_id(self) -> str:
        """The object of its group. Ungrouped kinds have a group of their own for each event."""
        if self.kind in UNGROUPED_KINDS:
            return self.event_id
        if self.kind is Kind.FOLLOW:
            return self.recipient_id
        return self.object_id or self._parent_comment_or_post_id() or self.event_id

    def _parent_comment_or_post_id(self) -> str | None:
        """The object of a comment event without `object_id`: the parent comment or the post."""
        id_field = "parentId" if self.kind is Kind.COMMENT_REPLY else "postId"
        return cast("str | None", self.metadata.get(id_field)) if self.kind in COMMENT_KINDS else None

    @property
    def object_type_or_default(self) -> str | None:
        """The type of the object that the notification links to; None for ungrouped kinds without one."""
        if self.object_type is not None or self.kind in UNGROUPED_KINDS:
            return self.object_type
        return _DEFAULT_OBJECT_TYPE_BY_KIND.get(self.kind, "POST")

    @property
    def window_entry_key(self) -> str:
        """Identifies the event in its window: the comment id of a comment, else the actor id."""
        if self.kind in COMMENT_KINDS:
            return str(self.metadata["commentId"])
        return self.actor_id or self.event_id

    def to_wire(self, priority: Priority) -> JsonObject:
        """The JSON value on Kafka (docs/stores.md): the seed's fields plus eventId, seq, occurredAt."""
        timestamp = to_iso_utc(occurred_at_from_seq(self.seq))
        flags = {"bypassedRedis": self.bypassed_redis, "namesRecipient": self.mentions_recipient}
        return {
            "id": self.event_id,
            "eventId": self.event_id,
            "type": self.kind.value,
            "priority": priority.value,
            "actorId": self.actor_id,
            "targetId": self.recipient_id,
            "targetType": self.object_type,
            "targetEntityId": self.object_id,
            "title": self.title,
            "message": self.message,
            "imageUrl": self.image_url,
            "timestamp": timestamp,
            "occurredAt": timestamp,
            "seq": self.seq,
            "active": self.active,
            "follower": self.is_follower,
            "traceparent": self.traceparent,
            "metadata": dict(self.metadata),
            **{name: True for name, is_set in flags.items() if is_set},
        }

    @property
    def is_metadata_within_size_limit(self) -> bool:
        """Whether the ingress stream and Kafka accept its size; checked before an event is accepted."""
        return len(self._metadata_json()) <= MAX_METADATA_BYTES

    def _metadata_json(self) -> str:
        return json.dumps(dict(self.metadata))

    def to_stream_fields(self) -> dict[str, str]:
        """The fields of an ingress entry. The entry's id becomes the seq."""
        fields = {
            "type": self.kind.value,
            "eventId": self.event_id,
            "actorId": self.actor_id,
            "targetId": self.recipient_id,
            "targetType": self.object_type,
            "targetEntityId": self.object_id,
            "active": "1" if self.active else "0",
            "follower": "1" if self.is_follower else "0",
            "title": self.title,
            "message": self.message,
            "imageUrl": self.image_url,
            "traceparent": self.traceparent,
            "metadata": self._metadata_json() if self.metadata else None,
            "namesRecipient": "1" if self.mentions_recipient else None,
        }
        return {name: value for name, value in fields.items() if value is not None}
