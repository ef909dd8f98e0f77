"""Stage counters (P12): for each stage, events in equal events out, held and failed, even if read twice."""

from collections import Counter

import pytest

from app.domain.routing import Topic
from app.messaging.records import ProducerRecord
from app.messaging.stage_counters import StageCounters
from tests.support.pipeline_harness import USER_NAMES, WINDOW_AND_JITTER_SECONDS, PipelineHarness

pytestmark = pytest.mark.service
STAGES = ("bridge", "aggregator", "flusher", "relay", "deliverer")


def _outcomes(pipeline: PipelineHarness) -> dict[str, dict[str, int]]:
    return StageCounters(pipeline.redis).outcomes_by_stage(STAGES)


def _create_eight_likes(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    for user in pipeline.create_users(*USER_NAMES):
        user.like("Hello")


def test_stage_counters_record_the_outcomes_of_eight_likes(pipeline: PipelineHarness) -> None:
    _create_eight_likes(pipeline)
    pipeline.run_until_idle()
    assert _outcomes(pipeline)["bridge"] == {"published": 8}
    assert _outcomes(pipeline)["aggregator"] == {"delivered": 3, "gathered": 5}
    assert _outcomes(pipeline)["flusher"] == {"in": 5}
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()
    assert _outcomes(pipeline)["flusher"] == {"in": 5, "delivered": 5}
    outbox_count = pipeline.query("select count(*) from outbox")[0][0]
    assert _outcomes(pipeline)["relay"] == {"published": outbox_count}
    assert Counter(_outcomes(pipeline)["deliverer"]).total() == outbox_count


def test_like_retracted_within_its_window_is_counted_as_merged(pipeline: PipelineHarness) -> None:
    _create_eight_likes(pipeline)
    gus = pipeline.create_users("Gus")[0]
    gus.like("Hello")
    pipeline.run_until_idle()
    gus.unlike("Hello")
    pipeline.close_windows()
    flusher = _outcomes(pipeline)["flusher"]
    assert flusher["in"] == sum(count for name, count in flusher.items() if name != "in")
    assert flusher["merged"] >= 1


def test_poison_is_counted_as_failed(pipeline: PipelineHarness) -> None:
    pipeline.memory_kafka.append(ProducerRecord(Topic.LOW.value, "x", b"not json"))
    _create_eight_likes(pipeline)
    pipeline.run_until_idle()
    assert _outcomes(pipeline)["aggregator"] == {"delivered": 3, "gathered": 5, "failed": 1}


def test_batch_read_twice_is_counted_once(pipeline: PipelineHarness) -> None:
    _create_eight_likes(pipeline)
    pipeline.bridge.step()
    pipeline.aggregator.step()
    outcomes_before = _outcomes(pipeline)["aggregator"]
    pipeline.memory_kafka.committed_offsets.clear()
    pipeline.aggregator = type(pipeline.aggregator)(pipeline)
    pipeline.memory_kafka.group_members.clear()
    pipeline.run_until_idle()
    assert _outcomes(pipeline)["aggregator"] == outcomes_before


def test_fallback_queue_entries_are_counted_as_sent_to_fallback(pipeline: PipelineHarness) -> None:
    pipeline.memory_kafka.is_unavailable = True
    _create_eight_likes(pipeline)
    pipeline.bridge.step()
    assert _outcomes(pipeline)["bridge"] == {"sent_to_fallback": 8}
