"""STOP 5. Aggregator: an event is told at once, or gathered into its window.

In    the three lanes, one consumer group and one greenlet each
Out   stores/ledger.py (at once), stores/windows.py (gathered)
Next  workers/flusher.py

The offset it commits is the low watermark: everything below it is in PostgreSQL. A crash reads at
most one window's worth again, which changes nothing; if Redis lost its windows, the same reading
rebuilds them. While Redis is away everything is told at once, and what could be committed is kept
in mind until it is back: only Redis knows what its windows hold, and which comments and follows it
still lists as pending.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.domain.errors import Poisoned, Unavailable
from app.domain.events import Event, parse
from app.domain.ledger import Ring
from app.domain.windows import Rules, Verdict, due_ms, instant_places
from app.failpoints import reach
from app.stores.comments import Comments
from app.stores.figures import Note, Passing, unnoted
from app.stores.ledger import Batch, Entry, Ledger
from app.stores.pending_follows import PendingFollows
from app.stores.windows import Offered, Windows, WindowsLost
from app.streams.dead_letters import DeadLetters, Letter
from app.streams.kafka import Polled, Subscriber, by_place
from app.streams.post_updates import PostUpdates
from workers.settling import Written, after_writing, outcomes, passings

log = logging.getLogger(__name__)
BATCH = 500
POLL_SECONDS = 0.5
CATCH_UP_SECONDS = 1.0
NO_WINDOW = 2**31
"""Places for kinds that know no windows: all of them."""


@dataclass(frozen=True, slots=True)
class Hand:
    """Time, chance and ids, handed in."""

    now: Callable[[], float]
    draw: Callable[[], float]
    new_id: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Ends:
    """Where an aggregator's events go."""

    windows: Windows
    ledger: Ledger
    dead_letters: DeadLetters
    posts: PostUpdates
    comments: Comments
    follows: PendingFollows
    note: Note = unnoted


class Aggregator:
    """One lane."""

    def __init__(self, subscriber: Subscriber, ends: Ends, rules: Rules, hand: Hand) -> None:
        self._subscriber = subscriber
        self._ends = ends
        self._rules = rules
        self._hand = hand
        self._epoch: str | None = None
        self._waiting: dict[tuple[str, int], list[Polled]] = {}
        self._behind: dict[tuple[str, int], int] = {}
        self._catch_up_at = 0.0
        self._written = Written()
        self._windowless = False
        """Redis did not answer in this step."""

    def step(self) -> int:
        """One poll. What could not be settled is kept and tried again before anything newer."""
        if not self._waiting:
            self._waiting = by_place(self._subscriber.poll(POLL_SECONDS, BATCH))
            if self._waiting:
                reach("aggregator.polled")
        moved = 0
        try:
            if self._waiting:
                self._move(self._waiting)
                moved = sum(len(records) for records in self._waiting.values())
                self._waiting = {}
            self._catch_up()
        except WindowsLost:
            self._rewind()
        self._ends.posts.emit_due()
        return moved

    def _rewind(self) -> None:
        log.warning("Redis lost the windows: reading again from the committed offsets")
        self._epoch = None
        self._waiting = {}
        self._behind = {}
        self._subscriber.rewind()

    def _catch_up(self) -> None:
        """Tells Kafka what the flusher has settled since: in a quiet lane no newer event does. It
        is also how a quiet lane notices that Redis lost its windows."""
        now = self._hand.now()
        if not self._behind or now < self._catch_up_at:
            return
        self._catch_up_at = now + CATCH_UP_SECONDS
        self._commit_or_wait(dict(self._behind))

    def _commit_or_wait(self, lasts: Mapping[tuple[str, int], int]) -> None:
        try:
            self._commit(lasts)
        except Unavailable as fault:
            log.warning("Offsets wait for Redis: %s", fault)
            self._behind |= lasts

    def _commit(self, lasts: Mapping[tuple[str, int], int]) -> None:
        """Up to the first event that a window still holds; all up to the last ones took effect."""
        self._written.forget(self._ends.comments, self._ends.follows)
        epoch = self._known_epoch()
        commits = {
            place: self._ends.windows.applied(epoch, f"{place[0]}:{place[1]}", last)
            for place, last in lasts.items()
        }
        reach("aggregator.applied")
        taken = self._subscriber.commit(commits)
        for place, last in lasts.items():
            if taken and commits[place] > last:
                self._behind.pop(place, None)
            else:
                self._behind[place] = last

    def _move(self, batches: Mapping[tuple[str, int], Sequence[Polled]]) -> None:
        """One transaction for all partitions of the poll."""
        events: list[tuple[int, Event]] = []
        verdicts: list[Verdict] = []
        self._windowless = False
        for records in batches.values():
            parsed = self._parse(records)
            verdicts += self._gather(records[0].place, parsed)
            events += parsed
        reach("aggregator.gathered")
        told = [
            # One that names its recipient may be no matter for its window: that is decided now.
            Entry(event, Ring.AT_ONCE if verdict is Verdict.INSTANT else Ring.LATER)
            for (_, event), verdict in zip(events, verdicts, strict=True)
            if verdict is Verdict.INSTANT or event.names_recipient
        ]
        settled = self._ends.ledger.write(Batch(tuple(told)))
        reach("aggregator.written")
        self._written.note(one.event for one in told)
        after_writing(settled, self._ends.dead_letters)
        self._commit_or_wait({place: records[-1].offset for place, records in batches.items()})
        became = outcomes(events, verdicts, settled)
        self._say(batches, became, passings(events, became, settled))
        self._ends.posts.note(event for _, event in events)

    def _say(
        self,
        batches: Mapping[tuple[str, int], Sequence[Polled]],
        became: Sequence[str],
        traced: Mapping[str, str],
    ) -> None:
        """The figures of this stage, and the steps of these events' traces."""
        read = sum(len(records) for records in batches.values())
        self._ends.note(
            Passing(
                "aggregator",
                outcomes=Counter(became) + Counter(failed=read - len(became)),
                places={
                    records[0].place: (records[-1].offset, len(records))
                    for records in batches.values()
                },
                step="aggregated",
                events=traced,
            )
        )

    def _gather(self, partition: str, events: Sequence[tuple[int, Event]]) -> list[Verdict]:
        if not events:
            return []
        offered = [self._offer(offset, event) for offset, event in events]
        rows = self._rules.flush_max_rows
        try:
            if not self._windowless:
                return self._ends.windows.gather(self._known_epoch(), partition, rows, offered)
        except Unavailable as fault:
            log.warning("No windows: everything is told at once: %s", fault)
            self._windowless = True
        # Should the call have had its effect all the same, its windows find all of it told.
        return [Verdict.INSTANT] * len(events)

    def _offer(self, offset: int, event: Event) -> Offered:
        places = None if event.direct else instant_places(event.kind, self._rules)
        now_ms = int(self._hand.now() * 1000)
        due = due_ms(now_ms, self._rules, self._hand.draw())
        return Offered(event, offset, NO_WINDOW if places is None else places, due, places is None)

    def _known_epoch(self) -> str:
        if self._epoch is None:
            self._epoch = self._ends.windows.epoch(self._hand.new_id())
        return self._epoch

    def _parse(self, records: Sequence[Polled]) -> list[tuple[int, Event]]:
        events = []
        for record in records:
            try:
                events.append((record.offset, parse(record.value)))
            except Poisoned as reason:
                self._ends.dead_letters.put(
                    Letter(
                        record.topic,
                        f"{record.partition}:{record.offset}",
                        str(reason),
                        record.value,
                    )
                )
        return events
