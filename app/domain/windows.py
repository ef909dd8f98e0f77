"""The rules of windows: which events are announced at once, which wait for the end of their window, and until
when.

app/aggregation/lua/gather_events.lua decides about each event, in Redis and in one atomic step.
"""

from dataclasses import dataclass
from enum import StrEnum

from app.domain.backoff import jittered_delay
from app.domain.events import COMMENT_KINDS, Event, Kind


@dataclass(frozen=True, slots=True)
class AggregationRules:
    """The aggregation settings (docs/aggregation-rules.md)."""

    instant_likes: int = 3
    window_seconds: float = 120.0
    jitter_seconds: float = 30.0
    group_max_hours: float = 12.0
    flush_max_rows: int = 10_000


class WindowDecision(StrEnum):
    """The result of offering an event to its window."""

    INSTANT = "instant"
    GATHERED = "gathered"
    DUPLICATE = "duplicate"


_KINDS_WITH_INSTANT_QUOTA = frozenset({Kind.LIKE, Kind.POST_SHARE, Kind.STORY_VIEW})


def instant_announcement_quota(kind: Kind, rules: AggregationRules) -> int | None:
    """How many distinct actors of a window are announced at once; None for kinds without windows."""
    if kind in _KINDS_WITH_INSTANT_QUOTA:
        return rules.instant_likes
    if kind in COMMENT_KINDS:
        return 0
    return None


def window_name(event: Event) -> str:
    """The name of the window that gathers the event."""
    return window_name_of_group(event.recipient_id, event.kind, event.group_object_id)


def window_name_of_group(recipient_id: str, kind: Kind, object_id: str) -> str:
    """One window per recipient, kind and object; parse_window_name() is the inverse."""
    return f"{recipient_id}:{kind.value}:{object_id}"


def parse_window_name(window: str) -> tuple[str, Kind, str]:
    """Recipient id, kind and object id of a window name."""
    recipient_id, kind, object_id = window.split(":")[:3]
    return recipient_id, Kind(kind), object_id


def new_window_due_at_ms(now_ms: int, rules: AggregationRules, random_unit: float) -> int:
    """When a window that opens now is due; jitter spreads the due times of many windows."""
    return now_ms + int(1000 * jittered_delay(rules.window_seconds, rules.jitter_seconds, random_unit))
