"""How far an event has come, in one word: from the steps that were noted of it.

In    stores/progress.py
Out   what the post tester and the dashboard's demo show of their events
"""

from collections.abc import Mapping
from enum import StrEnum

GATHERED = "gathered"
TOLD = frozenset({"delivered", "merged"})
"""Outcomes after which a row is there. Any other one is an end: muted, self, expired, ..."""


class Stand(StrEnum):
    """In the order in which an event meets them; `ended` is an end before the tables."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    PUBLISHED = "published"
    HELD = "held"
    WRITTEN = "written"
    ANNOUNCED = "announced"
    ENDED = "ended"


def stand(steps: Mapping[str, str]) -> Stand:
    """`steps` are the names noted, with the outcome where a step has one."""
    if "emitted" in steps:
        return Stand.ANNOUNCED
    if "written" in steps or "closed" in steps:
        return _ended(steps.get("closed") or steps.get("aggregated", "")) or Stand.WRITTEN
    if "aggregated" in steps:
        held = steps["aggregated"] == GATHERED
        return Stand.HELD if held else (_ended(steps["aggregated"]) or Stand.WRITTEN)
    if "published" in steps or "sent from the queue" in steps:
        return Stand.PUBLISHED
    return Stand.QUEUED if {"spilled", "queued"} & set(steps) else Stand.ACCEPTED


def _ended(outcome: str) -> Stand | None:
    """None while the outcome is unknown, or one that leads into the tables."""
    return None if outcome in TOLD or outcome in ("", GATHERED) else Stand.ENDED
