"""Delays with jitter and back-off, for given random numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.backoff import backoff_delay, jittered_delay

random_units = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("period_seconds", "jitter_seconds", "random_unit", "expected"),
    [
        pytest.param(120, 30, 0.0, 90, id="the lowest number is the early end"),
        pytest.param(120, 30, 0.5, 120, id="the middle is the period itself"),
        pytest.param(120, 30, 0.75, 135, id="three quarters"),
        pytest.param(120, 0, 0.9, 120, id="no jitter"),
        pytest.param(1, 5, 0.0, 0, id="never below zero"),
    ],
)
def test_jittered_delay(
    period_seconds: float, jitter_seconds: float, random_unit: float, expected: float
) -> None:
    assert jittered_delay(period_seconds, jitter_seconds, random_unit) == expected


@given(st.floats(0, 1e6), st.floats(0, 1e6), random_units)
def test_jittered_delay_stays_in_its_band(period: float, jitter: float, random_unit: float) -> None:
    assert max(0, period - jitter) <= jittered_delay(period, jitter, random_unit) <= period + jitter


@pytest.mark.parametrize(
    ("attempt", "random_unit", "delay_seconds"),
    [
        pytest.param(0, 0.0, 0.05, id="the first retry, shortest"),
        pytest.param(0, 0.999, 0.09995, id="the first retry, longest"),
        pytest.param(1, 0.0, 0.1, id="then doubled"),
        pytest.param(2, 0.0, 0.2, id="and doubled again"),
        pytest.param(50, 0.0, 1.0, id="up to the maximum"),
    ],
)
def test_backoff_delay(attempt: int, random_unit: float, delay_seconds: float) -> None:
    assert backoff_delay(attempt, 0.1, 2.0, random_unit) == pytest.approx(delay_seconds)


@given(st.integers(0, 10**9), random_units)
def test_backoff_delay_is_between_half_the_base_and_the_maximum(attempt: int, random_unit: float) -> None:
    assert 0.05 <= backoff_delay(attempt, 0.1, 2.0, random_unit) <= 2.0
