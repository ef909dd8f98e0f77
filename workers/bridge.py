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
from app.domain.events import from_fields, seq_of_stream_id
from app.domain.routing import Topic
from app.failpoints import reach
from app.green import fairly
from app.stores.figures import Note, Passing, unnoted
from app.streams.dead_letters import DeadLetters, Letter
from app.streams.fallback import FallbackQueue, Waiting
from app.streams.ingress import Entry, Ingress
from app.streams.kafka import Record, Refused
from app.streams.publisher import Publishes, record_of
from app.streams.wire import dumps

log = logging.getLogger(__name__)
BATCH = 500
WAIT_SECONDS = 0.5
RENEW_SECONDS = 1.0
LOOK_SECONDS = 1.0
"""The end of a failover waits for what the web processes put into the fallback queue."""
Queued = tuple[str, int, Record]
"""Event id, seq and record."""


@dataclass(slots=True)
class Shard:
    """What a holder knows of a shard it holds."""

    last_id: str = "0-0"
    pending: bool = True
    """Entries were read and not acknowledged, by us or by a holder before us: those come first."""
    spilling: bool = True
    """The fallback queue has rows of this shard, or had when we last looked."""
    look_at: float = 0.0
    """When to look there again: a holder that woke too late may have put something aside."""


class Bridge:
    def __init__(
        self,
        ingress: Ingress,
        publisher: Publishes,
        fallback: FallbackQueue,
        dead_letters: DeadLetters,
        new_token: Callable[[], str],
        note: Note = unnoted,
    ) -> None:
        self._note = note
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
        try:
            self._hold()
        except Unavailable:
            self._drain_unleased()
            raise
        moved = sum(self._drain(number, shard) for number, shard in self._held.items())
        batches = self._read()
        if batches:
            reach("bridge.read")
            moved += self._move(batches)
        elif not moved and self._held:
            after = {number: shard.last_id for number, shard in self._held.items()}
            self._ingress.wait(after, WAIT_SECONDS)
        return moved

    def _drain_unleased(self) -> None:
        """Redis is away, and with it all leases; what waits in the queue need not wait as well. Two
        bridges may publish the same row, which every reader knows by its seq."""
        for number in self._ingress.shards:
            self._drain(number, self._held.get(number, Shard()))

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
        try:
            return self._read_pending() or self._read_fresh()
        except Unavailable:
            # The answer may have been lost after Redis gave the entries to us: they are pending
            # now.
            for shard in self._held.values():
                shard.pending = True
            self._recreate()
            raise

    def _read_pending(self) -> dict[int, list[Entry]]:
        behind = [number for number, shard in self._held.items() if shard.pending]
        batches = self._ingress.read(behind, BATCH, pending=True) if behind else {}
        for number in behind:
            self._held[number].pending = number in batches
        return batches

    def _read_fresh(self) -> dict[int, list[Entry]]:
        fresh = list(self._held)
        return self._ingress.read(fresh, BATCH, pending=False) if fresh else {}

    def _recreate(self) -> None:
        for number in self._held:
            self._ingress.create(number)

    def _move(self, batches: dict[int, list[Entry]]) -> int:
        events = {number: self._parse(number, entries) for number, entries in batches.items()}
        for number in events:
            self._held[number].pending = True  # until it is acknowledged
        straight = {n: one for n, one in events.items() if not self._held[n].spilling}
        aside = {n: one for n, one in events.items() if n not in straight}
        aside |= self._publish(straight)
        for number, one in aside.items():
            if one:
                self._fallback.enqueue(number, one)
                reach("bridge.enqueued")
        return sum(
            self._acknowledge(n, entries, events[n], len(aside.get(n, ())))
            for n, entries in batches.items()
        )

    def _publish(self, straight: dict[int, list[Queued]]) -> dict[int, list[Queued]]:
        """What has to go to the fallback queue: nothing, all, or what Kafka refused for its own
        sake, whose refusals are counted there."""
        queued = [(number, one) for number, events in straight.items() for one in events]
        try:
            self._publisher.publish([record for _, (*_, record) in queued])
            reach("bridge.published")
            return {}
        except Unavailable as fault:
            log.warning("Kafka is away (%s): events go to the fallback queue", fault)
            left = straight
        except Refused as fault:
            left = {}
            for place in fault.reasons:
                number, one = queued[place]
                left.setdefault(number, []).append(one)
        for number in left:
            self._held[number].spilling = True
        return left

    def _acknowledge(
        self, number: int, entries: Sequence[Entry], events: Sequence[Queued], spilled: int
    ) -> int:
        """Last of all: a crash before this line repeats, never loses."""
        failed = sum(one.topic == Topic.DEAD_LETTER.value for *_, one in events)
        done = self._ingress.acknowledge(number, self._token, entries, spilled, failed)
        if done is None:
            log.warning("Shard %d has another holder by now", number)
            self._held.pop(number, None)
            return 0
        reach("bridge.acknowledged")
        shard = self._held[number]
        shard.last_id = entries[-1].stream_id
        shard.pending = done.left > 0
        step = "spilled" if spilled else "published"
        passed = {event_id: str(seq) for event_id, seq, _ in events}
        self._note(Passing("bridge", step=step, events=passed))
        return len(entries)

    def _drain(self, number: int, shard: Shard) -> int:
        """The oldest of the fallback queue, before anything newer of this shard."""
        if not shard.spilling and time.monotonic() < shard.look_at:
            return 0
        rows = self._backlog(number, shard)
        shard.spilling = bool(rows)
        shard.look_at = time.monotonic() + LOOK_SECONDS
        if not rows:
            return 0
        try:
            self._fallback.drain(rows, self._publisher)
        except Unavailable as fault:
            log.debug("The backlog of shard %d waits: %s", number, fault)
            return 0
        return len(rows)

    def _backlog(self, number: int, shard: Shard) -> list[Waiting]:
        try:
            return self._fallback.backlog(number, BATCH)
        except Unavailable:
            if shard.spilling:
                raise
            return []  # as far as we know nothing waits there: PostgreSQL may be away

    def _parse(self, number: int, entries: Sequence[Entry]) -> list[Queued]:
        """Poison goes the way of its neighbours, to a topic of its own: nobody waits for it."""
        events: list[Queued] = []
        for entry in fairly(entries):
            try:
                if entry.fields is None:
                    raise Poisoned("the entry was deleted while it was pending")
                event = from_fields(entry.stream_id, entry.fields)
                events.append((event.event_id, event.seq, record_of(event)))
            except Poisoned as reason:
                payload = None if entry.fields is None else dumps(entry.fields)
                letter = Letter(f"ingress:{number}", entry.stream_id, str(reason), payload)
                self._dead_letters.keep(letter)
                events.append((letter.id, seq_of_stream_id(entry.stream_id), letter.record()))
        return events
