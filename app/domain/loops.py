"""The loops: what each worker process runs, and which consumer group each reads. The only list.

In    nothing
Out   workers/__main__.py starts exactly these; diagnose, offsets, the stage report, the metrics,
      the dashboard, the drills, the benchmark and the tests read the table
"""

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.routing import LANES, Topic


@dataclass(frozen=True, slots=True)
class Loop:
    name: str
    """Of its heartbeat, and in the log."""
    process: str
    """The line of the Procfile that runs it: `python -m workers <process>`."""
    stage: str = ""
    """The stage whose figures it counts."""
    topic: Topic | None = None
    group: str = ""
    """The consumer group by which it reads `topic`."""


LOOPS = {
    loop.name: loop
    for loop in (
        Loop("bridge", "bridge", "bridge"),
        Loop(
            "aggregator-critical", "aggregator", "aggregator", Topic.CRITICAL, "critical-consumer"
        ),
        Loop("aggregator-high", "aggregator", "aggregator", Topic.HIGH, "high-priority-consumer"),
        Loop("aggregator-low", "aggregator", "aggregator", Topic.LOW, "low-priority-consumer"),
        Loop("flusher", "flusher", "flusher"),
        Loop("keeper", "flusher"),
        Loop("held", "flusher"),
        Loop("profile-changes", "flusher"),
        Loop("relay", "flusher", "relay"),
        Loop("deliverer", "deliverer", "deliverer", Topic.READY, "delivery-consumer"),
        Loop("recorder", "deliverer", "recorder", Topic.READY, "delivery-log-consumer"),
        Loop("mail-queue", "deliverer", "mail", Topic.READY, "letters-consumer"),
        Loop("mailer", "deliverer", "mail"),
    )
}
"""By name, in the order of the stages."""

PROCESSES = tuple(dict.fromkeys(loop.process for loop in LOOPS.values()))
STAGES = tuple(dict.fromkeys(loop.stage for loop in LOOPS.values() if loop.stage))
READERS = {loop.group: loop for loop in LOOPS.values() if loop.group}
"""The loops that read a topic, by consumer group."""
LANE_GROUPS = {loop.topic: loop.group for loop in LOOPS.values() if loop.topic in LANES.values()}


def of_process(process: str) -> tuple[Loop, ...]:
    return tuple(loop for loop in LOOPS.values() if loop.process == process)


def process_of(name: str) -> str:
    """The process that runs a loop or counts for a stage; any other name is returned as it is."""
    return next((loop.process for loop in LOOPS.values() if name in (loop.name, loop.stage)), name)


def beats_of(loop: Loop, ages: Mapping[str, float]) -> dict[str, float]:
    """Seconds since its last heartbeat, by process id. `ages` has those of all, by `loop:pid`."""
    found = {}
    for name, seconds in ages.items():
        mine, _, pid = name.rpartition(":")
        if mine == loop.name:
            found[pid] = seconds
    return found


def silent(ages: Mapping[str, float], seconds: float) -> list[Loop]:
    """The loops of which no process has sent a heartbeat for so long."""
    return [
        loop
        for loop in LOOPS.values()
        if min(beats_of(loop, ages).values(), default=seconds + 1) > seconds
    ]
