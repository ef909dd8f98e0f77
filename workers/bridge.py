"""STOP 4. Bridge: moves events from the ingress streams into Kafka.

In    streams/ingress.py, group "bridge", one holder per shard
Out   streams/publisher.py (Kafka, all replicas); streams/fallback.py while Kafka is away
Next  workers/aggregator.py

Order within a shard is kept by one rule: while a shard has rows in the fallback queue, newer events
queue up behind them, and the oldest go to Kafka first.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.domain.errors import Poisoned, Unavailable
from app.domain.events import Event, from_fields
from app.failpoints import reach
from app.streams.dead_letters import DeadLetters, Letter
from app.streams.fallback import FallbackQueue
from app.streams.ingress import Entry, Ingress
from app.streams.kafka import Record
from app.streams.publisher import Publishes, record_of
from app.streams.wire import dumps

log = logging.getLogger(__name__)
BATCH = 500
WAIT_SECONDS = 0.5
RENEW_SECONDS = 1.0


@dataclass(slots=True)
class Shard:
    """What a holder knows of a shard it holds."""

    last_id: str = "0-0"
    pending: bool = True
    """Entries were read and not acknowledged, by us or by a holder before us: those come first."""
    spilling: bool = True
    """The fallback queue has rows of this shard, or had when we last looked."""


class Bridge:
    def __init__(
        self,
        ingress: Ingress,
        publisher: Publishes,
        fallback: FallbackQueue,
        dead_letters: DeadLetters,
        new_token: Callable[[], str],
    ) -> None:
        self._ingress = ingress
        self._publisher = publisher
        self._fallback = fallback
        self._dead_letters = dead_letters
        self._token = new_token()
        self._held: dict[int, Shard] = {}
        self._renew_at = 0.0

    def prepare(self) -> None:
        for shard in self._ingress.shards:
            self._ingress.create(shard)

    def step(self) -> int:
        """One batch of every held shard; waits for news when there was none."""
        self._hold()
        moved = sum(self._drain(number, shard) for number, shard in self._held.items())
        batches = self._read()
        if batches:
            reach("bridge.read")
            moved += self._move(batches)
        elif not moved and self._held:
            after = {number: shard.last_id for number, shard in self._held.items()}
            self._ingress.wait(after, WAIT_SECONDS)
        return moved

    def release(self) -> None:
        """On stopping: what is pending stays so, and the next holder begins with it."""
        for number in list(self._held):
            self._ingress.release(number, self._token)

    def _hold(self) -> None:
        """Keeps our leases, takes free ones. A new shard begins with what is pending."""
        if time.monotonic() < self._renew_at:
            return
        for number in self._ingress.shards:
            held = self._ingress.hold(number, self._token)
            if held is None:
                self._held.pop(number, None)
            elif not held or number not in self._held:
                self._held[number] = Shard()
        self._renew_at = time.monotonic() + RENEW_SECONDS

    def _read(self) -> dict[int, list[Entry]]:
        behind = [number for number, shard in self._held.items() if shard.pending]
        if behind:
            batches = self._ingress.read(behind, BATCH, pending=True)
            for number in behind:
                self._held[number].pending = number in batches
            if batches:
                return batches
        fresh = list(self._held)
        try:
            return self._ingress.read(fresh, BATCH, pending=False) if fresh else {}
        except Unavailable:
            # The answer may have been lost after Redis gave the entries to us: they are pending
            # now.
            for shard in self._held.values():
                shard.pending = True
            self._recreate()
            raise

    def _recreate(self) -> None:
        for number in self._held:
            self._ingress.create(number)

    def _move(self, batches: dict[int, list[Entry]]) -> int:
        events = {number: self._parse(number, entries) for number, entries in batches.items()}
        for number in events:
            self._held[number].pending = True  # until it is acknowledged
        straight = {n: one for n, one in events.items() if not self._held[n].spilling}
        try:
            self._publisher.publish([record_of(e) for one in straight.values() for e in one])
            reach("bridge.published")
        except Unavailable as fault:
            log.warning("Kafka is away (%s): events go to the fallback queue", fault)
            for number in straight:
                self._held[number].spilling = True
        for number, one in events.items():
            if self._held[number].spilling and one:
                self._enqueue(number, one)
        return sum(self._acknowledge(number, entries) for number, entries in batches.items())

    def _enqueue(self, number: int, events: Sequence[Event]) -> None:
        rows: list[tuple[str, int, Record]] = [
            (event.event_id, event.seq, record_of(event)) for event in events
        ]
        self._fallback.enqueue(number, rows)
        reach("bridge.enqueued")

    def _acknowledge(self, number: int, entries: Sequence[Entry]) -> int:
        """Last of all: a crash before this line repeats, never loses."""
        if not self._ingress.acknowledge(number, self._token, entries):
            log.warning("Shard %d has another holder by now", number)
            self._held.pop(number, None)
            return 0
        reach("bridge.acknowledged")
        shard = self._held[number]
        shard.last_id = entries[-1].stream_id
        # A full page of old ones may have a next page; a short one was the last.
        shard.pending = len(entries) >= BATCH
        return len(entries)

    def _drain(self, number: int, shard: Shard) -> int:
        """The oldest of the fallback queue, before anything newer of this shard."""
        if not shard.spilling:
            return 0
        rows = self._fallback.backlog(number, BATCH)
        if not rows:
            shard.spilling = False
            return 0
        try:
            self._publisher.publish([record for _, record in rows])
        except Unavailable as fault:
            log.debug("The backlog of shard %d waits: %s", number, fault)
            return 0
        self._fallback.done([place for place, _ in rows])
        return len(rows)

    def _parse(self, number: int, entries: Sequence[Entry]) -> list[Event]:
        events = []
        for entry in entries:
            try:
                if entry.fields is None:
                    raise Poisoned("the entry was deleted while it was pending")
                events.append(from_fields(entry.stream_id, entry.fields))
            except Poisoned as reason:
                payload = None if entry.fields is None else dumps(entry.fields)
                self._dead_letters.put(
                    Letter(f"ingress:{number}", entry.stream_id, str(reason), payload)
                )
        return events
