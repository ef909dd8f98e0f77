"""The figures of the pipeline that everybody may see: counts, without ids, kinds or names.

In: the stages of a health report. Out: GET /api/figures, which the front page polls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.event_status import DELIVERED_OUTCOMES
from app.operations.health.queries import Query, run_queries
from app.operations.health.report import QUERY_TIMEOUT_SECONDS, Health
from app.operations.health.stages import list_stages
from app.operations.open_windows import WindowFigures

MAX_AGE_SECONDS = 2.0
"""The load of the services does not grow with the number of visitors."""
REPORT_TIMEOUT_SECONDS = 1.4
"""Shorter than that of the query around it: a service that does not respond leaves the other figures."""
_STAGES_WITH_WAITING_EVENTS = {"bridge": "held", "fallback": "held", "aggregator": "lag", "flusher": "held"}
_STAGES_THAT_WRITE = ("aggregator", "flusher")
Stages = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class PublicFigures:
    """None: the service that knows the figure did not respond. Counted since Redis was last emptied."""

    accepted: int | None = None
    """Events."""
    waiting: int | None = None
    """Events between acceptance and the tables, as far as the services that respond know of them."""
    written: int | None = None
    """Events with a row in the tables."""
    delivered: int | None = None
    """Messages to users."""
    open_windows: int | None = None


class PublicFiguresReader:
    def __init__(self, health: Health) -> None:
        self._health = health
        self._query = Query("web", self._read_report, QUERY_TIMEOUT_SECONDS, MAX_AGE_SECONDS)

    def read(self) -> PublicFigures:
        """At most MAX_AGE_SECONDS old. Raises nothing."""
        (answer,) = run_queries([self._query], QUERY_TIMEOUT_SECONDS)
        return answer.value or PublicFigures()

    def _read_report(self) -> PublicFigures:
        health = self._health
        report = health.report(
            [health.pipeline, health.windows, health.tables, health.kafka], REPORT_TIMEOUT_SECONDS
        )
        return summarize(list_stages(health, report), report.get(health.windows))


def summarize(stages: Sequence[Mapping[str, Any]], windows: WindowFigures | None) -> PublicFigures:
    by_name: Stages = {stage["name"]: stage for stage in stages}
    return PublicFigures(
        accepted=by_name["bridge"]["in"],
        waiting=_count_waiting(by_name),
        written=_count_written(by_name),
        delivered=by_name["deliverer"]["out"],
        open_windows=None if windows is None else windows.open_count + windows.closing_count,
    )


def _count_waiting(stages: Stages) -> int | None:
    counts = [stages[name][figure] for name, figure in _STAGES_WITH_WAITING_EVENTS.items()]
    known_counts = [int(count) for count in counts if count is not None]
    return sum(known_counts) if known_counts else None


def _count_written(stages: Stages) -> int | None:
    if any(stages[name]["out"] is None for name in _STAGES_THAT_WRITE):
        return None
    return sum(
        int(stages[name]["outcomes"].get(outcome, 0))
        for name in _STAGES_THAT_WRITE
        for outcome in DELIVERED_OUTCOMES
    )
