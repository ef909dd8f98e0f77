"""The way of a like in time: the stamps that the pipeline leaves, read after the run."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kafka import KafkaConsumer
from sqlalchemy import text

from app.domain.events import occurred_at
from app.domain.routing import Topic
from bench.figures import percentile
from bench.stage import Stage

if TYPE_CHECKING:
    from bench.toast import Click

LANES = (Topic.HIGH.value, Topic.LOW.value)
STOPS = (
    "accepted (its seq)",
    "HTTP answer",
    "in the lane (appended)",
    "transaction begins (outbox row)",
    "in the ready topic (appended)",
    "toast at the socket",
)
_OUTBOX = text(
    "select payload->>'targetId', extract(epoch from created_at)::float from outbox "
    "where frame = 'notification' and payload->>'targetId' = any(:posts)"
)


def hops(stage: Stage, clicks: Sequence["Click"]) -> dict[str, object]:
    """Per stop, ms since the click: the median, what it adds to the stop before, and p99."""
    accepted, lane = _events(stage)
    ready = _frames(stage)
    with stage.parts.parts.engine.connect() as sql:
        rows = sql.execute(_OUTBOX, {"posts": [one.post for one in clicks]})
        written = {str(row[0]): float(row[1]) for row in rows}
    at: dict[str, list[float]] = {stop: [] for stop in STOPS}
    for one in clicks:
        times = (
            accepted[one.post],
            one.answered,
            lane[one.post],
            written[one.post],
            ready[one.post],
            one.toasted,
        )
        for stop, moment in zip(STOPS, times, strict=True):
            at[stop].append((moment - one.clicked) * 1000)
    return told(at)


def told(at: dict[str, list[float]]) -> dict[str, object]:
    lines: dict[str, object] = {}
    before = 0.0
    for stop, times in at.items():
        median = percentile(times, 50)
        lines[stop] = f"{median:6.1f} ms  ({median - before:+.1f})  p99 {percentile(times, 99):.1f}"
        before = median
    return lines


def _events(stage: Stage) -> tuple[dict[str, float], dict[str, float]]:
    """When each post's event was accepted, and when its lane had it."""
    accepted, lane = {}, {}
    for value, moment in _records(stage, LANES):
        post = str(value["targetEntityId"])
        accepted[post] = occurred_at(int(value["seq"])).timestamp()
        lane[post] = moment
    return accepted, lane


def _frames(stage: Stage) -> dict[str, float]:
    return {
        str(value["data"]["targetId"]): moment
        for value, moment in _records(stage, (Topic.READY.value,))
        if value["frame"] == "notification"
    }


def _records(stage: Stage, topics: Sequence[str]) -> list[tuple[dict[str, Any], float]]:
    """All there is, with the broker's clock in seconds."""
    consumer = KafkaConsumer(
        *topics,
        bootstrap_servers=stage.environment["KAFKA_BOOTSTRAP_SERVERS"].split(","),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=2000,
    )
    try:
        return [(json.loads(one.value), one.timestamp / 1000) for one in consumer]
    finally:
        consumer.close()
