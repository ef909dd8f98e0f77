"""Reads events: an ingress stream entry or a JSON value from Kafka in, an Event out. Also writes and reads
the form in which events wait in a window.

Poisoned is raised for whatever can never become an event. The other direction is `Event.to_wire` and
`Event.to_stream_fields` (app/domain/events.py).
"""

import json
from collections.abc import Mapping
from math import isfinite
from typing import cast

import orjson

from app.domain.errors import Poisoned
from app.domain.events import (
    ACTORLESS_KINDS,
    COMMENT_KINDS,
    MAX_METADATA_BYTES,
    MAX_SEQ,
    UNGROUPED_KINDS,
    Event,
    JsonObject,
    Kind,
    canonical_uuid,
    seq_from_stream_id,
)

MAX_TEXT_CHARS = 5_000
MAX_METADATA_DEPTH, MAX_METADATA_ITEMS = 5, 100
_COMMENT_ID_FIELDS = ("commentId", "postId")
_KINDS_REQUIRING_OBJECT = frozenset(Kind) - UNGROUPED_KINDS - COMMENT_KINDS - {Kind.FOLLOW}


def event_from_stream_fields(stream_id: str, fields: Mapping[str, str]) -> Event:
    """The event of an ingress entry. Raises Poisoned."""
    wire: JsonObject = dict(fields)
    wire["seq"] = seq_from_stream_id(stream_id)
    wire["active"] = fields.get("active", "1") == "1"
    wire["follower"] = fields.get("follower", "0") == "1"
    wire["namesRecipient"] = fields.get("namesRecipient", "0") == "1"
    metadata_json = fields.get("metadata")
    if metadata_json and len(metadata_json.encode()) > MAX_METADATA_BYTES:
        raise Poisoned(f"metadata is longer than {MAX_METADATA_BYTES} bytes")
    wire["metadata"] = _parse_json(metadata_json) if metadata_json else {}
    return event_from_wire(wire)


def parse_event(value: bytes | None) -> Event:
    """The event of a Kafka record's value. Raises Poisoned for anything that is not an event, nothing
    else."""
    if value is None:
        raise Poisoned("the record has no value")
    return event_from_wire(_parse_json(value))


def event_from_wire(wire: object) -> Event:
    """The event of a JSON value. Raises Poisoned when a field is missing or has the wrong type."""
    if not isinstance(wire, dict):
        raise Poisoned("the record is not a JSON object")
    kind = _parse_kind(wire.get("type"))
    event = Event(
        event_id=canonical_uuid(wire.get("eventId", wire.get("id")), "eventId"),
        kind=kind,
        recipient_id=canonical_uuid(wire.get("targetId"), "targetId"),
        actor_id=_parse_actor_id(wire.get("actorId"), kind),
        object_type=_read_optional_text(wire, "targetType"),
        object_id=_parse_optional_uuid(wire.get("targetEntityId"), "targetEntityId"),
        seq=_parse_seq(wire.get("seq")),
        active=_read_bool(wire, "active", True),
        is_follower=_read_bool(wire, "follower", False),
        title=_read_optional_text(wire, "title"),
        message=_read_optional_text(wire, "message"),
        image_url=_read_optional_text(wire, "imageUrl"),
        traceparent=_read_optional_text(wire, "traceparent"),
        metadata=_validate_comment_metadata(kind, _validate_metadata(wire.get("metadata"))),
        bypassed_redis=_read_bool(wire, "bypassedRedis", False),
        mentions_recipient=_read_bool(wire, "namesRecipient", False),
    )
    if kind in _KINDS_REQUIRING_OBJECT and event.object_id is None:
        raise Poisoned(f"{kind.value} has no targetEntityId")
    return event


def windowed_json(event: Event) -> str:
    """The event as stored in a window, whose name has the recipient and the kind: without empty fields and
    those not needed later."""
    fields = {
        "eventId": event.event_id,
        "actorId": event.actor_id,
        "targetType": event.object_type,
        "targetEntityId": event.object_id,
        "seq": event.seq,
        "active": event.active,
        "follower": event.is_follower,
        "title": event.title,
        "message": event.message,
        "imageUrl": event.image_url,
        "metadata": dict(event.metadata),
        "bypassedRedis": event.bypassed_redis,
        "namesRecipient": event.mentions_recipient,
    }
    return orjson.dumps(
        {name: value for name, value in fields.items() if value not in (None, False, {})}
    ).decode()


def event_from_windowed_json(recipient_id: str, kind: Kind, payload: str) -> Event:
    """The event of a windowed_json(). It was validated before it was gathered, so it is not validated
    again."""
    get = orjson.loads(payload).get
    return Event(
        event_id=get("eventId"),
        kind=kind,
        recipient_id=recipient_id,
        actor_id=get("actorId"),
        object_type=get("targetType"),
        object_id=get("targetEntityId"),
        seq=get("seq", 0),
        active=get("active", False),
        is_follower=get("follower", False),
        title=get("title"),
        message=get("message"),
        image_url=get("imageUrl"),
        metadata=get("metadata") or {},
        bypassed_redis=get("bypassedRedis", False),
        mentions_recipient=get("namesRecipient", False),
    )


def _parse_json(json_text: bytes | str) -> object:
    try:
        return cast("object", json.loads(json_text))
    except (ValueError, RecursionError) as exc:
        raise Poisoned(f"not JSON: {type(exc).__name__}") from exc


def _parse_kind(value: object) -> Kind:
    try:
        return Kind(value)  # type: ignore[arg-type]
    except ValueError as exc:
        raise Poisoned(f"unknown type: {str(value)[:60]!r}") from exc


def _parse_actor_id(value: object, kind: Kind) -> str | None:
    if value is None and kind in ACTORLESS_KINDS:
        return None
    return canonical_uuid(value, "actorId")


def _parse_optional_uuid(value: object, field_name: str) -> str | None:
    return None if value is None else canonical_uuid(value, field_name)


def _parse_seq(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_SEQ:
        raise Poisoned(f"seq is not a positive whole number: {str(value)[:60]!r}")
    return value


def _read_bool(wire: JsonObject, field_name: str, default: bool) -> bool:
    value = wire.get(field_name, default)
    if not isinstance(value, bool):
        raise Poisoned(f"{field_name} is not true or false")
    return value


def _read_optional_text(wire: JsonObject, field_name: str) -> str | None:
    value = wire.get(field_name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS or not _is_storable_text(value):
        raise Poisoned(f"{field_name} is not a text of at most {MAX_TEXT_CHARS} characters")
    return value


def _validate_metadata(value: object) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not _is_storable_json(value, MAX_METADATA_DEPTH):
        raise Poisoned("metadata is not a small, plain object")
    return value


def _is_storable_json(value: object, max_depth: int) -> bool:
    """Whether every store accepts it: no NUL, no lone surrogate, no integer of more than 64 bits."""
    if isinstance(value, str):
        return len(value) <= MAX_TEXT_CHARS and _is_storable_text(value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, dict):
        children = [*value, *value.values()]
    elif isinstance(value, list):
        children = value
    else:
        return value is None or (isinstance(value, float) and isfinite(value))
    return (
        max_depth > 0
        and len(children) <= MAX_METADATA_ITEMS
        and all(_is_storable_json(child, max_depth - 1) for child in children)
    )


def _is_storable_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in value


def _validate_comment_metadata(kind: Kind, metadata: Mapping[str, object]) -> Mapping[str, object]:
    """Checks what a comment needs; its ids become canonical, as in the tables."""
    if kind not in COMMENT_KINDS:
        return metadata
    if not isinstance(metadata.get("content"), str):
        raise Poisoned("metadata.content is not a text")
    comment_ids = {
        name: canonical_uuid(metadata.get(name), f"metadata.{name}") for name in _COMMENT_ID_FIELDS
    }
    parent_id = _parse_optional_uuid(metadata.get("parentId"), "metadata.parentId")
    return {**metadata, **comment_ids, **({"parentId": parent_id} if parent_id else {})}
