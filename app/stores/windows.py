"""Open windows and their due index, in Redis.

In    workers/aggregator.py: gather, applied
Out   workers/flusher.py: claim_due, settle

A window has no time to live: it ends by being settled, after its rows are in the tables. Kafka's
committed offset never passes the first event of an open window, so a lost Redis is rebuilt by
reading again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import redis

from app.domain.events import Event, Kind, from_wire
from app.domain.routing import priority_of
from app.domain.windows import Verdict, subject_of, window_name
from app.green import fairly
from app.stores.redis import key, script, speaking

EPOCH = "windows:epoch"
APPLIED = "windows:applied"
DUE = "windows:due"
CLOSING = "closing:"
EARLY_PAGE = 500
"""Windows per script: nobody else is served meanwhile."""
LEASE_MS = 6_000
"""The windows of a killed flusher are closed within ten seconds. A batch takes less than two
(measured: 10,000 events in 1.6 s); where one takes longer, a second flusher repeats its work, and
the tables tell once."""


@dataclass(frozen=True, slots=True)
class Offered:
    """An event offered to its window, with the places that are told at once and when it would fall
    due.
    """

    event: Event
    offset: int
    places: int
    due_ms: int
    windowless: bool = False
    """Its kind knows no windows: told at once, unless it was applied before."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A claimed window: what waits in it, and whether its end is told now."""

    name: str
    recipient_id: str
    kind: Kind
    object_id: str
    events: tuple[Event, ...]
    early: bool


class WindowsLost(Exception):
    """Redis was emptied: rewind to the committed offsets and gather again."""


class Windows:
    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._gather = script(connection, "gather")
        self._applied = script(connection, "applied")
        self._claim = script(connection, "claim")
        self._settle = script(connection, "settle")
        self._early = script(connection, "early")

    def epoch(self, draft: str) -> str:
        """The epoch of what Redis holds; `draft` becomes it when there is none."""
        with speaking("tell the epoch of the windows"):
            self._redis.set(EPOCH, draft, nx=True)
            return str(self._redis.get(EPOCH))

    def gather(
        self, epoch: str, partition: str, max_rows: int, offered: Sequence[Offered]
    ) -> list[Verdict]:
        """One verdict per event, in one step. Repeats are harmless. Raises WindowsLost."""
        args: list[str | int] = [epoch, partition, max_rows]
        for one in offered:
            event = one.event
            args += [
                "" if one.windowless else window_name(event),
                event.member,
                event.seq,
                "1" if event.active else "0",
                one.offset,
                one.places,
                one.due_ms,
                "" if one.windowless else _payload(event),
            ]
        with speaking("gather events"):
            answer = self._gather(keys=[EPOCH, APPLIED, DUE, _held(partition)], args=args)
        if answer == ["lost"]:
            raise WindowsLost
        return [Verdict(word) for word in answer]

    def applied(self, epoch: str, partition: str, offset: int) -> int:
        """Notes that all up to `offset` took effect; the offset that Kafka may be told."""
        with speaking("note an offset"):
            keys = [EPOCH, APPLIED, _held(partition)]
            commit = int(self._applied(keys=keys, args=[epoch, partition, offset]))
        if commit < 0:
            raise WindowsLost
        return commit

    def claim_due(self, now_ms: int, most: int, max_rows: int) -> list[Closing]:
        """Due windows, oldest first, for LEASE_MS."""
        with speaking("claim windows"):
            args = [now_ms, LEASE_MS, most, max_rows]
            answer: Any = self._claim(keys=[DUE], args=args)
        return [_closing(name, entries) for name, entries in answer]

    def settle(
        self, closings: Sequence[Closing], outcomes: Mapping[str, int] | None = None
    ) -> None:
        """Forgets windows whose rows and announcement are in the tables, and counts what became of
        their events."""
        if closings:
            with speaking("settle windows"):
                counts = [part for pair in (outcomes or {}).items() for part in pair]
                self._settle(keys=[DUE, *[one.name for one in closings]], args=counts)

    def write_early(self) -> list[str]:
        """Has the rows of all open windows written now; their ends are told in their time. What
        must be settled for that: the pages this makes, and all that is claimed already. A claim
        whose answer was lost would keep its windows for the whole lease: they are due at once."""
        with speaking("write windows early"):
            due: Any = self._redis.zrange(DUE, 0, -1)
            # Looked at twice: what is closed in between is claimed by then.
            names = [str(name) for name in due if not str(name).startswith(CLOSING)]
            pages: list[str] = []
            for first in range(0, len(names), EARLY_PAGE):
                pages += self._early(keys=[DUE], args=names[first : first + EARLY_PAGE])
            due = self._redis.zrange(DUE, 0, -1)
            claimed = [str(name) for name in due if str(name).startswith(CLOSING)]
            if claimed:
                self._redis.zadd(DUE, dict.fromkeys(claimed, 0), xx=True)
        return list({*map(str, pages), *claimed})

    def unsettled(self, names: Sequence[str]) -> bool:
        """Whether any of these still waits for its rows."""
        if not names:
            return False
        with speaking("tell what is settled"):
            for first in range(0, len(names), EARLY_PAGE):
                page = list(names[first : first + EARLY_PAGE])
                scores: Any = self._redis.zmscore(DUE, page)
                if any(score is not None for score in scores):
                    return True
        return False

    def progress(self) -> dict[str, int]:
        """Partition -> the highest offset whose effect is in windows or tables."""
        with speaking("tell how far it is"):
            applied: Any = self._redis.hgetall(APPLIED)
        return {str(place): int(offset) for place, offset in applied.items()}

    def open(self, limit: int) -> list[tuple[str, int]]:
        """Windows by due time: (name, due in ms), the next to close first."""
        with speaking("list windows"):
            rows: Any = self._redis.zrange(DUE, 0, limit - 1, withscores=True)
        return [(str(row[0]), int(row[1])) for row in rows]

    def count(self) -> int:
        with speaking("count windows"):
            return int(self._redis.zcard(DUE))


def _held(partition: str) -> str:
    return key("windows", "held", partition)


def _payload(event: Event) -> str:
    """The event as it waits in a window: its wire form without what the window's name says."""
    wire = event.to_wire(priority_of(event.kind, event.follower))
    for name in ("id", "priority", "timestamp", "occurredAt", "traceparent"):
        del wire[name]
    return orjson.dumps(
        {name: value for name, value in wire.items() if value not in (None, {})}
    ).decode()


def _closing(name: str, flat: Sequence[str]) -> Closing:
    hash_ = dict(zip(flat[::2], flat[1::2], strict=True))
    recipient, kind, subject = subject_of(name.removeprefix("closing:"))
    events = [
        from_wire(orjson.loads(value.split(" ", 2)[2]))
        for member, value in fairly(hash_.items())
        if not member.startswith("~") and value.split(" ", 2)[1] == Verdict.GATHERED
    ]
    return Closing(name, recipient, kind, subject, tuple(events), "~early" in hash_)
