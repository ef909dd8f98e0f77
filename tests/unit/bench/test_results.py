"""Ratios, percentiles, spreads and goals of the benchmarks."""

from collections.abc import Callable

import pytest

from bench.results import (
    Goal,
    Measurement,
    Spread,
    cpu_cost_ratio,
    cpu_efficiency_ratio,
    measure_alternately,
    percentile,
    spread,
    throughput_ratio,
)


def measurements_with(*rates: float) -> list[Measurement]:
    return [Measurement(completed=int(rate), elapsed_seconds=1.0) for rate in rates]


def test_ratio_is_computed_within_a_round() -> None:
    measured, baseline = measurements_with(100, 10, 100), measurements_with(200, 20, 200)

    ratio = throughput_ratio(measured, baseline)

    assert ratio == Spread(0.5, 0.5, 0.5)


def test_ratio_of_unpaired_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        throughput_ratio(measurements_with(1, 2), measurements_with(1))


def test_half_the_cpu_time_is_a_ratio_of_two_at_any_rate() -> None:
    measured = [Measurement(completed=100, elapsed_seconds=9.0, cpu_seconds=1.0)]
    baseline = [Measurement(completed=100, elapsed_seconds=1.0, cpu_seconds=2.0)]

    ratio = cpu_efficiency_ratio(measured, baseline)

    assert ratio is not None
    assert ratio.median == 2.0
    assert cpu_cost_ratio(measured, baseline).median == 0.5


def test_each_variant_is_measured_once_per_round_in_rotating_order() -> None:
    measured_names: list[str] = []

    def create_measure(name: str) -> Callable[[], Measurement]:
        def measure() -> Measurement:
            measured_names.append(name)
            return Measurement(1, 1.0)

        return measure

    measured = measure_alternately({name: create_measure(name) for name in "abc"}, rounds=3)

    assert {name: len(measurements) for name, measurements in measured.items()} == {"a": 3, "b": 3, "c": 3}
    assert ["".join(measured_names[start : start + 3]) for start in (0, 3, 6)] == ["abc", "bca", "cab"]


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        pytest.param(50, 50, id="the median is a measured value"),
        pytest.param(99, 99, id="one in a hundred is higher"),
        pytest.param(99.5, 100, id="the rank is rounded up"),
        pytest.param(0, 1, id="minimum"),
    ],
)
def test_percentile_is_the_nearest_rank(percent: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), percent) == expected


def test_spread_is_minimum_median_and_maximum() -> None:
    assert spread([5, 1, 3, 2, 4]) == Spread(1, 3, 5)


def test_spread_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no measurements"):
        spread([])


@pytest.mark.parametrize(
    ("goal", "is_met"),
    [
        pytest.param(Goal("", Spread(0.1, 0.7, 1), 0.7), True, id="at least"),
        pytest.param(Goal("", Spread(0.1, 0.69, 1), 0.7), False, id="too little"),
        pytest.param(Goal("", Spread(1, 25, 99), 25, is_upper_bound=True), True, id="at most"),
        pytest.param(Goal("", Spread(1, 26, 99), 25, is_upper_bound=True), False, id="too much"),
    ],
)
def test_goal_is_met_up_to_its_threshold(goal: Goal, is_met: bool) -> None:
    assert goal.is_met is is_met
