"""Seqs: integers with the order of the stream ids they come from."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.clock import TimeAndIdSource
from app.domain.errors import Poisoned
from app.domain.events import occurred_at_from_seq, seq_from_stream_id, to_iso_utc

stream_ids = st.tuples(st.integers(0, 2**42), st.integers(0, 1023))


@given(stream_ids, stream_ids)
def test_seqs_are_ordered_as_stream_ids_are(first: tuple[int, int], second: tuple[int, int]) -> None:
    seqs = [seq_from_stream_id(f"{ms}-{counter}") for ms, counter in (first, second)]

    assert (seqs[0] < seqs[1]) == (first < second)
    assert (seqs[0] == seqs[1]) == (first == second)


@pytest.mark.parametrize("text", ["", "abc", "1-b", "-"])
def test_invalid_stream_id_is_poison(text: str) -> None:
    with pytest.raises(Poisoned, match="stream id"):
        seq_from_stream_id(text)


def test_seq_contains_its_time_in_milliseconds() -> None:
    accepted_at = datetime(2026, 5, 1, 12, 30, 15, 250_000, UTC)
    seq = seq_from_stream_id(f"{int(accepted_at.timestamp() * 1000)}-5")

    assert to_iso_utc(occurred_at_from_seq(seq)) == "2026-05-01T12:30:15.250Z"


def test_seq_of_now_is_that_of_a_stream_id_of_now() -> None:
    clock = TimeAndIdSource(lambda: 1_780_000_000.123, lambda: "")

    assert clock.now_seq() == seq_from_stream_id("1780000000123-0")
