"""The sources of time and of ids that classes receive as an argument, so that tests control them."""

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.events import SEQ_PER_MS


@dataclass(frozen=True, slots=True)
class TimeAndIdSource:
    now: Callable[[], float]
    """Unix seconds."""
    new_id: Callable[[], str]
    """A new UUIDv7."""

    def now_seq(self) -> int:
        """The seq of an event accepted now, in the form of those from the ingress stream."""
        return int(self.now() * 1000) * SEQ_PER_MS
