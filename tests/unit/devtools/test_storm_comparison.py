"""The figures of a way, how both ways are compared, and what the page has to say about them."""

from typing import Any

import pytest

from app.devtools.storm.comparison import FIGURES, PIPELINE, ROW_PER_LIKE, compare, remarks
from app.devtools.storm.figures import reader_figures, way_figures
from app.devtools.storm.measurements import PostgresCounters
from app.devtools.storm.options import StormOptions

OPTIONS = StormOptions(likes=1_000, people=1_000, rate=100.0)
COUNTERS: dict[str, int | None] = {
    "transactions": 4_000,
    "rowsWritten": 2_000,
    "writeTransactions": 900,
    "walBytes": 360_000,
}


def _report(**changed: float | None) -> dict[str, Any]:
    report = {
        "sent": 1_000,
        "answered": 1_000,
        "accepted": 1_000,
        "refused": 0,
        "unknown": 0,
        "p50Ms": 5.0,
        "p99Ms": 20.0,
        "seconds": 10.02,
    }
    return report | changed


def _figures(**changed: float | None) -> dict[str, Any]:
    readers = reader_figures(_report(), _report())
    return way_figures(OPTIONS, _report(), COUNTERS) | readers | changed


def _better(row_per_like: dict[str, Any], pipeline: dict[str, Any], name: str) -> str | None:
    (row,) = (row for row in compare(row_per_like, pipeline) if row["name"] == name)
    return None if row["better"] is None else str(row["better"])


def _remarks(row_per_like: dict[str, Any], pipeline: dict[str, Any]) -> list[str]:
    """Those that follow the first, which says how many transactions wrote the likes."""
    return remarks(compare(row_per_like, pipeline), row_per_like, pipeline)[1:]


def test_all_figures_of_the_table_are_measured() -> None:
    measured = _figures() | {"lockWaitSeconds": 0.0, "secondsUntilWritten": 12.0}

    assert {figure.name for figure in FIGURES} <= measured.keys()
    assert (measured["offeredPerSecond"], measured["acceptedPerSecond"]) == (100.0, 99.8)
    assert (measured["walBytes"], measured["walBytesPerLike"]) == (360_000, 360)


def test_server_that_stops_to_answer_does_not_look_fast() -> None:
    """Half of the likes in half of the time, then nothing."""
    figures = way_figures(OPTIONS, _report(answered=500, accepted=500, unknown=500, seconds=5.0), COUNTERS)

    assert (figures["answeredPerSecond"], figures["acceptedPerSecond"]) == (50.0, 50.0)


def test_fast_refusals_do_not_keep_up() -> None:
    figures = _figures() | way_figures(OPTIONS, _report(accepted=200, refused=800), COUNTERS)

    assert (figures["answeredPerSecond"], figures["acceptedPerSecond"]) == (99.8, 20.0)
    assert _remarks(figures, _figures()) == [
        "One row per like accepted 20 of 100 offered per second, so its other figures, the reader's too, "
        "are of a lower load, and it wins none of them.",
        "One row per like: 800 refused or told to try again, of 1,000.",
    ]


def test_reader_during_the_load_and_afterwards_are_two_figures() -> None:
    figures = reader_figures(_report(p99Ms=80.0, unknown=2, refused=1), _report(p99Ms=6.0))

    assert (figures["readerP99Ms"], figures["readerFailed"]) == (80.0, 3)
    assert (figures["drainReaderP99Ms"], figures["drainReaderFailed"]) == (6.0, 0)


@pytest.mark.parametrize(
    ("name", "row_per_like", "pipeline", "better"),
    [
        ("answerP99Ms", 80.0, 20.0, PIPELINE),
        ("answerP99Ms", 20.0, 80.0, ROW_PER_LIKE),
        ("answerP99Ms", 100.0, 96.0, "equal"),
        ("acceptedPerSecond", 96.0, 110.0, PIPELINE),
        ("answeredPerSecond", 200.0, 300.0, None),
        ("readerFailed", 0, 3, ROW_PER_LIKE),
        ("drainReaderP99Ms", 5.0, 9.0, None),
        ("walBytesPerLike", None, 300.0, None),
    ],
)
def test_the_better_figure_is_named(
    name: str, row_per_like: float | None, pipeline: float | None, better: str | None
) -> None:
    assert _better(_figures(**{name: row_per_like}), _figures(**{name: pipeline}), name) == better


@pytest.mark.parametrize("name", ["transactions", "rowsWritten", "walBytes"])
def test_totals_are_compared_per_accepted_like(name: str) -> None:
    """The pipeline did 1.5 times the work for twice the likes."""
    row_per_like = _figures(accepted=500, **{name: 2_000})
    pipeline = _figures(accepted=1_000, **{name: 3_000})

    assert _better(row_per_like, pipeline, name) == PIPELINE
    assert _better(_figures(accepted=0), pipeline, name) is None


def test_way_below_the_offered_load_wins_nothing() -> None:
    slow = _figures(acceptedPerSecond=94.0, answerP99Ms=5.0)

    assert _better(slow, _figures(answerP99Ms=20.0), "answerP99Ms") is None
    assert _better(_figures(answerP99Ms=20.0), slow, "answerP99Ms") is None
    assert _better(slow, _figures(answerP99Ms=2.0), "answerP99Ms") == PIPELINE


def test_first_remark_says_how_many_transactions_wrote_the_likes() -> None:
    row_per_like, pipeline = _figures(writeTransactions=1_020), _figures(writeTransactions=None)

    assert remarks(compare(row_per_like, pipeline), row_per_like, pipeline)[0] == (
        "The pipeline wrote 1,000 likes and comments with an unknown number of writing transactions; "
        "a row per like needed 1,020 for 1,000."
    )


def test_figure_that_the_pipeline_does_not_win_is_said() -> None:
    assert _remarks(_figures(), _figures(answerP99Ms=90.0)) == [
        "The pipeline does not win: Accepting answer, p99."
    ]


def test_requests_without_success_are_said_also_when_a_way_kept_up() -> None:
    pipeline = _figures(accepted=990, refused=4, unknown=3, notSent=3)

    (remark, *_) = _remarks(_figures(), pipeline)
    assert remark == (
        "The pipeline: 4 refused or told to try again, 3 without an answer or with an error, "
        "3 not sent, of 1,000."
    )


def test_transactions_of_the_sampler_are_left_out() -> None:
    before = PostgresCounters(100, 10, 1_000, 5, "t")

    after = PostgresCounters(400, 60, 3_000, 25, "t")
    assert after.since(before, 120) == {
        "transactions": 180,
        "rowsWritten": 50,
        "writeTransactions": 20,
        "walBytes": 2_000,
    }
    restarted = PostgresCounters(4, 6, 3_000, 25, "later")
    assert restarted.since(before, 120)["transactions"] is None
