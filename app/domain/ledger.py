"""The group ledger: who is in which group, and what is told about it. Pure; stores/ledger.py does
it.

A group is recipient + kind + object and is one row while it is unread and young; once read or too
old, the next actor opens a new generation. An actor rings once in a group: who comes back after
leaving it changes the row, but rings no bell.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.events import COMMENT_KINDS, Kind


class Ring(StrEnum):
    """When an actor's joining is told."""

    AT_ONCE = "at once"
    AT_CLOSE = "at close"
    """Now, in one line with all others of the window that ends here."""
    LATER = "later"
    """Written early because the window is full; its end will tell."""


class Frame(StrEnum):
    """What a client hears (contract 4)."""

    ANNOUNCED = "notification"
    UPDATED = "notification_updated"
    REMOVED = "notification_removed"


@dataclass(frozen=True, slots=True)
class GroupKey:
    recipient_id: str
    kind: Kind
    object_id: str


@dataclass(frozen=True, slots=True)
class Doing:
    """A change that really happened in the tables: the actor now does, or no longer does."""

    actor_id: str
    seq: int
    active: bool
    follower: bool
    ring: Ring
    event_id: str
    text: str | None = None
    remaining: tuple[int, ...] = ()
    """Of a withdrawn comment: the seqs of its author's other comments that still stand."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a row says already that no actor changes: frames have it whatever led to them."""

    target_type: str | None = None
    target_id: str | None = None
    image_url: str | None = None
    seen_at: datetime | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Generation:
    """One notification row. `owed` counts its current actors that were not announced yet."""

    id: str
    number: int
    opened_at: datetime
    closed: bool = False
    """Read or archived: takes no more actors."""
    version: int = 0
    actors: int = 0
    owed: int = 0
    hidden: bool = False
    """Archived or deleted by its owner: who is in it is still known, but nothing is told."""
    is_new: bool = False
    stored: Stored = field(default_factory=Stored)


@dataclass(slots=True)
class Membership:
    """An actor's place in a generation."""

    generation_id: str
    actor_id: str
    seq: int
    active: bool
    announced: bool
    follower: bool
    event_id: str


@dataclass(slots=True)
class Group:
    """What the ledger knows of one group: its generations, and the places of those who act now."""

    key: GroupKey
    generations: dict[str, Generation] = field(default_factory=dict)
    latest: str | None = None
    members: dict[str, Membership] = field(default_factory=dict)
    """Each one's place in the last generation they joined."""
    earlier: dict[str, list[Membership]] = field(default_factory=dict)
    """Places in generations before it, of those who commented again after the row was read."""


@dataclass(frozen=True, slots=True)
class Told:
    """A frame to send. For an instant announcement `actor_id` names the one it is about."""

    frame: Frame
    generation_id: str
    version: int
    new_count: int = 0
    actors: int = 0
    actor_id: str | None = None
    text: str | None = None
    event_id: str | None = None


@dataclass(slots=True)
class Plan:
    told: list[Told] = field(default_factory=list)
    touched: list[Membership] = field(default_factory=list)
    changed: dict[str, Generation] = field(default_factory=dict)
    texts: dict[str, str | None] = field(default_factory=dict)
    settles_debts: list[str] = field(default_factory=list)
    """Generations all of whose unannounced actors are announced by this plan."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan depends on besides the ledger itself."""

    now: datetime
    max_age: timedelta
    new_id: str
    """The id of the generation that this plan may open."""


def plan(group: Group, doings: Iterable[Doing], closes: bool, terms: Terms) -> Plan:
    """Work out what these doings change in the group and what is told about it.

    Changes `group` as the tables will be changed. `closes`: a window of the group ends here, so
    what is owed is told. Doings that change nothing (repeats, older ones) lead to nothing.
    """
    out = Plan()
    for doing in sorted(doings, key=lambda doing: doing.seq):
        act = _join if doing.active else _leave
        place = act(group, doing, terms, out)
        if place is not None and doing.ring is Ring.AT_CLOSE:
            closes = True
    _tell(group, out, closes)
    return out


def _join(group: Group, doing: Doing, terms: Terms, out: Plan) -> Generation | None:
    member = group.members.get(doing.actor_id)
    if member is not None and _is_known(group, member, doing):
        return None
    if member is None or not _stays(group, member, terms):
        generation = _open_generation(group, terms)
        if member is not None:
            group.earlier.setdefault(doing.actor_id, []).append(member)
        member = Membership(generation.id, doing.actor_id, 0, False, False, False, doing.event_id)
        group.members[doing.actor_id] = member
    generation = group.generations[member.generation_id]
    if not member.active:
        generation.actors += 1
        generation.owed += 0 if member.announced else 1
    member.active, member.follower = True, doing.follower
    member.seq = max(member.seq, doing.seq)
    out.touched.append(member)
    out.changed[generation.id] = generation
    out.texts[generation.id] = doing.text
    if doing.ring is Ring.AT_ONCE and not member.announced and not generation.hidden:
        _announce_one(generation, member, doing, out)
    return generation


def _is_known(group: Group, member: Membership, doing: Doing) -> bool:
    """Whether the place says this already, or something newer. One person's comments may come in
    another order than they were made; the table of comments lets only changes through."""
    if group.key.kind in COMMENT_KINDS:
        return member.seq == doing.seq
    return member.seq >= doing.seq


def _stays(group: Group, member: Membership, terms: Terms) -> bool:
    """A like belongs where it once was, however often it is repeated. A comment is a new doing: it
    stays only while the row would still take it in."""
    if group.key.kind not in COMMENT_KINDS:
        return True
    latest = group.generations.get(group.latest or "")
    return latest is not None and latest.id == member.generation_id and _takes(latest, terms)


def _announce_one(generation: Generation, member: Membership, doing: Doing, out: Plan) -> None:
    member.announced = True
    generation.owed -= 1
    generation.version += 1
    out.told.append(
        Told(
            Frame.ANNOUNCED,
            generation.id,
            generation.version,
            new_count=1,
            actors=generation.actors,
            actor_id=doing.actor_id,
            text=doing.text,
            event_id=doing.event_id,
        )
    )


def _leave(group: Group, doing: Doing, terms: Terms, out: Plan) -> Generation | None:
    """Out of every generation but those in which another comment of theirs still stands. The last
    one is answered, if they were known at all."""
    member = group.members.get(doing.actor_id)
    if member is None or _is_known(group, member, doing):
        return None
    since = 0
    for place in group.earlier.get(doing.actor_id, ()):
        stays = any(since < seq <= place.seq for seq in doing.remaining)
        since = place.seq
        _step_out(group.generations[place.generation_id], place, stays, out)
    _step_out(
        group.generations[member.generation_id],
        member,
        any(since < seq for seq in doing.remaining),
        out,
    )
    member.seq = max(member.seq, doing.seq)
    out.touched.append(member)
    return group.generations[member.generation_id]


def _step_out(generation: Generation, place: Membership, stays: bool, out: Plan) -> None:
    if not place.active:
        return
    if not stays:
        generation.actors -= 1
        generation.owed -= 0 if place.announced else 1
        place.active = False
        out.touched.append(place)
    if not stays or generation.actors == 1:
        # Alone in the row, they are quoted in it: it must not go on saying what was withdrawn.
        out.changed[generation.id] = generation


def _takes(generation: Generation, terms: Terms) -> bool:
    return not generation.closed and terms.now - generation.opened_at < terms.max_age


def _open_generation(group: Group, terms: Terms) -> Generation:
    latest = group.generations.get(group.latest or "")
    if latest is not None and _takes(latest, terms):
        return latest
    number = latest.number + 1 if latest else 1
    opened = Generation(terms.new_id, number, terms.now, is_new=True)
    group.generations[opened.id] = opened
    group.latest = opened.id
    return opened


def _tell(group: Group, out: Plan, closes: bool) -> None:
    """After the instant lines: the closing line, or a silent correction, or the end of the row."""
    spoken = {told.generation_id: told.actors for told in out.told}
    latest = group.generations.get(group.latest or "")
    if closes and latest is not None and latest.owed > 0 and not latest.hidden:
        out.changed[latest.id] = latest
    for generation in out.changed.values():
        if generation.hidden:
            continue
        if closes and generation.owed > 0:
            _announce_owed(group, generation, out)
        elif generation.version and spoken.get(generation.id) != generation.actors:
            generation.version += 1
            frame = Frame.UPDATED if generation.actors else Frame.REMOVED
            out.told.append(Told(frame, generation.id, generation.version, 0, generation.actors))


def _announce_owed(group: Group, generation: Generation, out: Plan) -> None:
    new, generation.owed = generation.owed, 0
    generation.version += 1
    out.settles_debts.append(generation.id)
    for member in group.members.values():
        if member.generation_id == generation.id and member.active:
            member.announced = True
    out.told.append(
        Told(Frame.ANNOUNCED, generation.id, generation.version, new, generation.actors)
    )


def group_by_key(doings: Mapping[GroupKey, list[Doing]]) -> list[GroupKey]:
    """The order in which groups are locked: the same in every process, so that none waits in a
    ring.
    """
    return sorted(doings, key=lambda key: (key.recipient_id, key.kind.value, key.object_id))


def plan_notice(group: Group, event_id: str, terms: Terms) -> Plan:
    """A log-in code, an alarm, a letter: each stands alone and is told once. Its row takes the
    event's id, so that whoever tells it before the tables could be written names it alike."""
    out = Plan()
    if group.latest is None:
        opened = Generation(event_id, 1, terms.now, version=1, is_new=True)
        group.generations[opened.id] = opened
        group.latest = opened.id
        out.changed[opened.id] = opened
        out.told.append(Told(Frame.ANNOUNCED, opened.id, 1, new_count=1, event_id=event_id))
    return out
