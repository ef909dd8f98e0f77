"""Open windows, as administrators and health checks see them: the object, the number of events, the due time.

Source: Redis windows:due and the windows it names. Reads only, except that it can make windows due at once.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from app.aggregation.windows import CLAIMED_PREFIX, DUE_INDEX_KEY, gathered_events
from app.clients.redis import redis_key, register_script, translate_errors
from app.domain.events import Event, Kind
from app.domain.grouping import GroupKey
from app.domain.windows import WindowDecision, parse_window_name, window_name_of_group
from app.persistence.pages import SortKey

PAGE_SIZE, MAX_PAGES = 1_000, 20


@dataclass(frozen=True, slots=True)
class OpenWindow:
    name: str
    recipient_id: str
    kind: str
    object_id: str
    gathered_count: int
    """Events that will be written when it closes; those announced at once are not counted."""
    due_ms: int
    """0: flushed early, and about to be removed."""

    @property
    def is_claimed(self) -> bool:
        return self.name.startswith(CLAIMED_PREFIX)

    @property
    def due_at(self) -> datetime:
        return datetime.fromtimestamp(self.due_ms / 1000, UTC)


@dataclass(frozen=True, slots=True)
class WindowFigures:
    open_count: int
    closing_count: int
    gathered_count: int
    """Events in all of them."""
    first_due_in_seconds: float | None
    """Negative: the first is overdue. None: there is none."""


class OpenWindows:
    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._expire_now = register_script(connection, "operations/expire_now")

    def list_by_due(self, limit: int, after_entry: SortKey | None = None) -> list[OpenWindow]:
        """Ordered by due time. `after_entry`: (due_ms, name)."""
        min_score = after_entry[0] if after_entry else "-inf"
        windows: list[OpenWindow] = []
        with translate_errors("list windows"):
            for start in range(0, MAX_PAGES * PAGE_SIZE, PAGE_SIZE):
                rows: Any = self._redis.zrangebyscore(
                    DUE_INDEX_KEY, min_score, "+inf", start=start, num=PAGE_SIZE, withscores=True
                )
                entries = [(float(score), str(name)) for name, score in rows]
                new_pairs = [entry for entry in entries if after_entry is None or entry > after_entry]
                windows += self._read_windows(new_pairs[: limit - len(windows)])
                if len(rows) < PAGE_SIZE or len(windows) >= limit:
                    return windows
        return windows

    def list_of_groups(self, groups: Sequence[GroupKey], actor_id: str | None = None) -> list[OpenWindow]:
        """The open windows of these groups; with `actor_id` those that gathered an event of this actor. A
        window has comments by their ids, so no window of comments is found by an actor. Raises
        Unavailable."""
        names = [window_name_of_group(group.recipient_id, group.kind, group.object_id) for group in groups]
        with translate_errors("find windows"):
            pipeline = self._redis.pipeline(transaction=False)
            for name in names:
                pipeline.zscore(DUE_INDEX_KEY, name)
                pipeline.hget(_window_key(name), actor_id or "~gathered")
            results = pipeline.execute()
            due_entries = [
                (due_ms, name)
                for name, due_ms, entry in zip(names, results[::2], results[1::2], strict=True)
                if due_ms
                and entry
                and (actor_id is None or entry.split(" ", 2)[1] == WindowDecision.GATHERED)
            ]
            windows = self._read_windows(due_entries)
        return [window for window in windows if window.gathered_count]

    def read_figures(self) -> WindowFigures:
        """Of the first MAX_PAGES * PAGE_SIZE windows to close. Raises Unavailable."""
        windows = self.list_by_due(MAX_PAGES * PAGE_SIZE)
        unflushed = [window for window in windows if window.due_ms]
        closing_count = sum(window.is_claimed for window in unflushed)
        return WindowFigures(
            len(unflushed) - closing_count,
            closing_count,
            sum(window.gathered_count for window in windows),
            unflushed[0].due_ms / 1000 - time.time() if unflushed else None,
        )

    def list_gathered_events(self, windows: Sequence[OpenWindow]) -> Iterator[tuple[OpenWindow, Event]]:
        """The events that each of the windows will write when it closes. Raises Unavailable."""
        with translate_errors("read windows"):
            pipeline = self._redis.pipeline(transaction=False)
            for window in windows:
                pipeline.hgetall(_window_key(window.name))
            stored_windows = pipeline.execute()
        for window, fields in zip(windows, stored_windows, strict=True):
            for event in gathered_events(window.recipient_id, Kind(window.kind), fields.values()):
                yield window, event

    def make_all_due(self, now_ms: int | None = None) -> int:
        """Makes all open windows due and returns their number. The flusher closes them in its next step."""
        with translate_errors("make windows due"):
            expire_at_ms = int(time.time() * 1000) if now_ms is None else now_ms
            return int(self._expire_now(keys=[DUE_INDEX_KEY], args=[expire_at_ms]))

    def make_due(self, names: Sequence[str]) -> None:
        """Makes these windows due, if they are still open. Claimed ones keep their lease."""
        now_ms = int(time.time() * 1000)
        open_names = [name for name in names if not name.startswith(CLAIMED_PREFIX)]
        with translate_errors("make windows due"):
            if open_names:
                self._redis.zadd(DUE_INDEX_KEY, dict.fromkeys(open_names, now_ms), xx=True, lt=True)

    def _read_windows(self, due_entries: Sequence[tuple[float, str]]) -> list[OpenWindow]:
        pipeline = self._redis.pipeline(transaction=False)
        for _, name in due_entries:
            pipeline.hget(_window_key(name), "~gathered")
        counts = pipeline.execute() if due_entries else []
        return [
            OpenWindow(name, *_parse_window_identity(name), int(gathered or 0), int(score))
            for (score, name), gathered in zip(due_entries, counts, strict=True)
        ]


def _window_key(name: str) -> str:
    return name if name.startswith(CLAIMED_PREFIX) else redis_key("window", name)


def _parse_window_identity(name: str) -> tuple[str, str, str]:
    recipient_id, kind, object_id = parse_window_name(name.removeprefix(CLAIMED_PREFIX))
    return recipient_id, kind.value, object_id
