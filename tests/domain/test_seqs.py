"""Seqs: one whole number that orders as stream ids do."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Poisoned
from app.domain.events import iso, occurred_at, seq_of_stream_id

stream_ids = st.tuples(st.integers(0, 2**42), st.integers(0, 1023))


@given(stream_ids, stream_ids)
def test_seqs_are_ordered_as_stream_ids_are(one: tuple[int, int], other: tuple[int, int]) -> None:
    seqs = [seq_of_stream_id(f"{ms}-{place}") for ms, place in (one, other)]

    assert (seqs[0] < seqs[1]) == (one < other)
    assert (seqs[0] == seqs[1]) == (one == other)


@pytest.mark.parametrize("text", ["", "abc", "1-b", "-"])
def test_what_is_no_stream_id_is_poison(text: str) -> None:
    with pytest.raises(Poisoned, match="stream id"):
        seq_of_stream_id(text)


def test_a_seq_tells_its_moment_to_the_millisecond() -> None:
    moment = datetime(2026, 5, 1, 12, 30, 15, 250_000, UTC)
    seq = seq_of_stream_id(f"{int(moment.timestamp() * 1000)}-5")

    assert iso(occurred_at(seq)) == "2026-05-01T12:30:15.250Z"
