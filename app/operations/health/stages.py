"""The stages of the pipeline in order: events received, done, held and failed, lag, oldest age and level.

In: figures of a health report. Out: GET /api/admin/pipeline. Received events are counted on entry where that
needs no extra round trip (windows, tables); elsewhere they are the sum of what is held and what left. Held
events are always measured. A figure of an unavailable service is null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain.worker_loops import LOOP_BY_CONSUMER_GROUP, PIPELINE_STAGES
from app.operations.consumer_lag import KafkaFigures, PartitionOffset
from app.operations.health.postgres_figures import FinishedFallbackFigures, TableFigures
from app.operations.health.redis_figures import PipelineFigures
from app.operations.health.report import Health, HealthReport
from app.operations.health.results import CheckLevel, worst_level
from app.operations.open_windows import WindowFigures

STAGE_ORDER = (PIPELINE_STAGES[0], "fallback", *PIPELINE_STAGES[1:])


@dataclass(slots=True)
class Stage:
    name: str
    outcomes: Mapping[str, int] | None = None
    """None: the service with its counters did not respond."""
    held: int | None = 0
    lag: int | None = 0
    oldest_seconds: float | None = None
    received: int | None = None
    """None: the sum of what left, failed and is held."""
    level: CheckLevel = field(default=CheckLevel.OK)

    def to_dict(self) -> dict[str, Any]:
        outcomes = self.outcomes or {}
        failed_count = outcomes.get("failed", 0)
        out_count = sum(outcomes.values()) - failed_count
        received = out_count + failed_count + (self.held or 0) if self.received is None else self.received
        is_known = self.outcomes is not None
        age_seconds = None if self.oldest_seconds is None else round(max(0.0, self.oldest_seconds), 1)
        return {
            "name": self.name,
            "in": received if is_known else None,
            "out": out_count if is_known else None,
            "held": self.held,
            "failed": failed_count if is_known else None,
            "lag": self.lag,
            "oldestAgeSeconds": age_seconds,
            "outcomes": outcomes,
            "level": self.level.value,
        }


def list_stages(health: Health, report: HealthReport) -> list[dict[str, Any]]:
    """From the queries pipeline, windows, tables and kafka; from finished_fallback what left the fallback
    queue, which is unknown without it."""
    stages = {name: Stage(name) for name in STAGE_ORDER}
    pipeline, kafka = report.get(health.pipeline), report.get(health.kafka)
    _add_lags(stages, kafka, pipeline)
    if pipeline is not None:
        for name, outcomes in pipeline.outcomes_by_stage.items():
            stages[name].outcomes = dict(outcomes)
    _add_ingress(stages["bridge"], pipeline)
    _add_windows(stages["flusher"], report.get(health.windows))
    _add_tables(stages, report.get(health.tables), report.get(health.finished_fallback))
    for stage in stages.values():
        stage.level = worst_level(item for item in report.results if item.pipeline_stage == stage.name)
    return [stage.to_dict() for stage in stages.values()]


def _add_ingress(bridge: Stage, figures: PipelineFigures | None) -> None:
    if figures is None:
        bridge.held = bridge.lag = None
        return
    bridge.held = bridge.lag = sum(shard.length for shard in figures.ingress)
    ages = [shard.oldest_seconds for shard in figures.ingress if shard.oldest_seconds is not None]
    bridge.oldest_seconds = max(ages, default=None)


def _add_windows(flusher: Stage, figures: WindowFigures | None) -> None:
    """Its age is how long the first window is overdue: until it is due, it is meant to wait."""
    if flusher.outcomes is not None:
        outcomes = dict(flusher.outcomes)
        flusher.received, flusher.outcomes = outcomes.pop("in", 0), outcomes
    flusher.held = flusher.lag = figures.gathered_count if figures else None
    if figures and figures.first_due_in_seconds is not None:
        flusher.oldest_seconds = -figures.first_due_in_seconds


def _add_tables(
    stages: Mapping[str, Stage], figures: TableFigures | None, finished: FinishedFallbackFigures | None
) -> None:
    fallback, relay, fan_out, mail = (stages[name] for name in ("fallback", "relay", "fan-out", "mail"))
    if figures is None:
        for stage in (fallback, relay, fan_out, mail):
            stage.held = stage.lag = None
        return
    if finished is not None:
        fallback.outcomes = {
            "published": finished.published,
            "discarded": finished.discarded,
            "failed": figures.fallback_failed,
        }
    fallback.oldest_seconds = figures.fallback_oldest_seconds
    fallback.held = fallback.lag = figures.fallback_pending
    relay.held = relay.lag = figures.outbox_unpublished
    relay.oldest_seconds = figures.outbox_oldest_seconds
    # lag: fan-outs; held: recipients
    fan_out.lag, fan_out.held = figures.fan_outs_unfinished, figures.fan_out_recipients_remaining
    fan_out.oldest_seconds = figures.fan_outs_oldest_seconds
    mail.held = mail.lag = figures.mail_waiting
    mail.oldest_seconds = figures.mail_oldest_seconds


def _add_lags(
    stages: Mapping[str, Stage], kafka: KafkaFigures | None, pipeline: PipelineFigures | None
) -> None:
    for loop in LOOP_BY_CONSUMER_GROUP.values():
        stages[loop.pipeline_stage].lag = None if kafka is None else 0
    for offset in kafka.offsets if kafka else ():
        stage = stages[LOOP_BY_CONSUMER_GROUP[offset.group].pipeline_stage]
        stage.lag = (stage.lag or 0) + offset.lag
    aggregator = stages["aggregator"]
    aggregator.lag = (
        _count_unread_events(
            [item for item in kafka.offsets if LOOP_BY_CONSUMER_GROUP[item.group].process == "aggregator"],
            pipeline.applied_offsets,
        )
        if kafka and pipeline
        else None
    )


def _count_unread_events(offsets: Sequence[PartitionOffset], applied_offsets: Mapping[str, int]) -> int:
    """Committed offsets of priority topics wait for windows; the applied offsets show what was read."""
    unread_count = 0
    for offset in offsets:
        applied_offset = applied_offsets.get(offset.partition_name, -1)
        unread_count += max(0, min(offset.lag, offset.end_offset - applied_offset - 1))
    return unread_count
