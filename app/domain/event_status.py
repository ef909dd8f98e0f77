"""Derives the status of an event from its recorded steps (app/operations/trace.py).

The event tester and the dashboard's demo show it.
"""

from collections.abc import Mapping
from enum import StrEnum

GATHERED_OUTCOME = "gathered"
BYPASSED_REDIS_OUTCOME = "bypassed_redis"
"""Of the step "queued" of an event that was written during a Redis failover: its row is a copy."""
DELIVERED_OUTCOMES = frozenset({"delivered", "merged"})
"""Outcomes with a row in the tables. After any other (muted, self, expired, ...) the event has ended."""


class EventStatus(StrEnum):
    """In the order of an event's path; `ended` means that it ended without a row in the tables."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    PUBLISHED = "published"
    WINDOWED = "windowed"
    WRITTEN = "written"
    ANNOUNCED = "announced"
    ENDED = "ended"


def status_from_step_outcomes(outcome_by_step: Mapping[str, str]) -> EventStatus:
    """From the outcome of each recorded step; empty for a step without an outcome."""
    if "emitted" in outcome_by_step:
        return EventStatus.ANNOUNCED
    if "written" in outcome_by_step or "closed" in outcome_by_step:
        return (
            _ended_status_or_none(outcome_by_step.get("closed") or outcome_by_step.get("aggregated", ""))
            or EventStatus.WRITTEN
        )
    if "aggregated" in outcome_by_step:
        is_windowed = outcome_by_step["aggregated"] == GATHERED_OUTCOME
        return (
            EventStatus.WINDOWED
            if is_windowed
            else (_ended_status_or_none(outcome_by_step["aggregated"]) or EventStatus.WRITTEN)
        )
    if "published" in outcome_by_step or "sent from the queue" in outcome_by_step:
        return EventStatus.PUBLISHED
    return (
        EventStatus.QUEUED if {"sent_to_fallback", "queued"} & set(outcome_by_step) else EventStatus.ACCEPTED
    )


def _ended_status_or_none(outcome: str) -> EventStatus | None:
    """None while the outcome is unknown, or when it leads to a row in the tables."""
    return None if outcome in DELIVERED_OUTCOMES or outcome in ("", GATHERED_OUTCOME) else EventStatus.ENDED
