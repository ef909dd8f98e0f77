"""Records of the topic ready-notifications: parsing and validation, and offsets of a batch.

Input: record values. Output: dicts that the deliverer and the delivery log can rely on;
Poisoned for anything else.
"""

from datetime import datetime
from typing import Any

import orjson

from app.domain.errors import Poisoned
from app.domain.events import Kind, Priority, canonical_uuid
from app.domain.grouping import UNREAD_COUNT_EVENT, ClientEventType
from app.domain.preferences import Channel
from app.messaging.records import ConsumedRecord
from app.persistence.seen_receipts import SEEN_EVENT_NAME
from app.persistence.serializer import validate_renderable_payload
from app.persistence.suppressed_events import SUPPRESSED_EVENT_NAME

MAX_BATCH_RECORDS = 500
POLL_TIMEOUT_SECONDS = 0.5
LOG_ONLY_EVENTS = frozenset({SEEN_EVENT_NAME, SUPPRESSED_EVENT_NAME})
"""Written to the delivery log, never pushed to a socket."""
CLIENT_EVENT_TYPES = LOG_ONLY_EVENTS | {*ClientEventType, UNREAD_COUNT_EVENT}
_ENVELOPE_FIELDS = {"id": int, "targetId": str, "at": str, "data": dict}
_DATA_FIELDS = {"id": str, "type": str, "priority": str, "version": int, "metadata": dict}
_ENDED_DATA_FIELDS = {"id": str, "status": str, "at": str, "count": int}
MAX_ID_LENGTH = 64


def parse_ready_record(value: bytes | None) -> dict[str, Any]:
    """The decoded record. Raises Poisoned unless its fields have the expected types."""
    if value is None:
        raise Poisoned("the record has no value")
    try:
        ready = orjson.loads(value)
    except orjson.JSONDecodeError as exc:
        raise Poisoned("not JSON") from exc
    if not isinstance(ready, dict) or ready.get("clientEvent") not in CLIENT_EVENT_TYPES:
        raise Poisoned("unknown client event")
    _check_field_types(ready, _ENVELOPE_FIELDS, is_required=True)
    canonical_uuid(ready["targetId"], "targetId")
    _check_field_types(ready, {"seq": int, "encryptedBody": str}, is_required=False)
    _check_event_data(ready["data"])
    if ready["clientEvent"] == SUPPRESSED_EVENT_NAME:
        _check_field_types(ready["data"], _ENDED_DATA_FIELDS, is_required=True)
    try:
        datetime.fromisoformat(ready["at"])
    except ValueError as exc:
        raise Poisoned("at is not a time") from exc
    return ready


def _check_field_types(fields: dict[str, Any], expected_types: dict[str, type], is_required: bool) -> None:
    for name, expected_type in expected_types.items():
        value = fields.get(name)
        # type() and not isinstance(): True is an int, but not a valid number here.
        if type(value) is not expected_type and (is_required or value is not None):
            raise Poisoned(f"{name} is not of type {expected_type.__name__}")


def _check_event_data(data: dict[str, Any]) -> None:
    _check_field_types(data, _DATA_FIELDS, is_required=False)
    if len(data.get("id") or "") > MAX_ID_LENGTH:
        raise Poisoned("id is too long")
    if data.get("type", Kind.LIKE) not in set(Kind):
        raise Poisoned("unknown type")
    if data.get("priority", Priority.LOW) not in set(Priority):
        raise Poisoned("unknown priority")
    validate_renderable_payload(data)
    channels = (data.get("metadata") or {}).get("channels", [])
    if not isinstance(channels, list) or not set(map(str, channels)) <= set(Channel):
        raise Poisoned("unknown channels")


def next_offset_by_partition(records: list[ConsumedRecord]) -> dict[tuple[str, int], int]:
    """The next offset to read, per partition."""
    return {(record.topic, record.partition): record.offset + 1 for record in records}


def last_offset_and_count_by_partition(records: list[ConsumedRecord]) -> dict[str, tuple[int, int]]:
    """The last offset and the number of records, per partition."""
    offset_and_count: dict[str, tuple[int, int]] = {}
    for record in records:
        last_offset, count = offset_and_count.get(record.partition_name, (-1, 0))
        offset_and_count[record.partition_name] = (max(last_offset, record.offset), count + 1)
    return offset_and_count
