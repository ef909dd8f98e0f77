"""Reads the waterfall of one event: where it is between the request and the recipient's browser.

In: an event id. Out: the waterfall (app/domain/event_waterfall.py), who caused the event and what it is
about. Sources: the traces, which Redis keeps for a day, the tables (app/operations/trace.py), and the
ingress for an event that no worker has seen yet.
"""

import time
from dataclasses import dataclass
from typing import Any

from app.clients import stale_reads
from app.domain.errors import Poisoned, Unavailable
from app.domain.event_waterfall import (
    RecordedStep,
    Waterfall,
    build_waterfall,
    requested_at_from_event_id,
)
from app.domain.events import Event, occurred_at_from_seq
from app.operations.in_flight_events import InFlightEvents
from app.operations.trace import EventProgress, EventTraceReader

RECENT_SECONDS = 10.0
RETRY_DELAYS_SECONDS = (0.05, 0.2)
"""The bridge removes an event from the ingress shortly before it records the trace."""


@dataclass(frozen=True, slots=True)
class EventWaterfall:
    """`kind` and `object_id` are None until they are known."""

    event_id: str
    actor_id: str | None
    kind: str | None
    object_id: str | None
    waterfall: Waterfall


class EventWaterfalls:
    def __init__(self, event_traces: EventTraceReader, in_flight_events: InFlightEvents) -> None:
        self._event_traces = event_traces
        self._in_flight_events = in_flight_events

    def read(self, event_id: str) -> EventWaterfall | None:
        """None if nothing is known about the event. Raises Unavailable without PostgreSQL, and without Redis
        unless the tables have the event."""
        found = self._find_moved(event_id) or self._find_in_ingress(event_id)
        requested_at = requested_at_from_event_id(event_id)
        if requested_at is None or abs(time.time() - requested_at.timestamp()) > RECENT_SECONDS:
            return found
        for delay in RETRY_DELAYS_SECONDS:
            if found is not None:
                break
            time.sleep(delay)
            found = self._find_moved(event_id)
        return found

    def _find_moved(self, event_id: str) -> EventWaterfall | None:
        """None if no worker has seen the event."""
        (progress,) = self._event_traces.read_progress([event_id])
        if progress.steps:
            return _from_progress(progress)
        if stale_reads.is_response_stale():
            raise Unavailable("The traces cannot be read", "redis_unavailable")
        return None

    def _find_in_ingress(self, event_id: str) -> EventWaterfall | None:
        try:
            event = self._in_flight_events.find_in_ingress(event_id)
        except Poisoned:
            return None  # the bridge will dead-letter it
        return None if event is None else _from_ingress(event)


def _from_progress(progress: EventProgress) -> EventWaterfall:
    steps = {
        name: RecordedStep(step["at"], str(step.get("outcome") or ""))
        for name, step in progress.step_by_name.items()
    }
    details: dict[str, Any] = {}
    for step in progress.steps:
        details |= {name: step[name] for name in ("actor", "type", "object") if step.get(name)}
    return EventWaterfall(
        progress.event_id,
        details.get("actor"),
        details.get("type"),
        details.get("object"),
        build_waterfall(steps, requested_at_from_event_id(progress.event_id), progress.due_at),
    )


def _from_ingress(event: Event) -> EventWaterfall:
    steps = {"accepted": RecordedStep(occurred_at_from_seq(event.seq))}
    return EventWaterfall(
        event.event_id,
        event.actor_id,
        event.kind.value,
        event.group_object_id,
        build_waterfall(steps, requested_at_from_event_id(event.event_id), None),
    )
