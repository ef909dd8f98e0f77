"""Open windows as an operator sees them: whose, about what, how many wait, until when.

In    blueprints/operations.py
Out   Redis: windows:due and the windows it names. Looks; changes only when they are due.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from app.domain.windows import subject_of
from app.stores.redis import key, script, speaking
from app.stores.windows import DUE

PAGE = 1_000
CLOSING = "closing:"
Place = tuple[float, str]


@dataclass(frozen=True, slots=True)
class OpenWindow:
    name: str
    recipient_id: str
    kind: str
    object_id: str
    waiting: int
    """Events that its end will write and tell; those told at once are not among them."""
    due_ms: int

    @property
    def closing(self) -> bool:
        return self.name.startswith(CLOSING)

    @property
    def due_at(self) -> datetime:
        return datetime.fromtimestamp(self.due_ms / 1000, UTC)


class OpenWindows:
    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._due_now = script(connection, "due_now")

    def listed(self, limit: int, after: Place | None) -> list[OpenWindow]:
        """The next to fall due first."""
        first = after[0] if after else "-inf"
        found: list[OpenWindow] = []
        with speaking("list windows"):
            for start in range(0, 10 * PAGE, PAGE):
                rows: Any = self._redis.zrangebyscore(
                    DUE, first, "+inf", start=start, num=PAGE, withscores=True
                )
                pairs = [(float(score), str(name)) for name, score in rows]
                fresh = [pair for pair in pairs if after is None or pair > after]
                found += self._windows(fresh[: limit - len(found)])
                if len(rows) < PAGE or len(found) >= limit:
                    return found
        return found

    def waiting(self, most: int) -> int:
        """How many events all windows hold, counted in the windows themselves."""
        with speaking("count what waits"):
            names: Any = self._redis.zrange(DUE, 0, most - 1)
            return sum(self._counts(str(name) for name in names))

    def flush(self, now_ms: int | None = None) -> int:
        """Makes all open windows due; how many. The flusher closes them at its next step."""
        with speaking("make windows due"):
            now = int(time.time() * 1000) if now_ms is None else now_ms
            return int(self._due_now(keys=[DUE], args=[now]))

    def _windows(self, places: list[Place]) -> list[OpenWindow]:
        counts = self._counts(name for _, name in places)
        return [
            OpenWindow(name, *_subject(name), waiting, int(score))
            for (score, name), waiting in zip(places, counts, strict=True)
        ]

    def _counts(self, names: Iterable[str]) -> list[int]:
        pipeline = self._redis.pipeline(transaction=False)
        for name in names:
            pipeline.hget(name if name.startswith(CLOSING) else key("window", name), "~g")
        return [int(one or 0) for one in pipeline.execute()]


def _subject(name: str) -> tuple[str, str, str]:
    recipient, kind, subject = subject_of(name.removeprefix(CLOSING))
    return recipient, kind.value, subject
