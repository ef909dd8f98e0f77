"""Counters of outcomes per stage, and the trace of each event.

In: one call of the workers per batch. Out: Redis hashes stage:{name} (outcome -> count) and
trace:{eventId} (step -> time), read by app/operations/health/stages.py and app/operations/trace.py.

A batch read twice from Kafka is counted once, by its offsets. After a crash between the tables and
this call the repeated batch is counted, and the tables already had its events: "merged" instead of
"delivered", the sum is right. The bridge and the flusher count inside the script that acknowledges or
settles, so their counts are exact. While Redis is unavailable the counts are buffered in memory and
are lost if the worker ends; a FLUSHALL resets all counters.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import redis

from app.clients.redis import redis_key, register_script, translate_errors
from app.domain.errors import Unavailable

log = logging.getLogger(__name__)
MAX_TRACES = 100_000
"""The newest traces are kept: about 80 MB. A day of a busy network would be a hundred times that. Each
step of an event costs Redis about 10 us and the worker 4 (measured; a like itself takes Redis 30)."""
TRACE_TTL_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class BatchStats:
    """The results of one batch at one stage."""

    stage: str
    count_by_outcome: Mapping[str, int] = field(default_factory=dict)
    partition_offsets: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Partition -> (last offset, number of records read)."""
    trace_step: str = ""
    trace_details: Mapping[str, str] = field(default_factory=dict)
    """Event id -> detail, for each event that passed the step."""


RecordStats = Callable[[BatchStats], None]


def discard_stats(_: BatchStats) -> None:
    """For callers without counters."""


class StageCounters:
    """Writing never raises when Redis is unavailable: counters must not stop the pipeline."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._count_stage_script = register_script(connection, "messaging/count_stage")
        self._trace_script = register_script(connection, "messaging/record_trace")
        self._unsent: dict[str, tuple[Counter[str], dict[str, tuple[int, int]]]] = {}

    def record_batch_stats(self, stats: BatchStats) -> None:
        """One round trip."""
        # Other greenlets record at the same time: take the whole buffer, and put it back on failure.
        self._buffer_counts(stats.stage, stats.count_by_outcome, stats.partition_offsets)
        count_by_outcome, partition_offsets = self._unsent.pop(stats.stage)
        try:
            with translate_errors("count"):
                pipeline = self._redis.pipeline(transaction=False)
                self._queue_commands(pipeline, stats, count_by_outcome, partition_offsets)
                pipeline.execute()
        except Unavailable as exc:
            log.debug("Counters are buffered: %s", exc, extra={"event": "stage_counters_buffered"})
            self._buffer_counts(stats.stage, count_by_outcome, partition_offsets)

    def _buffer_counts(
        self,
        stage: str,
        count_by_outcome: Mapping[str, int],
        partition_offsets: Mapping[str, tuple[int, int]],
    ) -> None:
        buffered_counts, buffered_offsets = self._unsent.setdefault(stage, (Counter(), {}))
        buffered_counts.update(count_by_outcome)
        for partition, (last_offset, count) in partition_offsets.items():
            previous = buffered_offsets.get(partition, (-1, 0))
            buffered_offsets[partition] = (max(last_offset, previous[0]), count + previous[1])

    def _queue_commands(
        self,
        pipeline: "redis.client.Pipeline",
        stats: BatchStats,
        count_by_outcome: Counter[str],
        partition_offsets: dict[str, tuple[int, int]],
    ) -> None:
        if count_by_outcome:
            args: list[str | int] = [len(partition_offsets)]
            for partition, (last_offset, count) in partition_offsets.items():
                args += [partition, last_offset, count]
            args += [part for pair in count_by_outcome.items() for part in pair]
            stage_key = redis_key("stage", stats.stage)
            self._count_stage_script(
                keys=[stage_key, redis_key(stage_key, "offsets")], args=args, client=pipeline
            )
        if stats.trace_details:
            trace_args = [part for pair in stats.trace_details.items() for part in pair]
            args = [MAX_TRACES, TRACE_TTL_SECONDS, stats.trace_step, *trace_args]
            self._trace_script(keys=["trace:recent"], args=args, client=pipeline)

    def outcomes_by_stage(self, stages: tuple[str, ...]) -> dict[str, dict[str, int]]:
        """Counts by outcome, per stage. Raises Unavailable."""
        with translate_errors("read the counters"):
            pipeline = self._redis.pipeline(transaction=False)
            for stage in stages:
                pipeline.hgetall(redis_key("stage", stage))
            results = pipeline.execute()
        return {
            stage: {str(name): int(count) for name, count in counts.items()}
            for stage, counts in zip(stages, results, strict=True)
        }
