"""The figures of the pipeline that everybody may see: counts, without ids, kinds or names.

In: counters and the number of windows in Redis, and the newest sample of the pipeline's history
(app/operations/pipeline_history.py). Out: GET /api/figures, which the front page polls. Anonymous visitors
cause no queries of PostgreSQL and Kafka, and none in Redis whose cost grows with a backlog.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis

from app.aggregation.windows import DUE_INDEX_KEY
from app.clients.redis import translate_errors
from app.domain.event_status import DELIVERED_OUTCOMES
from app.operations.health.queries import Query, run_queries
from app.operations.health.redis_figures import PipelineFigures, read_pipeline_figures
from app.operations.health.report import QUERY_TIMEOUT_SECONDS
from app.operations.pipeline_history import SAMPLE_INTERVAL_SECONDS, PipelineHistory, PipelineSample

MAX_AGE_SECONDS = 2.0
"""The load of Redis does not grow with the number of visitors."""
MAX_SAMPLE_AGE_SECONDS = 3 * SAMPLE_INTERVAL_SECONDS
"""An older sample says nothing about now: the worker that takes them does not run."""
_STAGES_WITH_WAITING_EVENTS = {"bridge": "held", "fallback": "held", "aggregator": "lag", "flusher": "held"}
_STAGES_THAT_WRITE = ("aggregator", "flusher")


@dataclass(frozen=True, slots=True)
class PublicFigures:
    """None: Redis did not respond. Counted since Redis was last emptied."""

    accepted: int | None = None
    """Events."""
    waiting: int | None = None
    """Events between acceptance and the tables, as far as the newest sample knows of them."""
    written: int | None = None
    """Events with a row in the tables."""
    delivered: int | None = None
    """Messages to users."""
    open_windows: int | None = None


class PublicFiguresReader:
    def __init__(self, connection: redis.Redis, shards: Sequence[int]) -> None:
        """`shards`: all ingress shards."""
        self._redis = connection
        self._shards = shards
        self._history = PipelineHistory(connection)
        self._query = Query("redis", self._read, QUERY_TIMEOUT_SECONDS, MAX_AGE_SECONDS)

    def read(self) -> PublicFigures:
        """At most MAX_AGE_SECONDS old; `waiting` as old as the newest sample. Raises nothing."""
        (answer,) = run_queries([self._query], QUERY_TIMEOUT_SECONDS)
        return answer.value or PublicFigures()

    def _read(self) -> PublicFigures:
        pipeline = read_pipeline_figures(self._redis, self._shards)
        sample = self._history.read_newest()
        with translate_errors("count windows"):
            # A score of 0: flushed early, and about to be removed.
            open_windows = int(self._redis.zcount(DUE_INDEX_KEY, "(0", "+inf"))
        is_recent = sample is not None and time.time() - sample.at.timestamp() <= MAX_SAMPLE_AGE_SECONDS
        return summarize(pipeline, sample if is_recent else None, open_windows)


def summarize(pipeline: PipelineFigures, sample: PipelineSample | None, open_windows: int) -> PublicFigures:
    outcomes_by_stage = pipeline.outcomes_by_stage
    moved_count = sum(outcomes_by_stage["bridge"].values())
    delivered = outcomes_by_stage["deliverer"]
    return PublicFigures(
        accepted=moved_count + sum(shard.length for shard in pipeline.ingress),
        waiting=None if sample is None else _count_waiting(sample),
        written=_count_written(outcomes_by_stage),
        delivered=sum(delivered.values()) - delivered.get("failed", 0),
        open_windows=open_windows,
    )


def _count_waiting(sample: PipelineSample) -> int | None:
    counts = [sample.figures_by_stage[name][figure] for name, figure in _STAGES_WITH_WAITING_EVENTS.items()]
    known_counts = [count for count in counts if count is not None]
    return sum(known_counts) if known_counts else None


def _count_written(outcomes_by_stage: Mapping[str, Mapping[str, int]]) -> int:
    return sum(
        outcomes_by_stage[stage].get(outcome, 0)
        for stage in _STAGES_THAT_WRITE
        for outcome in DELIVERED_OUTCOMES
    )
