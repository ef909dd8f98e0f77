"""The arithmetic of the benchmarks. Nothing here is timed."""

import pytest

from bench.figures import Goal, Slice, alternate, cpu_ratio, percentile, ratio, spread


def slices(*rates: float) -> list[Slice]:
    return [Slice(done=int(rate), seconds=1.0) for rate in rates]


def test_a_ratio_is_taken_within_a_round_so_a_slow_minute_does_not_count():
    ours, base = slices(100, 10, 100), slices(200, 20, 200)

    found = ratio(ours, base)

    assert (found.low, found.median, found.high) == (0.5, 0.5, 0.5)


def test_a_ratio_of_unpaired_rounds_is_refused():
    with pytest.raises(ValueError, match="shorter"):
        ratio(slices(1, 2), slices(1))


def test_half_the_cpu_counts_as_twice_as_fast_whatever_the_rate():
    ours = [Slice(done=100, seconds=9.0, cpu_seconds=1.0)]
    base = [Slice(done=100, seconds=1.0, cpu_seconds=2.0)]

    found = cpu_ratio(ours, base)

    assert found is not None
    assert found.median == 2.0


def test_everybody_has_one_turn_a_round_and_each_begins_once():
    turns: list[str] = []

    def turn(name: str):
        return lambda: turns.append(name) or Slice(1, 1.0)

    measured = alternate({name: turn(name) for name in "abc"}, rounds=3)

    assert {name: len(some) for name, some in measured.items()} == {"a": 3, "b": 3, "c": 3}
    assert ["".join(turns[at : at + 3]) for at in (0, 3, 6)] == ["abc", "bca", "cab"]


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        pytest.param(50, 50, id="the median is a measured value"),
        pytest.param(99, 99, id="one in a hundred is later"),
        pytest.param(99.5, 100, id="the rank is rounded up"),
        pytest.param(0, 1, id="the least"),
    ],
)
def test_percentile(percent: float, expected: int):
    assert percentile(range(100, 0, -1), percent) == expected


def test_the_spread_is_the_middle_half():
    found = spread([5, 1, 3, 2, 4])

    assert (found.low, found.median, found.high) == (2, 3, 4)


def test_nothing_measured_is_no_figure():
    with pytest.raises(ValueError, match="nothing was measured"):
        spread([])


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        pytest.param(Goal("", 0.7, 0.7), True, id="at least"),
        pytest.param(Goal("", 0.69, 0.7), False, id="too little"),
        pytest.param(Goal("", 25, 25, at_most=True), True, id="at most"),
        pytest.param(Goal("", 26, 25, at_most=True), False, id="too late"),
    ],
)
def test_goals(goal: Goal, met: bool):
    assert goal.met is met
