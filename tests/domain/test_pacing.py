"""Pauses, with chance in the test's hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.pacing import backoff, jittered

draws = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("period", "spread", "draw", "expected"),
    [
        pytest.param(120, 30, 0.0, 90, id="the lowest draw is the early end"),
        pytest.param(120, 30, 0.5, 120, id="the middle is the period itself"),
        pytest.param(120, 30, 0.75, 135, id="three quarters"),
        pytest.param(120, 0, 0.9, 120, id="no spread, no chance"),
        pytest.param(1, 5, 0.0, 0, id="never below zero"),
    ],
)
def test_jitter(period: float, spread: float, draw: float, expected: float) -> None:
    assert jittered(period, spread, draw) == expected


@given(st.floats(0, 1e6), st.floats(0, 1e6), draws)
def test_jitter_stays_in_its_band(period: float, spread: float, draw: float) -> None:
    assert max(0, period - spread) <= jittered(period, spread, draw) <= period + spread


@pytest.mark.parametrize(
    ("attempt", "draw", "pause"),
    [
        pytest.param(0, 0.0, 0.05, id="the first repeat, at its shortest"),
        pytest.param(0, 0.999, 0.09995, id="the first repeat, at its longest"),
        pytest.param(1, 0.0, 0.1, id="then doubled"),
        pytest.param(2, 0.0, 0.2, id="and doubled again"),
        pytest.param(50, 0.0, 1.0, id="up to the cap"),
    ],
)
def test_backoff(attempt: int, draw: float, pause: float) -> None:
    assert backoff(attempt, base=0.1, cap=2.0, draw=draw) == pytest.approx(pause)


@given(st.integers(0, 10**9), draws)
def test_backoff_never_rests_less_than_half_nor_more_than_the_cap(
    attempt: int, draw: float
) -> None:
    assert 0.05 <= backoff(attempt, base=0.1, cap=2.0, draw=draw) <= 2.0
