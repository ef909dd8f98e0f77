"""The history of the pipeline: one sample per interval, bounded in number and time."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from fakeredis import FakeRedis

from app.operations.pipeline_history import (
    HISTORY_KEY,
    HISTORY_TTL_SECONDS,
    MAX_SAMPLES,
    SAMPLE_INTERVAL_SECONDS,
    PipelineHistory,
    PipelineSampler,
)
from tests.support.fake_app import CallableClock

START = 1_700_000_000.0


def _stage(name: str, out: int | None) -> dict[str, Any]:
    return {"name": name, "in": out, "out": out, "held": 0, "lag": 2, "failed": 0, "outcomes": {}}


@dataclass
class Process:
    """One worker process with a sampler; counts how often it read the stages."""

    connection: FakeRedis
    clock: CallableClock
    out: int | None = 7
    read_count: int = 0
    sampler: PipelineSampler = field(init=False)

    def __post_init__(self) -> None:
        self.sampler = PipelineSampler(PipelineHistory(self.connection), self._read_stages, self.clock)

    def _read_stages(self) -> list[dict[str, Any]]:
        self.read_count += 1
        return [_stage("bridge", self.out)]


@pytest.fixture
def connection() -> FakeRedis:
    return FakeRedis(decode_responses=True)


@pytest.fixture
def clock() -> CallableClock:
    return CallableClock(START)


def test_sample_is_taken_once_per_interval_by_one_of_two_processes(
    connection: FakeRedis, clock: CallableClock
) -> None:
    first, second = Process(connection, clock), Process(connection, clock)

    for process in (first, first, second):
        process.sampler.step()
    clock.now += SAMPLE_INTERVAL_SECONDS
    for process in (second, first):
        process.sampler.step()

    assert (first.read_count, second.read_count) == (1, 1)
    samples = PipelineHistory(connection).list_samples()
    assert [sample.at.timestamp() for sample in samples] == [START, START + SAMPLE_INTERVAL_SECONDS]
    assert samples[0].figures_by_stage == {"bridge": {"out": 7, "held": 0, "lag": 2, "failed": 0}}


def test_sample_that_another_process_stored_meanwhile_is_left_out(
    connection: FakeRedis, clock: CallableClock
) -> None:
    history = PipelineHistory(connection)

    assert history.append(START, [_stage("bridge", 1)])
    assert not history.append(START, [_stage("bridge", 2)])
    assert not history.append(START - SAMPLE_INTERVAL_SECONDS, [_stage("bridge", 3)])

    assert [sample.figures_by_stage["bridge"]["out"] for sample in history.list_samples()] == [1]


def test_unknown_figure_is_stored_as_unknown(connection: FakeRedis, clock: CallableClock) -> None:
    Process(connection, clock, out=None).sampler.step()

    (sample,) = PipelineHistory(connection).list_samples()
    assert sample.figures_by_stage["bridge"]["out"] is None


def test_history_is_bounded_and_expires(connection: FakeRedis, clock: CallableClock) -> None:
    process = Process(connection, clock)
    for _ in range(MAX_SAMPLES + 5):
        process.sampler.step()
        clock.now += SAMPLE_INTERVAL_SECONDS

    samples = PipelineHistory(connection).list_samples()
    assert len(samples) == MAX_SAMPLES
    assert samples[0].at.timestamp() == START + 5 * SAMPLE_INTERVAL_SECONDS
    assert 0 < connection.ttl(HISTORY_KEY) <= HISTORY_TTL_SECONDS
