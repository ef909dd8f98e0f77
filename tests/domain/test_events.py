"""Events: what survives the wire, and what is poison."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Poisoned
from app.domain.events import (
    ACTORLESS_KINDS,
    COMMENT_KINDS,
    MAX_SEQ,
    MAX_TEXT,
    Event,
    Kind,
    Priority,
    from_fields,
    from_wire,
    parse,
    seq_of_stream_id,
)
from tests.cast import comment, like, new_id, unknown_cast

uuids = st.uuids().map(str)
texts = st.none() | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60
)
numbers = st.integers(-(2**63), 2**63 - 1)
plain = st.dictionaries(
    st.from_regex(r"[a-z]{1,9}", fullmatch=True), numbers | st.booleans() | texts, max_size=3
)


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(Kind))
    metadata = draw(plain)
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
        follower=draw(st.booleans()),
        title=draw(texts),
        message=draw(texts),
        image_url=draw(texts),
        traceparent=draw(texts),
        metadata=metadata,
    )


@given(events(), st.sampled_from(Priority))
def test_an_event_comes_back_from_kafka_as_it_went(event: Event, priority: Priority) -> None:
    value = json.dumps(event.to_wire(priority)).encode()

    assert parse(value) == event


@given(events(), st.integers(1, 8_000_000_000_000), st.integers(0, 1023))
def test_an_event_comes_back_from_the_ingress_with_the_seq_of_its_entry(
    event: Event, ms: int, place: int
) -> None:
    stream_id = f"{ms}-{place}"

    back = from_fields(stream_id, event.to_fields())

    assert back == replace(event, seq=seq_of_stream_id(stream_id))


@given(st.binary())
def test_arbitrary_bytes_are_an_event_or_poison(value: bytes) -> None:
    _refused_or_read(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
wire_names = st.sampled_from(list(like("a", unknown_cast(), 1).to_wire(Priority.LOW)))


@given(st.sampled_from([like, comment]), st.dictionaries(wire_names, json_values, max_size=4))
def test_an_event_with_any_fields_replaced_is_an_event_or_poison(make, replaced) -> None:
    wire = make(new_id(), unknown_cast(), 1).to_wire(Priority.LOW) | replaced

    _refused_or_read(json.dumps(wire).encode())


def _refused_or_read(value: bytes) -> None:
    try:
        event = parse(value)
    except Poisoned:
        return
    # What was let in can go the whole way: to both wires, and into a window.
    assert from_wire(event.to_wire(Priority.LOW)) == event
    "".join(event.to_fields().values()).encode()
    assert event.member


def _wire(**changes: object) -> dict[str, object]:
    wire = like(new_id(), unknown_cast(), 1).to_wire(Priority.LOW)
    return {name: value for name, value in (wire | changes).items() if value is not ...}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(None, "no value", id="a tombstone"),
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"\xff\xfe\xfd", "not JSON", id="not UTF-8"),
        pytest.param(b'{"type": "LI', "not JSON", id="cut off"),
        pytest.param(b"[" * 100_000, "not JSON", id="nested without end"),
        pytest.param(b"null", "not a JSON object", id="null"),
        pytest.param(b"[1]", "not a JSON object", id="a list"),
        pytest.param(b'{"seq": 1' + b"0" * 5000 + b"}", "not JSON", id="a number without end"),
    ],
)
def test_what_is_no_json_object_is_poison(value: bytes | None, reason: str) -> None:
    with pytest.raises(Poisoned, match=reason):
        parse(value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"type": "SMILE"}, "unknown type", id="an unknown type"),
        pytest.param({"type": None}, "unknown type", id="no type"),
        pytest.param({"type": []}, "unknown type", id="a list as type"),
        pytest.param({"eventId": "7", "id": "7"}, "eventId", id="an id that is no UUID"),
        pytest.param({"targetId": "broadcast"}, "targetId", id="a recipient that is no UUID"),
        pytest.param({"targetId": ...}, "targetId", id="no recipient"),
        pytest.param({"actorId": None}, "actorId", id="a like by nobody"),
        pytest.param({"targetEntityId": None}, "targetEntityId", id="a like of nothing"),
        pytest.param({"seq": 0}, "seq", id="seq zero"),
        pytest.param({"seq": -1}, "seq", id="a negative seq"),
        pytest.param({"seq": True}, "seq", id="true as seq"),
        pytest.param({"seq": 1.5}, "seq", id="half a seq"),
        pytest.param({"seq": "12"}, "seq", id="a text as seq"),
        pytest.param({"seq": MAX_SEQ + 1}, "seq", id="a seq that doubles cannot hold"),
        pytest.param({"active": "1"}, "active", id="a text as flag"),
        pytest.param({"message": 7}, "message", id="a number as message"),
        pytest.param({"message": "x" * (MAX_TEXT + 1)}, "message", id="a message without end"),
        pytest.param({"message": "a\x00b"}, "message", id="NUL, which PostgreSQL refuses"),
        pytest.param({"title": "\ud800"}, "title", id="half a character"),
        pytest.param({"metadata": [1]}, "metadata", id="a list as metadata"),
        pytest.param({"metadata": {"x": "a\x00"}}, "metadata", id="NUL in metadata"),
        pytest.param({"metadata": {"x": 2**63}}, "metadata", id="more than 64 bits in metadata"),
        pytest.param({"metadata": {"x": float("nan")}}, "metadata", id="NaN in metadata"),
        pytest.param({"type": "COMMENT"}, "content", id="a comment without anything"),
        pytest.param(
            {"type": "COMMENT", "metadata": {"commentId": new_id(), "postId": new_id()}},
            "content",
            id="a comment that says nothing",
        ),
        pytest.param(
            {"type": "COMMENT", "metadata": {"content": "Hi", "postId": new_id()}},
            "commentId",
            id="a comment without its id",
        ),
    ],
)
def test_a_wrong_field_is_poison_and_named(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(Poisoned, match=reason):
        from_wire(_wire(**changes))


def test_ids_are_read_in_any_spelling_and_kept_in_one() -> None:
    loud = _wire(targetId="0193F0A0-0000-7000-8000-00000000ABCD")

    assert from_wire(loud).recipient_id == "0193f0a0-0000-7000-8000-00000000abcd"


def test_the_ids_of_a_comment_are_kept_in_one_spelling_too() -> None:
    said = comment(new_id(), unknown_cast(), 1)
    ids = {name: str(said.metadata[name]).upper() for name in ("commentId", "postId")}
    loud = said.to_wire(Priority.HIGH) | {"metadata": {**said.metadata, **ids}}

    assert from_wire(loud) == said
