"""Which live counts a web process may emit now, as a pure class with the time as an argument.

A watched post is emitted to its watchers at most once per WATCHED_INTERVAL_SECONDS. Sockets that never said
what they watch share one budget: one update of any post per UNFILTERED_INTERVAL_SECONDS, the post that waits
longest first. A post that changes while it waits stays in its place with the newest change, so the last one
is always emitted. The counts themselves are read when they are emitted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

WATCHED_INTERVAL_SECONDS = 0.5
UNFILTERED_INTERVAL_SECONDS = 0.1
MAX_UNFILTERED_POSTS = 10_000
"""Posts that wait for the shared budget. Beyond it the longest waiting is dropped until it changes again."""
MAX_POSTS_PER_TURN = 500
"""Watched posts whose counts are read at once; the others are due in the next turn."""


@dataclass(frozen=True, slots=True)
class PostChange:
    """The event that changed the counts of a post last."""

    event_id: str
    actor_id: str | None


@dataclass(frozen=True, slots=True)
class DueUpdates:
    """Changes by post id: for the watchers of each post, and at most one for sockets without a list."""

    watched: Mapping[str, PostChange]
    unfiltered: Mapping[str, PostChange]


@dataclass(slots=True)
class PostUpdateThrottle:
    merged_count: int = 0
    """Changes that were replaced by a newer one before they were emitted."""
    dropped_count: int = 0
    _watched: dict[str, PostChange] = field(default_factory=dict)
    _unfiltered: dict[str, PostChange] = field(default_factory=dict)
    _emitted_at: dict[str, float] = field(default_factory=dict)
    """Of watched posts, oldest first, for WATCHED_INTERVAL_SECONDS."""
    _next_unfiltered_at: float = 0.0

    @property
    def has_pending(self) -> bool:
        return bool(self._watched or self._unfiltered)

    def add_watched(self, post_id: str, change: PostChange) -> None:
        """The caller adds watched posts only, so their number bounds what is kept."""
        self.merged_count += post_id in self._watched
        self._watched[post_id] = change

    def add_unfiltered(self, post_id: str, change: PostChange) -> None:
        self.merged_count += post_id in self._unfiltered
        self._unfiltered[post_id] = change
        if len(self._unfiltered) > MAX_UNFILTERED_POSTS:
            del self._unfiltered[next(iter(self._unfiltered))]
            self.dropped_count += 1

    def discard_unfiltered(self) -> None:
        self._unfiltered.clear()

    def take_due(self, now: float) -> DueUpdates:
        """Removes and returns what may be emitted at this time, which counts as emitted."""
        self._forget_emissions_before(now - WATCHED_INTERVAL_SECONDS)
        due_ids = [post_id for post_id in self._watched if post_id not in self._emitted_at]
        watched = {post_id: self._watched.pop(post_id) for post_id in due_ids[:MAX_POSTS_PER_TURN]}
        self._emitted_at |= dict.fromkeys(watched, now)
        unfiltered: dict[str, PostChange] = {}
        if self._unfiltered and now >= self._next_unfiltered_at:
            post_id = next(iter(self._unfiltered))
            unfiltered = {post_id: self._unfiltered.pop(post_id)}
            self._next_unfiltered_at = now + UNFILTERED_INTERVAL_SECONDS
        return DueUpdates(watched, unfiltered)

    def restore(self, due: DueUpdates) -> None:
        """Returns changes that could not be emitted; a newer one of the same post replaces them."""
        self._watched = dict(due.watched) | self._watched
        self._unfiltered = dict(due.unfiltered) | self._unfiltered

    def was_emitted_since(self, post_id: str, since: float) -> bool:
        """For the last WATCHED_INTERVAL_SECONDS."""
        emitted_at = self._emitted_at.get(post_id)
        return emitted_at is not None and emitted_at >= since

    def _forget_emissions_before(self, earliest: float) -> None:
        expired_count = 0
        for emitted_at in self._emitted_at.values():
            if emitted_at > earliest:
                break
            expired_count += 1
        for post_id in list(islice(self._emitted_at, expired_count)):
            del self._emitted_at[post_id]
