"""Open windows and their due index, in Redis.

In: events of workers/aggregator.py (gather, mark_applied). Out: due windows for workers/flusher.py
(claim_due, settle).

A window has no time to live: it is removed by settling it, after its rows are in the tables. Kafka's
committed offset never passes the first event of an open window, so after a loss of Redis the windows
are rebuilt by reading Kafka again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from app.clients.gevent_setup import iterate_cooperatively
from app.clients.redis import redis_key, register_script, translate_errors
from app.domain.event_codec import event_from_windowed_json, windowed_json
from app.domain.events import Event, Kind
from app.domain.windows import WindowDecision, parse_window_name, window_name

EPOCH_KEY = "windows:epoch"
APPLIED_KEY = "windows:applied"
DUE_INDEX_KEY = "windows:due"
CLAIMED_PREFIX = "closing:"
FLUSH_PAGE_SIZE = 500
"""Windows per script call: Redis serves no other client while a script runs."""
CLAIM_LEASE_MS = 6_000
"""Lets the windows of a killed flusher close within ten seconds. A batch takes less than two seconds
(measured: 10,000 events in 1.6 s). If one takes longer, a second flusher repeats its work, and the
tables announce it once."""


@dataclass(frozen=True, slots=True)
class OfferedEvent:
    """An event offered to its window, with the number of members that are announced at once, and when
    the window would be due."""

    event: Event
    offset: int
    instant_quota: int
    due_ms: int
    is_unwindowed: bool = False
    """The kind has no windows: the event is announced at once, unless it was applied before."""


@dataclass(frozen=True, slots=True)
class ClaimedWindow:
    """A claimed window with its gathered events. An early flush only writes rows and announces nothing."""

    name: str
    recipient_id: str
    kind: Kind
    object_id: str
    events: tuple[Event, ...]
    is_early_flush: bool


class WindowStateLost(Exception):
    """Redis was emptied: seek to the committed offsets and gather again."""


class WindowStore:
    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._gather_script = register_script(connection, "aggregation/gather_events")
        self._advance_watermark = register_script(connection, "aggregation/advance_watermark")
        self._claim_script = register_script(connection, "aggregation/claim_windows")
        self._settle_script = register_script(connection, "aggregation/settle_windows")
        self._flush_open = register_script(connection, "aggregation/flush_open")

    def get_or_set_epoch(self, new_epoch: str) -> str:
        """Returns the epoch of the windows in Redis, after setting `new_epoch` if there is none."""
        with translate_errors("read the epoch of the windows"):
            self._redis.set(EPOCH_KEY, new_epoch, nx=True)
            return str(self._redis.get(EPOCH_KEY))

    def gather_events(
        self, epoch: str, partition: str, max_rows: int, offers: Sequence[OfferedEvent]
    ) -> list[WindowDecision]:
        """One decision per event, in one atomic step. May be repeated. Raises WindowStateLost."""
        args: list[str | int] = [epoch, partition, max_rows]
        for offer in offers:
            event = offer.event
            args += [
                "" if offer.is_unwindowed else window_name(event),
                event.window_entry_key,
                event.seq,
                "1" if event.active else "0",
                offer.offset,
                offer.instant_quota,
                offer.due_ms,
                "" if offer.is_unwindowed else windowed_json(event),
            ]
        with translate_errors("gather events"):
            decisions = self._gather_script(
                keys=[EPOCH_KEY, APPLIED_KEY, DUE_INDEX_KEY, _min_offset_key(partition)], args=args
            )
        if decisions == ["epoch_changed"]:
            raise WindowStateLost
        return [WindowDecision(decision) for decision in decisions]

    def mark_applied_and_get_commit_offset(self, epoch: str, partition: str, offset: int) -> int:
        """Records that all events up to `offset` took effect, and returns the offset to commit."""
        with translate_errors("record an offset"):
            keys = [EPOCH_KEY, APPLIED_KEY, _min_offset_key(partition)]
            commit_offset = int(self._advance_watermark(keys=keys, args=[epoch, partition, offset]))
        if commit_offset < 0:
            raise WindowStateLost
        return commit_offset

    def claim_due_windows(self, now_ms: int, max_windows: int, max_rows: int) -> list[ClaimedWindow]:
        """Claims due windows for CLAIM_LEASE_MS, oldest first."""
        with translate_errors("claim windows"):
            args = [now_ms, CLAIM_LEASE_MS, max_windows, max_rows]
            claimed: Any = self._claim_script(keys=[DUE_INDEX_KEY], args=args)
        return [_parse_claimed_window(*window) for window in claimed]

    def settle_windows(
        self, claimed_windows: Sequence[ClaimedWindow], outcomes: Mapping[str, int] | None = None
    ) -> None:
        """Deletes windows whose rows and announcement are in the tables, and counts the outcomes of
        their events."""
        if claimed_windows:
            with translate_errors("settle windows"):
                outcome_counts = [
                    item for outcome_and_count in (outcomes or {}).items() for item in outcome_and_count
                ]
                self._settle_script(
                    keys=[DUE_INDEX_KEY, *[window.name for window in claimed_windows]],
                    args=outcome_counts,
                )

    def make_open_windows_due(self) -> list[str]:
        """Makes the rows of all open windows due now; their announcements keep their time.

        Returns the names that must be settled for that: the flushed parts, and the windows claimed
        already. Those become due at once, because a claim whose reply was lost would keep its windows
        for the whole lease."""
        with translate_errors("flush open windows"):
            due_names: Any = self._redis.zrange(DUE_INDEX_KEY, 0, -1)
            # Read twice: a window that closes in between is a claimed one at the second read.
            open_names = [str(name) for name in due_names if not str(name).startswith(CLAIMED_PREFIX)]
            flushed_names: list[str] = []
            for start in range(0, len(open_names), FLUSH_PAGE_SIZE):
                flushed_names += self._flush_open(
                    keys=[DUE_INDEX_KEY], args=open_names[start : start + FLUSH_PAGE_SIZE]
                )
            due_names = self._redis.zrange(DUE_INDEX_KEY, 0, -1)
            claimed = [str(name) for name in due_names if str(name).startswith(CLAIMED_PREFIX)]
            if claimed:
                self._redis.zadd(DUE_INDEX_KEY, dict.fromkeys(claimed, 0), xx=True)
        return list({*map(str, flushed_names), *claimed})

    def has_unsettled(self, names: Sequence[str]) -> bool:
        """Whether the rows of any of these windows are not written yet."""
        if not names:
            return False
        with translate_errors("read the due index"):
            for start in range(0, len(names), FLUSH_PAGE_SIZE):
                page = list(names[start : start + FLUSH_PAGE_SIZE])
                scores: Any = self._redis.zmscore(DUE_INDEX_KEY, page)
                if any(score is not None for score in scores):
                    return True
        return False

    def get_applied_offsets(self) -> dict[str, int]:
        """Partition -> the highest offset whose effect is in windows or tables."""
        with translate_errors("read the applied offsets"):
            applied: Any = self._redis.hgetall(APPLIED_KEY)
        return {str(partition): int(offset) for partition, offset in applied.items()}


def _min_offset_key(partition: str) -> str:
    return redis_key("windows", "min_offset", partition)


def gathered_events(recipient_id: str, kind: Kind, hash_values: Iterable[str]) -> Iterator[Event]:
    """The gathered events of a window, given the values of its hash."""
    separator = f" {WindowDecision.GATHERED} "
    for value in iterate_cooperatively(hash_values):
        _, is_gathered, payload = value.partition(separator)
        if is_gathered:
            yield event_from_windowed_json(recipient_id, kind, payload)


def _parse_claimed_window(name: str, is_early_flush: int, hash_values: Sequence[str]) -> ClaimedWindow:
    recipient_id, kind, object_id = parse_window_name(name.removeprefix(CLAIMED_PREFIX))
    events = tuple(gathered_events(recipient_id, kind, hash_values))
    return ClaimedWindow(name, recipient_id, kind, object_id, events, bool(is_early_flush))
