"""Events: round trips over both wire formats, and which records are poison."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Poisoned
from app.domain.event_codec import (
    MAX_METADATA_ITEMS,
    MAX_TEXT_CHARS,
    event_from_stream_fields,
    event_from_windowed_json,
    event_from_wire,
    parse_event,
    windowed_json,
)
from app.domain.events import (
    ACTORLESS_KINDS,
    COMMENT_KINDS,
    MAX_METADATA_BYTES,
    MAX_SEQ,
    Event,
    Kind,
    Priority,
    seq_from_stream_id,
)
from tests.support.fixtures import comment_event, follow_event, like_event, new_id, unsaved_sample_users

uuids = st.uuids().map(str)
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)
numbers = st.integers(-(2**63), 2**63 - 1)
metadata_objects = st.dictionaries(
    st.from_regex(r"[a-z]{1,9}", fullmatch=True), numbers | st.booleans() | texts, max_size=3
)


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(Kind))
    metadata = draw(metadata_objects)
    if kind in COMMENT_KINDS:
        content = draw(texts) or ""
        metadata |= {"commentId": draw(uuids), "postId": draw(uuids), "content": content}
    return Event(
        event_id=draw(uuids),
        kind=kind,
        recipient_id=draw(uuids),
        actor_id=draw(st.none() | uuids if kind in ACTORLESS_KINDS else uuids),
        object_type=draw(texts),
        object_id=draw(uuids),
        seq=draw(st.integers(1, MAX_SEQ)),
        active=draw(st.booleans()),
        is_follower=draw(st.booleans()),
        title=draw(texts),
        message=draw(texts),
        image_url=draw(texts),
        traceparent=draw(texts),
        metadata=metadata,
    )


@given(events(), st.sampled_from(Priority))
def test_event_survives_the_kafka_round_trip(event: Event, priority: Priority) -> None:
    value = json.dumps(event.to_wire(priority)).encode()

    assert parse_event(value) == event


@given(events(), st.integers(1, 8_000_000_000_000), st.integers(0, 1023))
def test_event_read_from_the_ingress_has_the_seq_of_its_entry(event: Event, ms: int, counter: int) -> None:
    stream_id = f"{ms}-{counter}"

    read_event = event_from_stream_fields(stream_id, event.to_stream_fields())

    assert read_event == replace(event, seq=seq_from_stream_id(stream_id))


@given(events(), st.booleans(), st.booleans())
def test_event_survives_a_window_without_its_trace(
    event: Event, bypassed_redis: bool, mentions_recipient: bool
) -> None:
    event = replace(event, bypassed_redis=bypassed_redis, mentions_recipient=mentions_recipient)

    read_event = event_from_windowed_json(event.recipient_id, event.kind, windowed_json(event))

    assert read_event == replace(event, traceparent=None)


def test_fields_of_a_windowed_event_that_are_not_needed_are_left_out() -> None:
    event = like_event(new_id(), unsaved_sample_users(), 1)

    fields = json.loads(windowed_json(event))

    assert sorted(fields) == ["active", "actorId", "eventId", "seq", "targetEntityId", "targetType"]


@given(st.binary())
def test_arbitrary_bytes_parse_to_an_event_or_poison(value: bytes) -> None:
    _assert_readable_or_poison(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
wire_names = st.sampled_from(list(like_event("a", unsaved_sample_users(), 1).to_wire(Priority.LOW)))


@given(
    st.sampled_from([like_event, comment_event]),
    st.dictionaries(wire_names, json_values, max_size=4),
)
def test_event_with_replaced_fields_parses_or_is_poison(
    create_event: Callable[..., Event], replaced_fields: dict[str, object]
) -> None:
    wire = create_event(new_id(), unsaved_sample_users(), 1).to_wire(Priority.LOW) | replaced_fields

    _assert_readable_or_poison(json.dumps(wire).encode())


def _assert_readable_or_poison(value: bytes) -> None:
    try:
        event = parse_event(value)
    except Poisoned:
        return
    # An accepted event can be written to both wire formats, and into a window.
    assert event_from_wire(event.to_wire(Priority.LOW)) == event
    "".join(event.to_stream_fields().values()).encode()
    assert event.window_entry_key


def _wire(**changes: object) -> dict[str, object]:
    wire = like_event(new_id(), unsaved_sample_users(), 1).to_wire(Priority.LOW)
    return {name: value for name, value in (wire | changes).items() if value is not ...}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(None, "no value", id="a tombstone"),
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"\xff\xfe\xfd", "not JSON", id="not UTF-8"),
        pytest.param(b'{"type": "LI', "not JSON", id="cut off"),
        pytest.param(b"[" * 100_000, "not JSON", id="nested too deeply"),
        pytest.param(b"null", "not a JSON object", id="null"),
        pytest.param(b"[1]", "not a JSON object", id="a list"),
        pytest.param(b'{"seq": 1' + b"0" * 5000 + b"}", "not JSON", id="a number that is too long"),
    ],
)
def test_non_object_json_is_poison(value: bytes | None, reason: str) -> None:
    with pytest.raises(Poisoned, match=reason):
        parse_event(value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"type": "SMILE"}, "unknown type", id="an unknown type"),
        pytest.param({"type": None}, "unknown type", id="no type"),
        pytest.param({"type": []}, "unknown type", id="a list as type"),
        pytest.param({"eventId": "7", "id": "7"}, "eventId", id="an id that is not a UUID"),
        pytest.param({"targetId": "broadcast"}, "targetId", id="a recipient that is not a UUID"),
        pytest.param({"targetId": ...}, "targetId", id="no recipient"),
        pytest.param({"actorId": None}, "actorId", id="a like without an actor"),
        pytest.param({"targetEntityId": None}, "targetEntityId", id="a like without an object"),
        pytest.param({"seq": 0}, "seq", id="seq zero"),
        pytest.param({"seq": -1}, "seq", id="a negative seq"),
        pytest.param({"seq": True}, "seq", id="true as seq"),
        pytest.param({"seq": 1.5}, "seq", id="half a seq"),
        pytest.param({"seq": "12"}, "seq", id="a text as seq"),
        pytest.param({"seq": MAX_SEQ + 1}, "seq", id="a seq that doubles cannot hold"),
        pytest.param({"active": "1"}, "active", id="a text as flag"),
        pytest.param({"message": 7}, "message", id="a number as message"),
        pytest.param({"message": "x" * (MAX_TEXT_CHARS + 1)}, "message", id="a message that is too long"),
        pytest.param({"message": "a\x00b"}, "message", id="NUL, which PostgreSQL refuses"),
        pytest.param({"title": "\ud800"}, "title", id="a lone surrogate"),
        pytest.param({"metadata": [1]}, "metadata", id="a list as metadata"),
        pytest.param({"metadata": {"x": "a\x00"}}, "metadata", id="NUL in metadata"),
        pytest.param({"metadata": {"x": 2**63}}, "metadata", id="more than 64 bits in metadata"),
        pytest.param({"metadata": {"x": float("nan")}}, "metadata", id="NaN in metadata"),
        pytest.param({"type": "COMMENT"}, "content", id="a comment without metadata"),
        pytest.param(
            {"type": "COMMENT", "metadata": {"commentId": new_id(), "postId": new_id()}},
            "content",
            id="a comment without content",
        ),
        pytest.param(
            {"type": "COMMENT", "metadata": {"content": "Hi", "postId": new_id()}},
            "commentId",
            id="a comment without its id",
        ),
    ],
)
def test_invalid_field_is_poison_and_named(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(Poisoned, match=reason):
        event_from_wire(_wire(**changes))


def test_ids_are_normalized() -> None:
    wire = _wire(targetId="0193F0A0-0000-7000-8000-00000000ABCD")

    assert event_from_wire(wire).recipient_id == "0193f0a0-0000-7000-8000-00000000abcd"


def test_comment_ids_are_normalized() -> None:
    event = comment_event(new_id(), unsaved_sample_users(), 1)
    ids = {name: str(event.metadata[name]).upper() for name in ("commentId", "postId")}
    wire = event.to_wire(Priority.HIGH) | {"metadata": {**event.metadata, **ids}}

    assert event_from_wire(wire) == event


def test_metadata_above_the_maximum_size_is_poison() -> None:
    event = like_event(new_id(), unsaved_sample_users(), 1)
    fields = event.to_stream_fields() | {"metadata": json.dumps({"x": "a" * MAX_METADATA_BYTES})}

    with pytest.raises(Poisoned, match="longer than"):
        event_from_stream_fields("1-0", fields)


def test_size_limit_of_metadata() -> None:
    event = like_event(new_id(), unsaved_sample_users(), 1)

    assert event.is_metadata_within_size_limit
    assert not replace(event, metadata={"x": "a" * MAX_METADATA_BYTES}).is_metadata_within_size_limit


def test_null_metadata_is_empty() -> None:
    assert event_from_wire(_wire(metadata=None)).metadata == {}


def test_metadata_may_contain_lists_of_limited_size() -> None:
    assert event_from_wire(_wire(metadata={"x": [1, "a", None]})).metadata == {"x": [1, "a", None]}
    with pytest.raises(Poisoned, match="metadata"):
        event_from_wire(_wire(metadata={"x": [1] * (MAX_METADATA_ITEMS + 1)}))


@pytest.mark.parametrize(
    ("kind", "object_type"),
    [
        (Kind.LIKE, "POST"),
        (Kind.COMMENT_REPLY, "COMMENT"),
        (Kind.FOLLOW, "USER"),
        (Kind.STORY_VIEW, "STORY"),
        (Kind.OTP, None),
    ],
)
def test_object_type_follows_from_the_kind(kind: Kind, object_type: str | None) -> None:
    event = replace(like_event(new_id(), unsaved_sample_users(), 1), kind=kind, object_type=None)

    assert event.object_type_or_default == object_type
    assert replace(event, object_type="STORY").object_type_or_default == "STORY"


@pytest.mark.parametrize(
    ("kind", "group_object"),
    [
        pytest.param(Kind.LIKE, "event id", id="like"),
        pytest.param(Kind.COMMENT, "post", id="comment"),
        pytest.param(Kind.COMMENT_REPLY, "parent", id="reply"),
        pytest.param(Kind.OTP, "event id", id="ungrouped"),
    ],
)
def test_group_object_of_an_event_without_object(kind: Kind, group_object: str) -> None:
    event = Event("event id", kind, "recipient", metadata={"postId": "post", "parentId": "parent"})

    assert event.group_object_id == group_object


def test_group_object_is_the_object_or_the_followed_user() -> None:
    users = unsaved_sample_users()

    assert like_event(users.bob_id, users, 1).group_object_id == users.post_id
    assert follow_event(users.bob_id, users, 1).group_object_id == users.alice_id


def test_window_entry_without_an_actor_is_the_event() -> None:
    assert Event("event id", Kind.MARKETING, "recipient").window_entry_key == "event id"
