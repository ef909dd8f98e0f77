"""The list of all worker loops: the process, pipeline stage, topic and consumer group of each, how long it
rests and how old its heartbeat may be.

workers/__main__.py starts exactly these; health checks, reports, metrics, drills and benchmarks read the
list.
"""

from dataclasses import dataclass

from app.domain.routing import Topic

BATCH_INTERVAL_SECONDS = 0.05
"""For loops that wait for single events. A batch costs the bridge and the aggregator 5 ms each whatever its
size (measured): without a rest, 100 likes a second took half of a core for the two and more than a third for
Kafka."""


@dataclass(frozen=True, slots=True)
class WorkerLoop:
    name: str
    """The name of its heartbeat, also used in logs."""
    process: str
    """The Procfile entry that runs it: `python -m workers <process>`."""
    pipeline_stage: str = ""
    """The stage whose counters it increments."""
    topic: Topic | None = None
    consumer_group: str = ""
    """The consumer group that reads `topic`."""
    idle_seconds: float = 0.0
    """How long it rests after a step that moved nothing. 0: its step waits by itself, or it has a rest of its
    own."""
    batch_interval_seconds: float = 0.0
    """At least so far apart are its batches under load, on average (workers/runner.py). 0: no rest."""
    max_heartbeat_age_seconds: float = 15.0
    """Longer than any step takes and than a process needs to restart. An older heartbeat: the loop hangs, or
    no process runs it."""


WORKER_LOOPS = {
    loop.name: loop
    for loop in (
        WorkerLoop("bridge", "bridge", "bridge", batch_interval_seconds=BATCH_INTERVAL_SECONDS),
        WorkerLoop("aggregator-critical", "aggregator", "aggregator", Topic.CRITICAL, "critical-consumer"),
        WorkerLoop(
            "aggregator-high",
            "aggregator",
            "aggregator",
            Topic.HIGH,
            "high-priority-consumer",
            batch_interval_seconds=BATCH_INTERVAL_SECONDS,
        ),
        WorkerLoop(
            "aggregator-low",
            "aggregator",
            "aggregator",
            Topic.LOW,
            "low-priority-consumer",
            batch_interval_seconds=BATCH_INTERVAL_SECONDS,
        ),
        WorkerLoop("flusher", "flusher", "flusher", idle_seconds=0.25),
        WorkerLoop("fan-out", "flusher", "fan-out"),
        WorkerLoop("redis-failback", "flusher"),
        WorkerLoop("quiet-hours", "flusher", idle_seconds=1.0),
        WorkerLoop("snoozes", "flusher", idle_seconds=1.0),
        WorkerLoop("cache-eviction", "flusher", idle_seconds=1.0),
        WorkerLoop("profile-changes", "flusher", idle_seconds=1.0),
        WorkerLoop("retention", "flusher"),
        WorkerLoop("relay", "flusher", "relay", batch_interval_seconds=BATCH_INTERVAL_SECONDS),
        WorkerLoop(
            "deliverer",
            "deliverer",
            "deliverer",
            Topic.READY,
            "delivery-consumer",
            batch_interval_seconds=BATCH_INTERVAL_SECONDS,
        ),
        WorkerLoop(
            "delivery-log",
            "deliverer",
            "delivery-log",
            Topic.READY,
            "delivery-log-consumer",
            idle_seconds=0.4,
        ),
        WorkerLoop("fan-out-log", "deliverer", "fan-out-log", Topic.BULK, "bulk-consumer"),
        WorkerLoop("mailer", "deliverer", "mail"),
        WorkerLoop("pipeline-history", "deliverer", idle_seconds=1.0, max_heartbeat_age_seconds=30.0),
    )
}
"""By name, in the order of the pipeline stages."""

WORKER_PROCESSES = tuple(dict.fromkeys(loop.process for loop in WORKER_LOOPS.values()))
PIPELINE_STAGES = tuple(
    dict.fromkeys(loop.pipeline_stage for loop in WORKER_LOOPS.values() if loop.pipeline_stage)
)
LOOP_BY_CONSUMER_GROUP = {loop.consumer_group: loop for loop in WORKER_LOOPS.values() if loop.consumer_group}
"""The loops that read a topic, by consumer group."""


def loops_of_process(process: str) -> tuple[WorkerLoop, ...]:
    return tuple(loop for loop in WORKER_LOOPS.values() if loop.process == process)


def process_of_loop_or_stage(loop_or_stage: str) -> str:
    """The process that runs a loop or counts for a stage; any other name is returned as it is."""
    return next(
        (loop.process for loop in WORKER_LOOPS.values() if loop_or_stage in (loop.name, loop.pipeline_stage)),
        loop_or_stage,
    )
