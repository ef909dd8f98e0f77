"""Open windows for administrators: recipient, object, number of events, and when they are due.

Used by blueprints/admin/operations.py. Source: Redis windows:due and the windows it names. Reads only, except
that it can make windows due at once.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from app.aggregation.windows import DUE_INDEX_KEY
from app.clients.redis import redis_key, register_script, translate_errors
from app.domain.windows import parse_window_name

PAGE_SIZE = 1_000
CLAIMED_PREFIX = "closing:"
DueCursor = tuple[float, str]


@dataclass(frozen=True, slots=True)
class OpenWindow:
    name: str
    recipient_id: str
    kind: str
    object_id: str
    gathered_count: int
    """Events that will be written when it closes; those announced at once are not counted."""
    due_ms: int

    @property
    def is_claimed(self) -> bool:
        return self.name.startswith(CLAIMED_PREFIX)

    @property
    def due_at(self) -> datetime:
        return datetime.fromtimestamp(self.due_ms / 1000, UTC)


class OpenWindows:
    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._expire_now = register_script(connection, "operations/expire_now")

    def list_by_due(self, limit: int, after_entry: DueCursor | None) -> list[OpenWindow]:
        """Ordered by due time."""
        min_score = after_entry[0] if after_entry else "-inf"
        windows: list[OpenWindow] = []
        with translate_errors("list windows"):
            for start in range(0, 10 * PAGE_SIZE, PAGE_SIZE):
                rows: Any = self._redis.zrangebyscore(
                    DUE_INDEX_KEY, min_score, "+inf", start=start, num=PAGE_SIZE, withscores=True
                )
                entries = [(float(score), str(name)) for name, score in rows]
                new_pairs = [entry for entry in entries if after_entry is None or entry > after_entry]
                windows += self._read_windows(new_pairs[: limit - len(windows)])
                if len(rows) < PAGE_SIZE or len(windows) >= limit:
                    return windows
        return windows

    def count_gathered_events(self, max_windows: int) -> int:
        """Number of events in all windows."""
        with translate_errors("count gathered events"):
            names: Any = self._redis.zrange(DUE_INDEX_KEY, 0, max_windows - 1)
            return sum(self._read_gathered_counts(str(name) for name in names))

    def make_all_due(self, now_ms: int | None = None) -> int:
        """Makes all open windows due and returns their number. The flusher closes them in its next step."""
        with translate_errors("make windows due"):
            expire_at_ms = int(time.time() * 1000) if now_ms is None else now_ms
            return int(self._expire_now(keys=[DUE_INDEX_KEY], args=[expire_at_ms]))

    def _read_windows(self, due_entries: list[DueCursor]) -> list[OpenWindow]:
        counts = self._read_gathered_counts(name for _, name in due_entries)
        return [
            OpenWindow(name, *_parse_window_identity(name), gathered, int(score))
            for (score, name), gathered in zip(due_entries, counts, strict=True)
        ]

    def _read_gathered_counts(self, names: Iterable[str]) -> list[int]:
        pipeline = self._redis.pipeline(transaction=False)
        for name in names:
            pipeline.hget(name if name.startswith(CLAIMED_PREFIX) else redis_key("window", name), "~gathered")
        return [int(count or 0) for count in pipeline.execute()]


def _parse_window_identity(name: str) -> tuple[str, str, str]:
    recipient_id, kind, object_id = parse_window_name(name.removeprefix(CLAIMED_PREFIX))
    return recipient_id, kind.value, object_id
