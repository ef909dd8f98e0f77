"""The requests that the load sends, the limits of calls per like, and when a way no longer serves a rate."""

import pytest

from app.devtools.storm.comparison import PIPELINE, ROW_PER_LIKE
from bench.like_throughput import build_requests_by_connection
from bench.pipeline_throughput import backlog_growth
from bench.query_counts import LIKE_COUNT, find_violations, max_timer_calls
from bench.read_latency import KEPT, P99, RATES, highest_rates_served, idle_variant, like_variant
from bench.results import Measurement, MeasurementsByVariant

TOKENS = [f"token-{n}" for n in range(6)]
POSTS = [f"post-{n}" for n in range(9)]


def test_each_like_is_undone_by_the_next_request_of_its_connection() -> None:
    for requests in build_requests_by_connection(TOKENS, POSTS, connection_count=2):
        pairs = list(zip(requests[::2], requests[1::2], strict=True))

        assert all(like.startswith(b"PUT ") for like, _ in pairs)
        assert all(unlike == like.replace(b"PUT", b"DELETE", 1) for like, unlike in pairs)


@pytest.mark.parametrize(
    ("script_calls", "other_commands", "statements", "expected_texts"),
    [
        pytest.param(LIKE_COUNT, {}, {}, [], id="one call each"),
        pytest.param(LIKE_COUNT, {"CONFIG": 3}, {"select 1": 3}, [], id="calls of a timer"),
        pytest.param(LIKE_COUNT - 1, {}, {}, ["script calls"], id="one like without a call"),
        pytest.param(LIKE_COUNT * 2, {}, {}, ["script calls"], id="two calls each"),
        pytest.param(LIKE_COUNT, {"GET": LIKE_COUNT}, {}, ["besides"], id="another command per like"),
        pytest.param(
            LIKE_COUNT, {"GET": LIKE_COUNT // 20}, {}, ["besides"], id="another command per twentieth like"
        ),
        pytest.param(LIKE_COUNT, {}, {"select 1": LIKE_COUNT}, ["SQL"], id="a statement per like"),
        pytest.param(
            LIKE_COUNT, {}, {"select 1": LIKE_COUNT // 20}, ["SQL"], id="a statement per twentieth like"
        ),
    ],
)
def test_cost_limit_of_a_like(
    script_calls: int,
    other_commands: dict[str, int],
    statements: dict[str, int],
    expected_texts: list[str],
) -> None:
    violations = find_violations(
        script_calls, other_commands, statements, max_timer_calls(elapsed_seconds=1.0)
    )

    assert len(violations) == len(expected_texts)
    assert all(text in violation for text, violation in zip(expected_texts, violations, strict=True))


def reads(p99_ms: float, kept: float = 1.0) -> Measurement:
    return Measurement(1, 1.0, parts={P99: p99_ms, KEPT: kept})


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        pytest.param(reads(40, kept=0.94), RATES[0], id="fewer likes accepted than offered"),
        pytest.param(reads(41), RATES[0], id="reads above four times those without likes"),
        pytest.param(reads(40, kept=0.95), RATES[2], id="at the limit"),
    ],
)
def test_highest_rate_is_the_one_before_the_first_that_breaks(broken: Measurement, expected: int) -> None:
    measurements: MeasurementsByVariant = {idle_variant(rate): [reads(10)] for rate in RATES}
    measurements |= {like_variant(PIPELINE, rate): [reads(20)] for rate in RATES[:3]}
    measurements[like_variant(PIPELINE, RATES[1])] = [broken]

    assert highest_rates_served(measurements, PIPELINE) == [expected]
    assert highest_rates_served(measurements, ROW_PER_LIKE) == [0]


@pytest.mark.parametrize(
    ("growth", "expected"), [pytest.param(0.0, 0.0, id="flat"), pytest.param(3.0, 3.0, id="growing")]
)
def test_windows_that_close_are_not_taken_for_growth(growth: float, expected: float) -> None:
    samples = [(float(second), 100.0 * (second % 10) + growth * second) for second in range(1, 121)]

    assert backlog_growth(samples) == pytest.approx(expected)
