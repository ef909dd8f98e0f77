"""Figures of a run in the pages: what is replaced and what is kept."""

from pathlib import Path

import pytest

from bench.publish import draw_plot, fill_blocks, merge_results
from bench.report import JsonDict, result_to_dict
from bench.results import BenchmarkResult, Goal, Measurement, Plot, Spread

MACHINE = {"CPU": "two cores", "memory": "8 GiB", "kernel": "Linux 6", "versions": "Python 3.11"}


def result(benchmark_id: str, *rates: int, machine: dict[str, str] = MACHINE) -> JsonDict:
    benchmark_result = BenchmarkResult(
        benchmark_id,
        "likes",
        "likes/s",
        {"like": [Measurement(rate, 1.0) for rate in rates], "bare": [Measurement(10, 1.0) for _ in rates]},
        "bare",
        goals=[Goal("like / bare", Spread(1.0, 2.0, 3.0), 4)],
        plot=Plot("rate", "ms", {"like": [(100, 1, 2, 3), (200, 2, 3, 4)]}, is_log=True),
    )
    return result_to_dict(benchmark_result, machine)


def test_partial_run_keeps_the_other_benchmarks() -> None:
    kept = merge_results({}, [result("S2", 20), result("S1", 10)])

    merged = merge_results(kept, [result("S2", 40)])

    assert list(merged) == ["S1", "S2"]
    assert merged["S1"] == kept["S1"]
    assert merged["S2"]["rows"]["like"]["rate"]["median"] == 40
    assert "measurements" not in merged["S2"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("S1::rows::like::rate", "1,500", id="median of a rate"),
        pytest.param("S1::rows::like::ratio", "150", id="ratio"),
        pytest.param("S1::goals::like / bare", "2.00", id="goal"),
        pytest.param("S9::rows::like::rate", "old", id="not measured yet"),
    ],
)
def test_block_is_replaced_by_its_figure(name: str, expected: str) -> None:
    results = merge_results({}, [result("S1", 1_000, 2_000)])

    page = fill_blocks(f"| <!-- bench: {name} -->old<!-- /bench -->/s | text |", results)

    assert page == f"| <!-- bench: {name} -->{expected}<!-- /bench -->/s | text |"


def test_block_of_an_unknown_figure_is_refused() -> None:
    with pytest.raises(KeyError):
        fill_blocks(
            "<!-- bench: S1::rows::lik::rate --><!-- /bench -->", merge_results({}, [result("S1", 1)])
        )


def test_all_results_are_listed_with_their_own_origin() -> None:
    results = merge_results(
        {}, [result("S1", 10, 30), result("S2", 20, machine=MACHINE | {"CPU": "one core"})]
    )
    results["S2"]["at"] = "2020-01-01T00:00:00+00:00"

    page = fill_blocks("<!-- bench: all -->old<!-- /bench -->", results)

    assert "| like | 20.0 | 10.0-30.0 | 2.00 (1.00-3.00) |" in page
    assert "| like / bare | at least 4 | 2.00 | 1.00-3.00 | no |" in page
    assert "2 rounds." in page
    assert "2020-01-01" in page
    assert "one core; 8 GiB" in page
    assert page.endswith("<!-- /bench -->")
    assert fill_blocks(page, results) == page


def test_plot_of_a_result_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "figures" / "s5.png"

    draw_plot(result("S5", 1), path)

    assert path.read_bytes().startswith(b"\x89PNG")
