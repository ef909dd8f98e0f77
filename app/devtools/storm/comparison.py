"""Compares the figures of both ways, and says where the pipeline does not win. Pure functions."""

from collections.abc import Mapping
from typing import Any

ROW_PER_LIKE, PIPELINE = "rowPerLike", "pipeline"
MIN_DIFFERENCE = 0.05
"""Of the larger figure; below that they count as equal, because the machine varies as much."""
MIN_ANSWERED_SHARE = 0.95
"""Of the offered rate; below that a way was not under the same load."""
FIGURES = (
    # name, label, unit, whether more is better
    ("answeredPerSecond", "Answered per second", "", True),
    ("answerP50Ms", "Answer, p50", "ms", False),
    ("answerP99Ms", "Answer, p99", "ms", False),
    ("refused", "Refused", "", False),
    ("transactions", "PostgreSQL transactions", "", False),
    ("writeTransactions", "Of them writing", "", False),
    ("rowsWritten", "Rows written, all tables", "", False),
    ("walBytesPerLike", "WAL per like", "bytes", False),
    ("lockWaitSeconds", "Waiting for locks, all sessions", "s", False),
    ("readerP50Ms", "A reader's feed, p50", "ms", False),
    ("readerP99Ms", "A reader's feed, p99", "ms", False),
    ("secondsUntilWritten", "From the first like until all rows are written", "s", False),
)
Figures = Mapping[str, Any]


def compare(row_per_like: Figures, pipeline: Figures) -> list[dict[str, Any]]:
    """One row per figure. `better`: the way that wins; "equal"; None if a figure is unknown."""
    return [
        {
            "name": name,
            "label": label,
            "unit": unit,
            ROW_PER_LIKE: row_per_like.get(name),
            PIPELINE: pipeline.get(name),
            "better": _better(row_per_like.get(name), pipeline.get(name), more_is_better),
        }
        for name, label, unit, more_is_better in FIGURES
    ]


def remarks(comparison: list[dict[str, Any]], row_per_like: Figures, pipeline: Figures) -> list[str]:
    """What a reader of the figures has to know."""
    found = []
    for label, figures in (("One row per like", row_per_like), ("The pipeline", pipeline)):
        if figures["answeredPerSecond"] < MIN_ANSWERED_SHARE * figures["offeredPerSecond"]:
            found.append(
                f"{label} answered {figures['answeredPerSecond']:,.0f} of "
                f"{figures['offeredPerSecond']:,.0f} offered per second, so its other figures, the reader's "
                "too, are of a lower load."
            )
    lost_figures = [row["label"] for row in comparison if row["better"] == ROW_PER_LIKE]
    if lost_figures:
        found.append(f"The pipeline does not win: {'; '.join(lost_figures)}.")
    return found


def _better(row_per_like: float | None, pipeline: float | None, more_is_better: bool) -> str | None:
    if row_per_like is None or pipeline is None:
        return None
    if abs(row_per_like - pipeline) <= MIN_DIFFERENCE * max(row_per_like, pipeline):
        return "equal"
    return PIPELINE if (pipeline > row_per_like) == more_is_better else ROW_PER_LIKE
