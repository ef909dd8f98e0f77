"""Pipeline report: for each stage in order, events received, done, held and failed, lag and oldest age.

Input: app/messaging/stage_counters.py, the streams, tables and windows themselves, and Kafka offsets.
Output: GET /api/admin/pipeline. Received events are counted on entry where that needs no extra round trip
(windows, tables); elsewhere they are the sum of what is held and what left. Held events are always
measured. A figure of an unavailable service is null.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gevent
import redis
from sqlalchemy import Engine, text

from app.aggregation.windows import DUE_INDEX_KEY
from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import translate_errors
from app.domain.errors import Unavailable
from app.domain.events import SEQ_PER_MS, seq_from_stream_id
from app.domain.worker_loops import LOOP_BY_CONSUMER_GROUP, PIPELINE_STAGES
from app.ingest.ingress import ingress_key
from app.messaging.stage_counters import StageCounters
from app.operations.consumer_lag import PartitionOffset
from app.operations.open_windows import OpenWindows
from app.persistence.fan_outs import FAN_OUT_BACKLOG, list_recent_fan_outs
from app.persistence.outgoing_messages import OUTGOING_BACKLOG

MAX_WINDOWS = 20_000
SERVICE_TIMEOUT_SECONDS = 1.7
GROUPS_BY_STAGE = {
    stage: [group for group, loop in LOOP_BY_CONSUMER_GROUP.items() if loop.pipeline_stage == stage]
    for stage in dict.fromkeys(
        loop.pipeline_stage for loop in LOOP_BY_CONSUMER_GROUP.values() if loop.pipeline_stage
    )
}
"""Consumer groups whose lag belongs to a stage."""
STAGE_ORDER = (PIPELINE_STAGES[0], "fallback", *PIPELINE_STAGES[1:])


@dataclass(slots=True)
class StageFigures:
    name: str
    outcomes: dict[str, int] = field(default_factory=dict)
    held_count: int | None = 0
    lag: int | None = 0
    oldest_seconds: float | None = None
    received: int | None = None
    """None: the sum of what left, failed and is held."""
    available: bool = True
    """False: the service with its counters did not respond; the figures are unknown, not zero."""

    @property
    def failed_count(self) -> int:
        return self.outcomes.get("failed", 0)

    @property
    def out_count(self) -> int:
        return sum(count for name, count in self.outcomes.items() if name != "failed")

    def to_dict(self) -> dict[str, Any]:
        derived_received = self.out_count + self.failed_count + (self.held_count or 0)
        received = derived_received if self.received is None else self.received
        return {
            "name": self.name,
            "in": received if self.available else None,
            "out": self.out_count if self.available else None,
            "held": self.held_count,
            "failed": self.failed_count if self.available else None,
            "lag": self.lag,
            "oldestAgeSeconds": None
            if self.oldest_seconds is None
            else round(max(0.0, self.oldest_seconds), 1),
            "outcomes": self.outcomes,
        }


class PipelineReport:
    def __init__(
        self,
        connection: redis.Redis,
        engine: Engine,
        shards: Sequence[int],
        max_retries: int,
        read_lags: Callable[[], Sequence[PartitionOffset]],
    ) -> None:
        self._redis = connection
        self._engine = engine
        self._shards = shards
        self._max_retries = max_retries
        self._read_lags = read_lags

    def read_stages(self) -> tuple[list[StageFigures], dict[str, str]]:
        """All stages, and the services that did not respond. Services are queried at once, so that one
        that hangs does not delay the figures of the others."""
        stages = {name: StageFigures(name) for name in STAGE_ORDER}
        readers = {
            "redis": self._fill_from_redis,
            "postgres": self._fill_from_postgres,
            "kafka": self._fill_from_kafka,
        }
        greenlets_by_service = {
            name: gevent.spawn(_run_reader_with_timeout, reader, stages) for name, reader in readers.items()
        }
        gevent.joinall(list(greenlets_by_service.values()))
        errors_by_service = {
            name: error
            for name, greenlet in greenlets_by_service.items()
            if (error := greenlet.get()) is not None
        }
        for service in errors_by_service:
            _mark_unavailable(stages, service)
        return [stages[name] for name in STAGE_ORDER], errors_by_service

    def _fill_from_redis(self, stages: Mapping[str, StageFigures]) -> None:
        outcomes_by_stage = StageCounters(self._redis).outcomes_by_stage(PIPELINE_STAGES)
        for name, outcomes in outcomes_by_stage.items():
            stages[name].outcomes = outcomes
        flusher = stages["flusher"]
        flusher.received = flusher.outcomes.pop("in", 0)
        flusher.held_count = flusher.lag = OpenWindows(self._redis).count_gathered_events(MAX_WINDOWS)
        with translate_errors("read backlogs"):
            pipeline = self._redis.pipeline(transaction=False)
            for shard in self._shards:
                pipeline.xlen(ingress_key(shard))
                pipeline.xrange(ingress_key(shard), count=1)
            pipeline.zrangebyscore(DUE_INDEX_KEY, "(0", "+inf", start=0, num=1, withscores=True)
            *streams, due_windows = pipeline.execute()
        bridge = stages["bridge"]
        bridge.held_count = bridge.lag = sum(streams[::2])
        bridge.oldest_seconds = _oldest_age_seconds([entries[0][0] for entries in streams[1::2] if entries])
        # The age of windows is how long the first one is overdue: until it is due, it is meant to wait.
        overdue_seconds = time.time() - due_windows[0][1] / 1000 if due_windows else None
        flusher.oldest_seconds = (
            overdue_seconds
            if overdue_seconds is not None and overdue_seconds > 0
            else (0.0 if due_windows else None)
        )

    def _fill_from_postgres(self, stages: Mapping[str, StageFigures]) -> None:
        with translate_postgres_errors("read backlogs"), self._engine.connect() as conn:
            fallback_row = conn.execute(_FALLBACK_QUERY, {"retries": self._max_retries}).one()
            unpublished_count, oldest_unpublished_seconds = conn.execute(_OUTBOX_QUERY).one()
            unsent_count, oldest_unsent_seconds = conn.execute(OUTGOING_BACKLOG).one()
            fan_out_lag, remaining_count, oldest_fan_out_seconds = conn.execute(FAN_OUT_BACKLOG).one()
        fallback, relay = stages["fallback"], stages["relay"]
        fallback.outcomes = {
            "published": fallback_row[0],
            "discarded": fallback_row[1],
            "failed": fallback_row[3],
        }
        fallback.received = fallback_row[5]
        fallback.held_count = fallback.lag = fallback_row[2]
        fallback.oldest_seconds = _float_or_none(fallback_row[4])
        relay.held_count = relay.lag = unpublished_count
        relay.oldest_seconds = _float_or_none(oldest_unpublished_seconds)
        fan_out = stages["fan-out"]  # lag: fan-outs; held: recipients
        fan_out.lag, fan_out.held_count = fan_out_lag, remaining_count
        fan_out.oldest_seconds = _float_or_none(oldest_fan_out_seconds)
        mail = stages["mail"]
        mail.held_count = mail.lag = unsent_count
        mail.oldest_seconds = _float_or_none(oldest_unsent_seconds)

    def _fill_from_kafka(self, stages: Mapping[str, StageFigures]) -> None:
        partition_offsets = self._read_lags()
        for name, groups in GROUPS_BY_STAGE.items():
            stage_offsets = [offset for offset in partition_offsets if offset.group in groups]
            stage = stages[name]
            stage.lag = sum(offset.lag for offset in stage_offsets)
            if name == "aggregator":
                stage.lag = self._count_unread_events(stage_offsets)

    def _count_unread_events(self, partition_offsets: Sequence[PartitionOffset]) -> int:
        """Committed offsets of priority topics wait for windows; the applied offsets show what was read."""
        with translate_errors("read applied offsets"):
            applied_offsets = self._redis.hgetall("windows:applied")
        lag = 0
        for partition_offset in partition_offsets:
            applied_offset = int(
                applied_offsets.get(f"{partition_offset.topic}:{partition_offset.partition}", -1)
            )
            lag += max(0, min(partition_offset.lag, partition_offset.end_offset - applied_offset - 1))
        return lag

    def list_fan_outs(self) -> list[dict[str, Any]]:
        """The unfinished fan-outs and the newest finished ones, at most 20; none without PostgreSQL."""
        try:
            with translate_postgres_errors("list fan-outs"), self._engine.connect() as conn:
                return list_recent_fan_outs(conn)
        except Unavailable:
            return []


def _run_reader_with_timeout(
    reader: Callable[[Mapping[str, StageFigures]], None], stages: Mapping[str, StageFigures]
) -> str | None:
    """The error of the reader; None on success."""
    try:
        with gevent.Timeout(SERVICE_TIMEOUT_SECONDS, Unavailable("no response in time")):
            reader(stages)
    except Unavailable as exc:
        return str(exc)
    return None


def _mark_unavailable(stages: Mapping[str, StageFigures], service: str) -> None:
    """Marks the figures of a service as unknown, which is not zero."""
    stage_names = {
        "redis": ("bridge", "flusher"),
        "postgres": ("fallback", "fan-out", "relay", "mail"),
        "kafka": tuple(GROUPS_BY_STAGE),
    }[service]
    for name in {"redis": PIPELINE_STAGES, "postgres": ("fallback",)}.get(service, ()):
        stages[name].available = False
    for name in stage_names:
        stages[name].lag = None
        if service != "kafka":
            stages[name].held_count = None


def _oldest_age_seconds(stream_ids: Sequence[str]) -> float | None:
    if not stream_ids:
        return None
    first_seq = min(seq_from_stream_id(stream_id) for stream_id in stream_ids)
    return time.time() - first_seq / SEQ_PER_MS / 1000


def _float_or_none(value: Any) -> float | None:
    return None if value is None else float(value)


_FALLBACK_QUERY = text("""
    select count(*) filter (where processed and last_error is distinct from 'discarded'),
        count(*) filter (where processed and last_error = 'discarded'),
        count(*) filter (where not processed and retry_count <= :retries),
        count(*) filter (where not processed and retry_count > :retries),
        extract(epoch from now() - min(created_at) filter (where not processed)), count(*)
    from kafka_fallback_queue
""")
_OUTBOX_QUERY = text(
    "select count(*), extract(epoch from now() - min(created_at)) from outbox where published_at is null"
)
