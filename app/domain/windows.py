"""Windows: which events are told at once, and which wait for the end of their window.

The counting itself happens in one atomic step in Redis (stores/scripts/gather.lua); what it counts
up to, and when a window falls due, is decided here. `Window` is the same rule as plain Python:
tests hold the script to it.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from app.domain.events import COMMENT_KINDS, Event, Kind
from app.domain.pacing import jittered


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of aggregation that an operator may set (pipeline 3)."""

    instant_likes: int = 3
    window_seconds: float = 120.0
    jitter_seconds: float = 30.0
    group_max_hours: float = 12.0
    flush_max_rows: int = 10_000


class Verdict(StrEnum):
    """What became of an event that was offered to its window."""

    INSTANT = "instant"
    GATHERED = "gathered"
    SEEN = "seen"


_FIRST_FEW = frozenset({Kind.LIKE, Kind.POST_SHARE, Kind.STORY_VIEW})


def instant_places(kind: Kind, rules: Rules) -> int | None:
    """How many distinct actors of a window are told at once; None: the kind knows no windows."""
    if kind in _FIRST_FEW:
        return rules.instant_likes
    if kind in COMMENT_KINDS:
        return 0
    return None


def window_name(event: Event) -> str:
    """One window per recipient, kind and object; its parts can be read back with `subject_of`."""
    return f"{event.recipient_id}:{event.kind.value}:{event.group_object}"


def subject_of(name: str) -> tuple[str, Kind, str]:
    """Recipient, kind and object of a window's name."""
    recipient, kind, subject = name.split(":")[:3]
    return recipient, Kind(kind), subject


def due_ms(now_ms: int, rules: Rules, draw: float) -> int:
    """When a window that opens now falls due. Jitter spreads 5,000 windows over the whole band."""
    return now_ms + int(1000 * jittered(rules.window_seconds, rules.jitter_seconds, draw))


@dataclass
class Window:
    """The rule of gather.lua as plain Python: the model that its tests compare it with."""

    entries: dict[str, tuple[int, Verdict]] = field(default_factory=dict)

    def place(self, event: Event, places: int) -> Verdict:
        seq, told = self.entries.get(event.member, (0, None))
        if told is None and not event.active:
            return (
                Verdict.INSTANT
            )  # a withdrawal of something older: corrected at once, takes no place
        if event.seq <= seq:
            # An instant one may have been cut off between this step and the tables: tell it again,
            # the tables know it by its seq.
            repeat = told is Verdict.INSTANT and event.seq == seq
            return Verdict.INSTANT if repeat else Verdict.SEEN
        if told is None:
            told = Verdict.INSTANT if len(self.entries) < places else Verdict.GATHERED
        self.entries[event.member] = (event.seq, told)
        return told
