"""The history of the pipeline: one sample of all stages every ten seconds, of the last fifteen minutes.

In: the stages of a health report (app/operations/health/stages.py), which one worker loop reads. Out: the
Redis stream pipeline:history, for the charts of the dashboard (GET /api/admin/pipeline/history) and the front
page (GET /api/figures). It has at most MAX_SAMPLES entries of about 1 KB each and expires when nobody writes
it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import redis

from app.clients.redis import redis_key, translate_errors

SAMPLE_INTERVAL_SECONDS = 10
MAX_SAMPLES = 90
HISTORY_TTL_SECONDS = 1_200
"""Longer than the samples reach, and short enough that a clock set back by hours blocks no new ones."""
SAMPLED_FIGURES = ("out", "held", "lag", "failed")
HISTORY_KEY = redis_key("pipeline", "history")

StageFigures = Mapping[str, Any]
"""A stage as list_stages() returns it: its name and figures, which are None if unknown."""


@dataclass(frozen=True, slots=True)
class PipelineSample:
    at: datetime
    figures_by_stage: Mapping[str, Mapping[str, int | None]]
    """Stage -> SAMPLED_FIGURES. None: the service that has the figure did not respond."""


class PipelineHistory:
    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection

    def read_newest(self) -> PipelineSample | None:
        """None if there is no sample. Raises Unavailable."""
        with translate_errors("read the newest sample"):
            entries: Any = self._redis.xrevrange(HISTORY_KEY, count=1)
        return _to_sample(*entries[0]) if entries else None

    def append(self, at: float, stages: Sequence[StageFigures]) -> bool:
        """False if there is one of this time or a later one. `at` in Unix seconds. Raises Unavailable."""
        figures_by_stage = {
            stage["name"]: {name: stage[name] for name in SAMPLED_FIGURES} for stage in stages
        }
        with translate_errors("store a sample"):
            try:
                self._redis.xadd(
                    HISTORY_KEY,
                    {"stages": orjson.dumps(figures_by_stage)},
                    id=f"{int(at * 1000)}-0",
                    maxlen=MAX_SAMPLES,
                    approximate=False,
                )
            except redis.ResponseError:  # the id is not greater than the last one
                return False
            self._redis.expire(HISTORY_KEY, HISTORY_TTL_SECONDS)
        return True

    def list_samples(self) -> list[PipelineSample]:
        """Oldest first. Raises Unavailable."""
        with translate_errors("read the history of the pipeline"):
            entries: Any = self._redis.xrange(HISTORY_KEY)
        return [_to_sample(*entry) for entry in entries]


class PipelineSampler:
    """Takes one sample per interval, in whichever process is first."""

    def __init__(
        self,
        history: PipelineHistory,
        read_stages: Callable[[], Sequence[StageFigures]],
        now: Callable[[], float],
    ) -> None:
        self._history = history
        self._read_stages = read_stages
        self._now = now
        self._last_sample_at = 0.0

    def step(self) -> int:
        """Takes a sample if one is due. Always returns 0. Raises Unavailable: a sample that cannot be
        stored is left out."""
        sample_at = self._now() // SAMPLE_INTERVAL_SECONDS * SAMPLE_INTERVAL_SECONDS
        if sample_at != self._last_sample_at:
            self._last_sample_at = sample_at
            newest = self._history.read_newest()
            if newest is None or newest.at.timestamp() < sample_at:
                self._history.append(sample_at, self._read_stages())
        return 0


def _to_sample(entry_id: str, fields: Mapping[str, str]) -> PipelineSample:
    taken_at = datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1000, UTC)
    return PipelineSample(taken_at, orjson.loads(fields["stages"]))
