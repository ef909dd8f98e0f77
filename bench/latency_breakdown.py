"""Latency of a like per stage, from the timestamps in the outbox table and the Kafka topics."""

import json
from collections.abc import Sequence
from typing import Any

from kafka import KafkaConsumer
from sqlalchemy import text

from app.domain.events import occurred_at_from_seq
from app.domain.routing import Topic
from bench.harness import BenchHarness
from bench.like_timing import LikeTiming
from bench.results import percentile

LANE_TOPICS = (Topic.HIGH.value, Topic.LOW.value)
STAGES = (
    "accepted (its seq)",
    "HTTP response",
    "in the priority topic (append time)",
    "transaction begins (outbox row)",
    "in the ready topic (append time)",
    "toast at the socket",
)
_SELECT_OUTBOX_TIMES = text(
    "select payload->>'targetId', extract(epoch from created_at)::float from outbox "
    "where client_event = 'notification' and payload->>'targetId' = any(:post_ids)"
)


def break_down_latency(harness: BenchHarness, like_timings: Sequence[LikeTiming]) -> dict[str, object]:
    """Per stage, ms since the request was sent: median, difference to the previous stage, p99."""
    accepted_at, lane_appended_at = _read_lane_times(harness)
    ready_appended_at = _read_ready_times(harness)
    with harness.worker_services.services.engine.connect() as conn:
        rows = conn.execute(
            _SELECT_OUTBOX_TIMES, {"post_ids": [like_timing.post_id for like_timing in like_timings]}
        )
        outbox_written_at = {str(row[0]): float(row[1]) for row in rows}
    delays_ms_by_stage: dict[str, list[float]] = {stage_name: [] for stage_name in STAGES}
    for like_timing in like_timings:
        stage_times = (
            accepted_at[like_timing.post_id],
            like_timing.answered_at,
            lane_appended_at[like_timing.post_id],
            outbox_written_at[like_timing.post_id],
            ready_appended_at[like_timing.post_id],
            like_timing.toast_at,
        )
        for stage_name, stage_at in zip(STAGES, stage_times, strict=True):
            delays_ms_by_stage[stage_name].append((stage_at - like_timing.sent_at) * 1000)
    return format_breakdown(delays_ms_by_stage)


def format_breakdown(delays_ms_by_stage: dict[str, list[float]]) -> dict[str, object]:
    text_by_stage: dict[str, object] = {}
    previous_median = 0.0
    for stage_name, delays_ms in delays_ms_by_stage.items():
        median = percentile(delays_ms, 50)
        text_by_stage[stage_name] = (
            f"{median:6.1f} ms  ({median - previous_median:+.1f})  p99 {percentile(delays_ms, 99):.1f}"
        )
        previous_median = median
    return text_by_stage


def _read_lane_times(harness: BenchHarness) -> tuple[dict[str, float], dict[str, float]]:
    """Post id -> time when its event was accepted; time when Kafka appended it to its priority topic."""
    accepted_at, lane_appended_at = {}, {}
    for value, appended_at in _read_records(harness, LANE_TOPICS):
        post_id = str(value["targetEntityId"])
        accepted_at[post_id] = occurred_at_from_seq(int(value["seq"])).timestamp()
        lane_appended_at[post_id] = appended_at
    return accepted_at, lane_appended_at


def _read_ready_times(harness: BenchHarness) -> dict[str, float]:
    return {
        str(value["data"]["targetId"]): appended_at
        for value, appended_at in _read_records(harness, (Topic.READY.value,))
        if value["clientEvent"] == "notification"
    }


def _read_records(harness: BenchHarness, topics: Sequence[str]) -> list[tuple[dict[str, Any], float]]:
    """All records of the topics, each with its append time in seconds."""
    consumer = KafkaConsumer(
        *topics,
        bootstrap_servers=harness.environment["KAFKA_BOOTSTRAP_SERVERS"].split(","),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=2000,
    )
    try:
        return [(json.loads(record.value), record.timestamp / 1000) for record in consumer]
    finally:
        consumer.close()
