"""Events: facts that happened, and their forms on the ingress stream and on Kafka.

An event states an outcome (`active` says whether the like or follow stands), never a change, so
that applying it twice, late, or beside a newer one is harmless: `seq` decides.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite
from typing import cast
from uuid import UUID

from app.domain.errors import Poisoned

Json = dict[str, object]


class Kind(StrEnum):
    """What happened. The names are the seed's wire names (seed-notes 3.1)."""

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
    """How urgent: each has a lane (a topic and a consumer group) of its own."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    LOW = "LOW"


CRITICAL_KINDS = frozenset({Kind.OTP, Kind.PASSWORD_RESET, Kind.SECURITY_ALERT})
COMMENT_KINDS = frozenset({Kind.COMMENT, Kind.COMMENT_REPLY})
ACTORLESS_KINDS = CRITICAL_KINDS | {Kind.MARKETING, Kind.DIGEST}
# Each of these is told alone: a second log-in code is not "one more" of the first.
UNGROUPED_KINDS = ACTORLESS_KINDS
_COMMENT_IDS = ("commentId", "postId")
_NEED_OBJECT = frozenset(Kind) - UNGROUPED_KINDS - COMMENT_KINDS - {Kind.FOLLOW}
_OBJECT_TYPES = {
    Kind.COMMENT_REPLY: "COMMENT",
    Kind.FOLLOW: "USER",
    Kind.STORY_VIEW: "STORY",
}
"""What a kind is about when its event does not say; any other kind is about a post."""

SEQ_PER_MS = 1024
"""A stream id `ms-n` is `ms * 1024 + n`: one whole number that orders like the id, and stays exact
in the doubles of Lua and JavaScript until the year 2248.
"""

MAX_SEQ = 2**53 - 1
MAX_TEXT = 5_000
MAX_DEPTH, MAX_MEMBERS = 5, 100
MAX_METADATA_BYTES = 300_000
"""With the texts beside it well below what Kafka takes as one record (1 MB)."""
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def seq_of_stream_id(stream_id: str) -> int:
    """`1700000000000-3` as a seq. Raises Poisoned when it is no stream id."""
    try:
        ms, _, n = stream_id.partition("-")
        return int(ms) * SEQ_PER_MS + min(int(n or 0), SEQ_PER_MS - 1)
    except ValueError as fault:
        raise Poisoned(f"not a stream id: {stream_id!r}") from fault


def occurred_at(seq: int) -> datetime:
    """The moment an event was accepted, to the millisecond."""
    return datetime.fromtimestamp(seq // SEQ_PER_MS / 1000.0, UTC)


def iso(moment: datetime) -> str:
    """ISO-8601 in UTC with milliseconds and Z, as the seed's client expects."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def checked_uuid(value: object, name: str) -> str:
    """The canonical text of a UUID; Poisoned when it is anything else."""
    if isinstance(value, str) and _UUID.fullmatch(value):
        return value
    try:
        return str(UUID(str(value))) if isinstance(value, str) else _refuse(value, name)
    except ValueError:
        return _refuse(value, name)


def _refuse(value: object, name: str) -> str:
    raise Poisoned(f"{name} is not a UUID: {str(value)[:60]!r}")


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. `recipient_id` is who may be told; `object_id` is what it happened to."""

    event_id: str
    kind: Kind
    recipient_id: str
    actor_id: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    seq: int = 0
    active: bool = True
    follower: bool = False
    title: str | None = None
    message: str | None = None
    image_url: str | None = None
    traceparent: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    direct: bool = False
    """It went past Redis, and so past every window: told at once."""
    names_recipient: bool = False
    """Its text also mentions its recipient, who is told of it once (app/domain/causes.py)."""

    @property
    def group_object(self) -> str:
        """What the group of this event is about. Critical ones and letters stand alone each."""
        if self.kind in UNGROUPED_KINDS:
            return self.event_id
        if self.kind is Kind.FOLLOW:
            return self.recipient_id
        return self.object_id or self._commented() or self.event_id

    def _commented(self) -> str | None:
        """What a comment is about, if its event names no object: its parent or its post."""
        name = "parentId" if self.kind is Kind.COMMENT_REPLY else "postId"
        return cast("str | None", self.metadata.get(name)) if self.kind in COMMENT_KINDS else None

    @property
    def target_type(self) -> str | None:
        """What kind of thing the notification leads to; None for critical ones and letters."""
        if self.object_type is not None or self.kind in UNGROUPED_KINDS:
            return self.object_type
        return _OBJECT_TYPES.get(self.kind, "POST")

    @property
    def member(self) -> str:
        """Who or what this event is inside its window: the comment, else the actor."""
        if self.kind in COMMENT_KINDS:
            return str(self.metadata["commentId"])
        return self.actor_id or self.event_id

    def to_wire(self, priority: Priority) -> Json:
        """The JSON value on Kafka (contract 5): the seed's fields plus eventId, seq, occurredAt."""
        moment = iso(occurred_at(self.seq))
        marks = {"direct": self.direct, "namesRecipient": self.names_recipient}
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
            "timestamp": moment,
            "occurredAt": moment,
            "seq": self.seq,
            "active": self.active,
            "follower": self.follower,
            "traceparent": self.traceparent,
            "metadata": dict(self.metadata),
            **{name: True for name, is_set in marks.items() if is_set},
        }

    @property
    def fits(self) -> bool:
        """Whether the ingress and Kafka can carry it; who accepts events asks before."""
        return len(self._said()) <= MAX_METADATA_BYTES

    def _said(self) -> str:
        return json.dumps(dict(self.metadata))

    def to_fields(self) -> dict[str, str]:
        """The flat fields of an ingress entry. The seq is the entry's own id."""
        fields = {
            "type": self.kind.value,
            "eventId": self.event_id,
            "actorId": self.actor_id,
            "targetId": self.recipient_id,
            "targetType": self.object_type,
            "targetEntityId": self.object_id,
            "active": "1" if self.active else "0",
            "follower": "1" if self.follower else "0",
            "title": self.title,
            "message": self.message,
            "imageUrl": self.image_url,
            "traceparent": self.traceparent,
            "metadata": self._said() if self.metadata else None,
            "namesRecipient": "1" if self.names_recipient else None,
        }
        return {name: value for name, value in fields.items() if value is not None}


def from_fields(stream_id: str, fields: Mapping[str, str]) -> Event:
    """An ingress entry as an event. Raises Poisoned when it can never become one."""
    wire: Json = dict(fields)
    wire["seq"] = seq_of_stream_id(stream_id)
    wire["active"] = fields.get("active", "1") == "1"
    wire["follower"] = fields.get("follower", "0") == "1"
    wire["namesRecipient"] = fields.get("namesRecipient", "0") == "1"
    raw = fields.get("metadata")
    if raw and len(raw.encode()) > MAX_METADATA_BYTES:
        raise Poisoned(f"metadata is longer than {MAX_METADATA_BYTES} bytes")
    wire["metadata"] = _loads(raw) if raw else {}
    return from_wire(wire)


def parse(value: bytes | None) -> Event:
    """A Kafka value as an event. Raises Poisoned for anything that is not one; nothing else."""
    if value is None:
        raise Poisoned("the record has no value")
    return from_wire(_loads(value))


def from_wire(wire: object) -> Event:
    """A wire object as an event. Raises Poisoned when a field is missing or of the wrong type."""
    if not isinstance(wire, dict):
        raise Poisoned("the record is not a JSON object")
    kind = _kind(wire.get("type"))
    event = Event(
        event_id=checked_uuid(wire.get("eventId", wire.get("id")), "eventId"),
        kind=kind,
        recipient_id=checked_uuid(wire.get("targetId"), "targetId"),
        actor_id=_actor(wire.get("actorId"), kind),
        object_type=_text(wire, "targetType"),
        object_id=_optional_uuid(wire.get("targetEntityId"), "targetEntityId"),
        seq=_seq(wire.get("seq")),
        active=_flag(wire, "active", True),
        follower=_flag(wire, "follower", False),
        title=_text(wire, "title"),
        message=_text(wire, "message"),
        image_url=_text(wire, "imageUrl"),
        traceparent=_text(wire, "traceparent"),
        metadata=_of_kind(kind, _metadata(wire.get("metadata"))),
        direct=_flag(wire, "direct", False),
        names_recipient=_flag(wire, "namesRecipient", False),
    )
    if kind in _NEED_OBJECT and event.object_id is None:
        raise Poisoned(f"{kind.value} names no targetEntityId")
    return event


def _loads(raw: bytes | str) -> object:
    try:
        return cast("object", json.loads(raw))
    except (ValueError, RecursionError) as fault:
        raise Poisoned(f"not JSON: {type(fault).__name__}") from fault


def _kind(value: object) -> Kind:
    try:
        return Kind(value)  # type: ignore[arg-type]
    except ValueError as fault:
        raise Poisoned(f"unknown type: {str(value)[:60]!r}") from fault


def _actor(value: object, kind: Kind) -> str | None:
    if value is None and kind in ACTORLESS_KINDS:
        return None
    return checked_uuid(value, "actorId")


def _optional_uuid(value: object, name: str) -> str | None:
    return None if value is None else checked_uuid(value, name)


def _seq(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_SEQ:
        raise Poisoned(f"seq is not a positive whole number: {str(value)[:60]!r}")
    return value


def _flag(wire: Json, name: str, default: bool) -> bool:
    value = wire.get(name, default)
    if not isinstance(value, bool):
        raise Poisoned(f"{name} is not true or false")
    return value


def _text(wire: Json, name: str) -> str | None:
    value = wire.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_TEXT or not _encodes(value):
        raise Poisoned(f"{name} is not a text of at most {MAX_TEXT} characters")
    return value


def _metadata(value: object) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not _plain(value, MAX_DEPTH):
        raise Poisoned("metadata is not a small, plain object")
    return value


def _plain(value: object, depth: int) -> bool:
    """Can it go through every store on its way? No NUL, no lone surrogate, no number beyond 64
    bits.
    """
    if isinstance(value, str):
        return len(value) <= MAX_TEXT and _encodes(value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, dict):
        inner = [*value, *value.values()]
    elif isinstance(value, list):
        inner = value
    else:
        return value is None or (isinstance(value, float) and isfinite(value))
    return depth > 0 and len(inner) <= MAX_MEMBERS and all(_plain(one, depth - 1) for one in inner)


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in value


def _of_kind(kind: Kind, metadata: Mapping[str, object]) -> Mapping[str, object]:
    """What a comment cannot do without. Its ids in their one spelling, by which tables answer."""
    if kind not in COMMENT_KINDS:
        return metadata
    if not isinstance(metadata.get("content"), str):
        raise Poisoned("metadata.content is not a text")
    ids = {name: checked_uuid(metadata.get(name), f"metadata.{name}") for name in _COMMENT_IDS}
    parent = _optional_uuid(metadata.get("parentId"), "metadata.parentId")
    return {**metadata, **ids, **({"parentId": parent} if parent else {})}
