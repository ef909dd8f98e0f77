"""The figures that everybody may see, from the counters and the newest sample."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from fakeredis import FakeRedis

from app.aggregation.windows import DUE_INDEX_KEY
from app.clients.redis import redis_key
from app.domain.worker_loops import PIPELINE_STAGES
from app.ingest.ingress import ingress_key
from app.operations.health.public_figures import (
    MAX_SAMPLE_AGE_SECONDS,
    PublicFigures,
    PublicFiguresReader,
    summarize,
)
from app.operations.health.redis_figures import IngressShard, PipelineFigures
from app.operations.pipeline_history import PipelineHistory, PipelineSample

NAMES = ("bridge", "fallback", "aggregator", "flusher", "deliverer")


def stages(**figures_by_name: dict[str, Any]) -> list[dict[str, Any]]:
    empty = {"out": 0, "held": 0, "lag": 0, "failed": 0}
    return [{"name": name} | empty | figures_by_name.get(name, {}) for name in NAMES]


def sample(**figures_by_name: dict[str, Any]) -> PipelineSample:
    return PipelineSample(datetime.now(UTC), {stage["name"]: stage for stage in stages(**figures_by_name)})


def pipeline_figures(**outcomes_by_stage: dict[str, int]) -> PipelineFigures:
    return PipelineFigures(
        {name: outcomes_by_stage.get(name, {}) for name in PIPELINE_STAGES},
        [IngressShard(0, "ingress:0", 1, 0.1), IngressShard(1, "ingress:1", 2, 0.1)],
        {},
    )


def test_figures_are_summed_over_the_stages() -> None:
    figures = summarize(
        pipeline_figures(
            bridge={"published": 95, "failed": 2},
            aggregator={"delivered": 40, "merged": 1, "gathered": 50, "muted": 5},
            flusher={"in": 50, "delivered": 30, "retracted": 2},
            deliverer={"emitted": 55, "failed": 1},
        ),
        sample(bridge={"held": 1}, fallback={"held": 2}, aggregator={"lag": 3}, flusher={"held": 4}),
        6,
    )

    assert figures == PublicFigures(accepted=100, waiting=10, written=71, delivered=55, open_windows=6)


@pytest.mark.parametrize(
    ("newest", "waiting"),
    [
        pytest.param(None, None, id="no sample"),
        pytest.param(sample(fallback={"held": None}, bridge={"held": 1}), 1, id="without PostgreSQL"),
        pytest.param(
            sample(
                bridge={"held": None},
                fallback={"held": None},
                aggregator={"lag": None},
                flusher={"held": None},
            ),
            None,
            id="without any service",
        ),
    ],
)
def test_unknown_number_of_waiting_events_is_none(newest: PipelineSample | None, waiting: int | None) -> None:
    assert summarize(pipeline_figures(), newest, 0).waiting == waiting


@pytest.fixture
def connection() -> FakeRedis:
    return FakeRedis(decode_responses=True)


def test_figures_come_from_redis_and_are_read_once_for_many_visitors(connection: FakeRedis) -> None:
    connection.hset(redis_key("stage", "bridge"), "published", 7)
    connection.xadd(ingress_key(1), {"eventId": "x"})
    connection.zadd(DUE_INDEX_KEY, {"flushed early": 0, "open": 5, "another": 6})
    PipelineHistory(connection).append(time.time(), stages(fallback={"held": 3}))
    reader = PublicFiguresReader(connection, range(2))

    first = reader.read()
    connection.flushall()

    assert first == PublicFigures(accepted=8, waiting=3, written=0, delivered=0, open_windows=2)
    assert reader.read() == first


def test_old_sample_says_nothing(connection: FakeRedis) -> None:
    taken_at = time.time() - MAX_SAMPLE_AGE_SECONDS - 1
    PipelineHistory(connection).append(taken_at, stages(fallback={"held": 3}))

    assert PublicFiguresReader(connection, range(2)).read().waiting is None
