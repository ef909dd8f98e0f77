"""Figures: what became of the events at each stage, and the trace of each one.

In    the workers, one call per batch: `note(Passing(...))`
Out   Redis: stage:{name} (outcome -> how many), trace:{eventId} (step -> when)
Next  app/stage_report.py and stores/traces.py read them

What a repeat does: a batch read twice from Kafka counts once (its offsets tell). A crash between
the tables and this call lets the repeat count, and by then the tables had it: "merged" instead of
"delivered", the sum is right. The bridge and the flusher count inside the script that acknowledges
or settles, so theirs are exact. While Redis is away the sums wait in memory, so a worker that ends
meanwhile takes those with it; a FLUSHALL begins all figures anew.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import redis

from app.domain.errors import Unavailable
from app.stores.redis import key, script, speaking

log = logging.getLogger(__name__)
TRACES = 100_000
"""The newest are kept: some 75 MB. A day of a busy network would be a hundred times that. Each step
of an event costs Redis some 10 us and the worker 4 (measured; a like itself takes Redis 30)."""
TRACE_SECONDS = 24 * 3600
GATHERED = "gathered"
"""The outcome of an event that went on into a window: settled there, under stage:flusher."""


@dataclass(frozen=True, slots=True)
class Passing:
    """A batch that a stage is done with."""

    stage: str
    outcomes: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Where it was read: partition -> (last offset, how many)."""
    step: str = ""
    events: Mapping[str, str] = field(default_factory=dict)
    """Who passed the step: event id -> what there is to say."""


Note = Callable[[Passing], None]


def unnoted(_: Passing) -> None:
    """For who keeps no figures."""


class Figures:
    """Never raises for an absent Redis: what counts must not stop what works."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._count = script(connection, "figures")
        self._trace = script(connection, "trace")
        self._waiting: dict[str, tuple[Counter[str], dict[str, tuple[int, int]]]] = {}

    def note(self, passing: Passing) -> None:
        """One round trip."""
        # Other lanes note at the same time: what waits is taken over whole, and given back whole.
        self._keep(passing.stage, passing.outcomes, passing.places)
        outcomes, places = self._waiting.pop(passing.stage)
        try:
            with speaking("count"):
                pipeline = self._redis.pipeline(transaction=False)
                self._put(pipeline, passing, outcomes, places)
                pipeline.execute()
        except Unavailable as fault:
            log.debug("Figures wait: %s", fault)
            self._keep(passing.stage, outcomes, places)

    def _keep(
        self, stage: str, outcomes: Mapping[str, int], places: Mapping[str, tuple[int, int]]
    ) -> None:
        sums, read = self._waiting.setdefault(stage, (Counter(), {}))
        sums.update(outcomes)
        for place, (last, count) in places.items():
            before = read.get(place, (-1, 0))
            read[place] = (max(last, before[0]), count + before[1])

    def _put(
        self,
        pipeline: "redis.client.Pipeline",
        passing: Passing,
        outcomes: Counter[str],
        places: dict[str, tuple[int, int]],
    ) -> None:
        if outcomes:
            args: list[str | int] = [len(places)]
            for place, (last, count) in places.items():
                args += [place, last, count]
            args += [part for pair in outcomes.items() for part in pair]
            stage = key("stage", passing.stage)
            self._count(keys=[stage, key(stage, "read")], args=args, client=pipeline)
        if passing.events:
            told = [part for pair in passing.events.items() for part in pair]
            args = [TRACES, TRACE_SECONDS, passing.step, *told]
            self._trace(keys=["trace:recent"], args=args, client=pipeline)

    def outcomes(self, stages: tuple[str, ...]) -> dict[str, dict[str, int]]:
        """What became of the events, per stage. Raises Unavailable."""
        with speaking("tell its figures"):
            pipeline = self._redis.pipeline(transaction=False)
            for stage in stages:
                pipeline.hgetall(key("stage", stage))
            found = pipeline.execute()
        return {
            stage: {str(name): int(count) for name, count in one.items()}
            for stage, one in zip(stages, found, strict=True)
        }
