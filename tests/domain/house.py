"""A group under test: what the tables would let through is planned, and what was told is kept.

Of likes and follows the ledger plans only what really changed in the tables (stores/rows.py), so
their group stands behind a filter of the same rule: a doing counts if it is newer than the last and
says something else. Other kinds have no such rows.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from app.domain.events import Kind
from app.domain.ledger import Doing, Frame, Group, GroupKey, Plan, Ring, Terms, Told, plan

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
MAX_AGE = timedelta(hours=12)


@dataclass
class GroupUnderTest:
    kind: Kind = Kind.LIKE
    now: datetime = START
    told: list[Told] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.group = Group(GroupKey("recipient", self.kind, "object"))
        self._rows: dict[str, tuple[int, bool]] = {}
        self._ids = count(1)

    def takes(self, *doings: Doing, closes: bool = False) -> Plan:
        """One transaction."""
        terms = Terms(self.now, MAX_AGE, f"row {next(self._ids)}")
        made = plan(self.group, self._changes(doings), closes, terms)
        self.told += made.told
        return made

    def closes(self) -> Plan:
        return self.takes(closes=True)

    @property
    def latest(self) -> str | None:
        return self.group.latest

    @property
    def active(self) -> set[str]:
        return {one.actor_id for one in self.group.members.values() if one.active}

    @property
    def lines(self) -> list[str]:
        return [line(one) for one in self.told]

    def is_read(self) -> None:
        """As the ledger would load it after its owner has read the row."""
        self.group.generations[str(self.latest)].closed = True

    def _changes(self, doings: tuple[Doing, ...]) -> list[Doing]:
        if self.kind not in (Kind.LIKE, Kind.FOLLOW):
            return list(doings)
        newest: dict[str, Doing] = {}
        for one in doings:
            if one.actor_id not in newest or newest[one.actor_id].seq < one.seq:
                newest[one.actor_id] = one
        changes = []
        for one in newest.values():
            seq, active = self._rows.get(one.actor_id, (0, False))
            if one.seq > seq:
                self._rows[one.actor_id] = (one.seq, one.active)
                changes += [one] if one.active != active else []
        return changes


def joins(actor: str, seq: int, ring: Ring = Ring.AT_ONCE, text: str | None = None) -> Doing:
    return Doing(actor, seq, True, False, ring, f"event {seq}", text)


def waits(actor: str, seq: int, text: str | None = None) -> Doing:
    """Joins in a window that ends with this transaction."""
    return joins(actor, seq, Ring.AT_CLOSE, text)


def leaves(actor: str, seq: int, ring: Ring = Ring.AT_ONCE) -> Doing:
    return Doing(actor, seq, False, False, ring, f"event {seq}")


def three_instants(kind: Kind = Kind.LIKE) -> GroupUnderTest:
    group = GroupUnderTest(kind)
    for seq, actor in enumerate(["Ann", "Ben", "Cem"], 1):
        group.takes(joins(actor, seq))
    return group


_WORDS = {Frame.ANNOUNCED: "rings", Frame.UPDATED: "reads", Frame.REMOVED: "goes"}


def line(told: Told) -> str:
    """`row 1 v2 rings for Ann: 1 new of 2`."""
    whom = f" for {told.actor_id}" if told.actor_id else ""
    return (
        f"{told.generation_id} v{told.version} {_WORDS[told.frame]}{whom}: "
        f"{told.new_count} new of {told.actors}"
    )
