"""STOP 7. The ledger: one transaction from events to rows, groups, counters and outbox.

In    workers/aggregator.py (what is told at once), workers/flusher.py (windows that close)
Out   PostgreSQL: likes, follows, comments, notifications, notification_actors, outbox
Next  streams/relay.py

Everything is derived from what the rows really changed, in the same transaction. So a repeated,
late or doubled batch changes nothing and tells nothing: exactly once needs no other mechanism.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, IntegrityError

from app.domain.causes import ways, withdrawals
from app.domain.events import COMMENT_KINDS, UNGROUPED_KINDS, Event, Kind
from app.domain.ledger import (
    Doing,
    Group,
    GroupKey,
    Plan,
    Ring,
    Terms,
    group_by_key,
    plan,
    plan_notice,
)
from app.domain.preferences import Filter, Reason
from app.green import fairly
from app.stores import fences, groups
from app.stores.amends import Amends
from app.stores.audience import Audience, audience
from app.stores.blocks import refused_follows
from app.stores.endings import Ending, log_endings
from app.stores.frames import Page, tell
from app.stores.one_cause import told_before
from app.stores.postgres import speaking
from app.stores.rows import ROW_KINDS, Written, write_rows
from app.stores.standing_comments import remaining
from app.stores.urgency import Urgent

_ENDS = frozenset({"self", "muted", "blocked", "preference", "expired"})
"""Outcomes of events that their recipient never hears of."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event and when it is told."""

    event: Event
    ring: Ring


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction takes in. `closes`: groups whose window ends with it."""

    entries: tuple[Entry, ...]
    closes: frozenset[GroupKey] = frozenset()


@dataclass(slots=True)
class Settled:
    """What became of each event, and how many frames were put into the outbox."""

    outcomes: dict[str, str] = field(default_factory=dict)
    refused: list[tuple[Event, str]] = field(default_factory=list)
    told_as: dict[str, Event] = field(default_factory=dict)
    """By event: the kind of notification that it became, where that is not its own."""
    frames: int = 0
    urgent: tuple[Urgent, ...] = ()
    expired: tuple[Event, ...] = ()
    """What was left out because its post or person is gone; of this transaction only."""


@dataclass(frozen=True, slots=True)
class Hand:
    """Time and ids, handed in."""

    now: Callable[[], float]
    new_id: Callable[[], str]


class Ledger:
    def __init__(
        self,
        engine: Engine,
        group_max_hours: float,
        hand: Hand,
        amends: Amends | None = None,
    ) -> None:
        self._engine = engine
        self._max_age = timedelta(hours=group_max_hours)
        self._hand = hand
        self._amends = amends

    def write(self, batch: Batch, again: bool = True) -> Settled:
        """Everything or nothing. Raises Unavailable when PostgreSQL is away.

        A batch that PostgreSQL refuses for its data is halved until the bad event stands alone; it
        is then in `refused`, and its neighbours are written.
        """
        if not batch.entries and not batch.closes:
            return Settled()
        try:
            with speaking("write the batch"), self._engine.begin() as sql:
                settled = self._write(sql, batch)
        except IntegrityError as fault:
            # A person or a post may have gone between our look and our write: look again.
            return self.write(batch, False) if again else self._halve(batch, fault)
        except (DataError, UnicodeEncodeError, ValueError) as fault:
            return self._halve(batch, fault)
        if self._amends:
            self._amends.make(settled.expired, [entry.event for entry in batch.entries])
        return settled

    def _halve(self, batch: Batch, fault: Exception) -> Settled:
        if not batch.entries:
            raise fault
        if len(batch.entries) == 1:
            event = batch.entries[0].event
            reason = f"refused by PostgreSQL: {type(fault).__name__}"
            with speaking("log a failure"), self._engine.begin() as sql:
                log_endings(sql, [Ending(event, "failed")])
            return Settled({event.event_id: "failed"}, [(event, reason)])
        middle = len(batch.entries) // 2
        first = self.write(Batch(batch.entries[:middle]))
        second = self.write(Batch(batch.entries[middle:], batch.closes))
        return Settled(
            first.outcomes | second.outcomes,
            first.refused + second.refused,
            first.told_as | second.told_as,
            first.frames + second.frames,
            first.urgent + second.urgent,
        )

    def _write(self, sql: Connection, batch: Batch) -> Settled:
        fence, settled = fences.shared(sql), Settled()
        late = [one.event for one in batch.entries if one.event.seq <= fence]
        batch = Batch(tuple(one for one in batch.entries if one.event.seq > fence), batch.closes)
        wanted = {entry.event.recipient_id for entry in batch.entries}
        wanted |= {key.recipient_id for key in batch.closes}
        present = groups.lock_recipients(sql, wanted)
        blocked = refused_follows(sql, [entry.event for entry in batch.entries])
        written = write_rows(sql, [_as_refused(e.event, blocked) for e in batch.entries])
        settled.expired = written.expired
        settled.outcomes = {entry.event.event_id: "merged" for entry in batch.entries}
        settled.outcomes |= {event.event_id: "expired" for event in written.expired}
        settled.outcomes |= {event.event_id: "retracted" for event in written.retracted}
        rings = {entry.event.event_id: entry.ring for entry in batch.entries}
        now = datetime.fromtimestamp(self._hand.now(), UTC)
        named = [e for e in written.changed if _is_named(e, rings[e.event_id])]
        who = audience(sql, written.changed, named, present, now)
        before = told_before(sql, written.changed)
        told = self._admit(written.changed, present, who, before, settled)
        closes = {key for key in batch.closes if key.recipient_id in present}
        plans = self._plans(sql, told, rings, closes)
        settled.outcomes |= {event.event_id: "expired" for event in late}
        settled.outcomes |= dict.fromkeys(blocked, Reason.BLOCKED.value)
        log_endings(
            sql, _endings([*late, *(e.event for e in batch.entries)], written, settled, plans)
        )
        said = tell(sql, Page(plans, {e.event_id: e for e in told}, who))
        settled.frames, settled.urgent = said.frames, said.urgent
        return settled

    def _admit(
        self,
        changed: Sequence[Event],
        present: set[str],
        who: Audience,
        before: Mapping[str, Kind],
        settled: Settled,
    ) -> list[Event]:
        """What the recipients are to know, each event in one way; of the others the reason why
        not. A withdrawal leaves every way. `before`: how events were told that come again."""
        told = []
        for event in changed:
            reason = _refusal(event, present, who)
            chosen: list[Event] = []
            if reason is None:
                chosen = _chosen(event, who, before.get(event.event_id))
                reason = None if chosen else Reason.PREFERENCE.value
            outcome = reason or ("delivered" if event.active else "retracted")
            settled.outcomes[event.event_id] = outcome
            if event.active and chosen and chosen[0].kind is not event.kind:
                settled.told_as[event.event_id] = chosen[0]
            told += chosen
        return told

    def _plans(
        self,
        sql: Connection,
        told: Sequence[Event],
        rings: dict[str, Ring],
        closes: set[GroupKey],
    ) -> dict[GroupKey, Plan]:
        doings: dict[GroupKey, list[Doing]] = {key: [] for key in closes}
        left = remaining(sql, told)
        for event in fairly(told):
            doing = _doing(event, _ring(event, rings), left)
            doings.setdefault(_key(event), []).append(doing)
        keys = group_by_key(doings)
        pairs = [(key, doing.actor_id) for key in keys for doing in doings[key] if doing.actor_id]
        known = groups.load(sql, keys, pairs)
        indebted = {g.id for one in known.values() for g in one.generations.values() if g.owed}
        plans = {key: self._plan(known[key], doings[key], key in closes) for key in keys}
        plans = {key: one for key, one in plans.items() if one.changed or one.touched}
        debts = [g for one in plans.values() for g in one.settles_debts if g in indebted]
        groups.write(sql, plans, debts)
        return plans

    def _plan(self, group: Group, doings: list[Doing], closes: bool) -> Plan:
        now = datetime.fromtimestamp(self._hand.now(), UTC)
        terms = Terms(now, self._max_age, self._hand.new_id())
        if group.key.kind in UNGROUPED_KINDS:
            return plan_notice(group, doings[0].event_id, terms)
        return plan(group, doings, closes, terms)


def _endings(
    events: Iterable[Event],
    written: Written,
    settled: Settled,
    plans: Mapping[GroupKey, Plan],
) -> Iterator[Ending]:
    """Events that nobody hears of: not told for a reason, or withdrawn before they were told."""
    unwritten = {event.event_id for event in written.retracted}
    told = {key for key, plan in plans.items() if plan.told}
    for event in events:
        outcome = settled.outcomes[event.event_id]
        withdrawn = outcome == "retracted" and (
            event.event_id in unwritten or not any(_key(one) in told for one in withdrawals(event))
        )
        if withdrawn or outcome in _ENDS:
            yield Ending(event, outcome)


def _key(event: Event) -> GroupKey:
    return GroupKey(event.recipient_id, event.kind, event.group_object)


def _is_named(event: Event, ring: Ring) -> bool:
    """Its line names its actor; or no row of its own has shown yet that the actor exists."""
    return ring is Ring.AT_ONCE or event.kind not in ROW_KINDS or event.names_recipient


def _ring(event: Event, rings: Mapping[str, Ring]) -> Ring:
    """A comment that became a mention waits for no window."""
    is_mention = event.names_recipient and event.kind not in COMMENT_KINDS
    return Ring.AT_ONCE if is_mention else rings[event.event_id]


def _chosen(event: Event, who: Audience, before: Kind | None) -> list[Event]:
    """The first way that the recipient did not switch off on all channels; one that comes again
    keeps its way. Empty: all of them are off. Who leaves, leaves, whatever was chosen since."""
    if not event.active:
        return withdrawals(event)
    return [
        one
        for one in ways(event)
        if one.kind is before
        or (before is None and not isinstance(who.decision(one.kind, one.recipient_id), Filter))
    ][:1]


def _refusal(event: Event, present: set[str], who: Audience) -> str | None:
    """Why nobody is told of an event, whatever they chose to hear; None for one that goes on."""
    if event.recipient_id not in present:
        return "expired"
    if event.kind in UNGROUPED_KINDS:
        return None
    if event.kind not in ROW_KINDS and event.actor_id not in who.people:
        return "expired"
    if event.actor_id == event.recipient_id:
        return Reason.SELF.value
    if not event.active:
        return None  # who leaves, leaves, whatever was muted since
    silence = who.silenced(event)
    return silence.value if silence else None


def _as_refused(event: Event, blocked: set[str]) -> Event:
    """A follow that a block refuses becomes the row of an unfollow: its seq stands there, so that
    no late copy is newer, and whoever waits for the event to be written waits no longer."""
    return replace(event, active=False) if event.event_id in blocked else event


def _doing(event: Event, ring: Ring, left: Mapping[str, tuple[int, ...]]) -> Doing:
    said = event.metadata.get("content") if event.kind in COMMENT_KINDS else event.message
    quotes = event.kind in COMMENT_KINDS | {Kind.BELL_POST, Kind.MENTION}
    return Doing(
        actor_id=event.actor_id or "",
        seq=event.seq,
        active=event.active,
        follower=event.follower,
        ring=ring,
        event_id=event.event_id,
        text=str(said) if quotes and said else None,
        remaining=left.get(event.event_id, ()) if event.kind in COMMENT_KINDS else (),
    )
