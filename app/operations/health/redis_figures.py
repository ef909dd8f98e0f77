"""What health reads from Redis: the server's settings, and the figures of the pipeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.aggregation.windows import APPLIED_KEY
from app.clients.redis import translate_errors
from app.domain.errors import Unavailable
from app.domain.events import SEQ_PER_MS, seq_from_stream_id
from app.domain.worker_loops import PIPELINE_STAGES
from app.ingest.ingress import ingress_key
from app.messaging.stage_counters import StageCounters

CHECKED_SETTINGS = ("maxmemory-policy", "appendonly", "appendfsync")


@dataclass(frozen=True, slots=True)
class RedisServer:
    settings: Mapping[str, str]
    info: Mapping[str, Any]
    """The section "server" of INFO."""
    aof_write_status: str
    """Of the last write of the append-only file."""


class RedisServerReader:
    """Has a connection of its own: it does not wait for the pool that requests use."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def read(self) -> RedisServer:
        """Raises Unavailable."""
        try:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.info("server")
            pipeline.info("persistence")
            for name in CHECKED_SETTINGS:  # one by one: Redis 6 accepts a single name
                pipeline.config_get(name)
            info, persistence, *settings = pipeline.execute()
        except redis.exceptions.AuthenticationError as exc:
            message = "Redis refused the user or password of REDIS_URL"
            raise Unavailable(message, "redis_authentication") from exc
        except redis.RedisError as exc:
            raise Unavailable("Redis did not respond", "redis_unavailable") from exc
        setting_by_name = {name: value for reply in settings for name, value in reply.items()}
        return RedisServer(setting_by_name, info, str(persistence.get("aof_last_write_status", "?")))


@dataclass(frozen=True, slots=True)
class IngressShard:
    shard: int
    key: str
    length: int
    oldest_seconds: float | None
    """The age of the oldest entry; None if there is none."""


@dataclass(frozen=True, slots=True)
class PipelineFigures:
    outcomes_by_stage: Mapping[str, Mapping[str, int]]
    ingress: Sequence[IngressShard]
    applied_offsets: Mapping[str, int]
    """By "topic:partition": the highest offset whose effect is in windows or tables."""


def read_pipeline_figures(connection: redis.Redis, shards: Sequence[int]) -> PipelineFigures:
    """Raises Unavailable."""
    outcomes_by_stage = StageCounters(connection).outcomes_by_stage(PIPELINE_STAGES)
    with translate_errors("read the ingress"):
        pipeline = connection.pipeline(transaction=False)
        pipeline.time()
        pipeline.hgetall(APPLIED_KEY)
        for shard in shards:
            pipeline.xlen(ingress_key(shard))
            pipeline.xrange(ingress_key(shard), count=1)
        (seconds, micros), applied, *streams = pipeline.execute()
    now_ms = seconds * 1000 + micros // 1000
    return PipelineFigures(
        outcomes_by_stage,
        [
            IngressShard(shard, ingress_key(shard), length, _age_seconds(entries, now_ms))
            for shard, length, entries in zip(shards, streams[::2], streams[1::2], strict=True)
        ],
        {str(partition): int(offset) for partition, offset in applied.items()},
    )


def _age_seconds(entries: Sequence[Any], now_ms: int) -> float | None:
    return (now_ms - seq_from_stream_id(entries[0][0]) / SEQ_PER_MS) / 1000 if entries else None
