"""The sources of time and of ids that classes receive as an argument, so that tests control them."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    now: Callable[[], float]
    """Unix seconds."""
    new_id: Callable[[], str]
    """A new UUIDv7."""
