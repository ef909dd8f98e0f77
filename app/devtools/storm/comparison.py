"""Compares the figures of both ways, and says where the pipeline does not win. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

ROW_PER_LIKE, PIPELINE = "rowPerLike", "pipeline"
WAY_NAMES = {ROW_PER_LIKE: "One row per like", PIPELINE: "The pipeline"}
MIN_DIFFERENCE = 0.05
"""Of the larger figure; below that they count as equal, because the machine varies as much."""
MIN_ACCEPTED_SHARE = 0.95
"""Of the offered rate; below that a way was not under the same load."""
Figures = Mapping[str, Any]


class Better(Enum):
    MORE = "more"
    LESS = "less"
    LESS_PER_ACCEPTED = "less per accepted"
    """A total: compared per accepted request, because a way that accepted fewer has less to do."""
    NEITHER = "neither"
    """The figure is the same for both by intention, or says nothing without the others."""


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    label: str
    unit: str
    better: Better


FIGURES = (
    Figure("offeredPerSecond", "Offered per second", "", Better.NEITHER),
    Figure("answeredPerSecond", "Answered per second", "", Better.NEITHER),
    Figure("acceptedPerSecond", "Accepted per second", "", Better.MORE),
    Figure("answerP50Ms", "Accepting answer, p50", "ms", Better.LESS),
    Figure("answerP99Ms", "Accepting answer, p99", "ms", Better.LESS),
    Figure("refused", "Refused, or told to try again", "", Better.LESS),
    Figure("unknown", "Without an answer, or with an error", "", Better.LESS),
    Figure("notSent", "Not sent, because it fell behind", "", Better.LESS),
    Figure("transactions", "PostgreSQL transactions, with the reader's", "", Better.LESS_PER_ACCEPTED),
    Figure("writeTransactions", "Of them writing", "", Better.LESS_PER_ACCEPTED),
    Figure("rowsWritten", "Rows written, all tables", "", Better.LESS_PER_ACCEPTED),
    Figure("walBytes", "WAL", "bytes", Better.LESS_PER_ACCEPTED),
    Figure("walBytesPerLike", "WAL per accepted like or comment", "bytes", Better.LESS),
    Figure("lockWaitSeconds", "Waiting for locks, all sessions", "s", Better.LESS_PER_ACCEPTED),
    Figure("readerP50Ms", "A reader's feed during the load, p50", "ms", Better.LESS),
    Figure("readerP99Ms", "A reader's feed during the load, p99", "ms", Better.LESS),
    Figure("readerFailed", "Feeds that failed during the load", "", Better.LESS),
    Figure("drainReaderP99Ms", "Afterwards, until all is written, p99", "ms", Better.NEITHER),
    Figure("drainReaderFailed", "Feeds that failed afterwards", "", Better.NEITHER),
    Figure("secondsUntilWritten", "From the first like until all is written", "s", Better.LESS),
)


def compare(row_per_like: Figures, pipeline: Figures) -> list[dict[str, Any]]:
    """One row per figure. `better`: the way that wins; "equal"; None if they cannot be compared."""
    return [
        {
            "name": figure.name,
            "label": figure.label,
            "unit": figure.unit,
            ROW_PER_LIKE: row_per_like.get(figure.name),
            PIPELINE: pipeline.get(figure.name),
            "better": _better(figure, row_per_like, pipeline),
        }
        for figure in FIGURES
    ]


def remarks(comparison: list[dict[str, Any]], row_per_like: Figures, pipeline: Figures) -> list[str]:
    """What a reader of the figures has to know, the purpose of the pipeline first."""
    found = [_describe_writing(row_per_like, pipeline)]
    for way, figures in ((ROW_PER_LIKE, row_per_like), (PIPELINE, pipeline)):
        if not _kept_up(figures):
            found.append(
                f"{WAY_NAMES[way]} accepted {figures['acceptedPerSecond']:,.0f} of "
                f"{figures['offeredPerSecond']:,.0f} offered per second, so its other figures, the reader's "
                "too, are of a lower load, and it wins none of them."
            )
        found += _describe_failures(WAY_NAMES[way], figures)
    lost_figures = [row["label"] for row in comparison if row["better"] == ROW_PER_LIKE]
    if lost_figures:
        found.append(f"The pipeline does not win: {'; '.join(lost_figures)}.")
    return found


def _describe_writing(row_per_like: Figures, pipeline: Figures) -> str:
    return (
        f"The pipeline wrote {pipeline['accepted']:,} likes and comments with "
        f"{_count_or_unknown(pipeline, 'writeTransactions')} writing transactions; a row per like needed "
        f"{_count_or_unknown(row_per_like, 'writeTransactions')} for {row_per_like['accepted']:,}."
    )


def _count_or_unknown(figures: Figures, name: str) -> str:
    count = figures.get(name)
    return "an unknown number of" if count is None else f"{count:,}"


def _describe_failures(way_name: str, figures: Figures) -> list[str]:
    names = (
        ("refused", "refused or told to try again"),
        ("unknown", "without an answer or with an error"),
        ("notSent", "not sent"),
    )
    counts = [f"{figures[name]:,} {text}" for name, text in names if figures[name]]
    return [f"{way_name}: {', '.join(counts)}, of {figures['offered']:,}."] if counts else []


def _kept_up(figures: Figures) -> bool:
    return bool(figures["acceptedPerSecond"] >= MIN_ACCEPTED_SHARE * figures["offeredPerSecond"])


def _better(figure: Figure, row_per_like: Figures, pipeline: Figures) -> str | None:
    values = {
        way: _comparable_value(figure, figures)
        for way, figures in ((ROW_PER_LIKE, row_per_like), (PIPELINE, pipeline))
    }
    conventional, ours = values[ROW_PER_LIKE], values[PIPELINE]
    if conventional is None or ours is None or figure.better is Better.NEITHER:
        return None
    if abs(conventional - ours) <= MIN_DIFFERENCE * max(conventional, ours):
        return "equal"
    winner = PIPELINE if (ours > conventional) == (figure.better is Better.MORE) else ROW_PER_LIKE
    has_full_load = _kept_up(pipeline if winner == PIPELINE else row_per_like)
    return winner if has_full_load or figure.better is Better.MORE else None


def _comparable_value(figure: Figure, figures: Figures) -> float | None:
    value: float | None = figures.get(figure.name)
    if value is None or figure.better is not Better.LESS_PER_ACCEPTED:
        return value
    return value / figures["accepted"] if figures["accepted"] else None
