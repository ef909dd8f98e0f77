"""Frames: what the plans tell, in words, numbered per recipient, put into the outbox with the rows.

The frame counter is raised under the recipient's lock, so frames have no gaps, and the outbox ids
of one recipient rise in the order of their counter.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, text

from app.domain.events import (
    COMMENT_KINDS,
    CRITICAL_KINDS,
    UNGROUPED_KINDS,
    Event,
    Kind,
    iso,
    occurred_at,
)
from app.domain.ledger import Frame, Generation, GroupKey, Plan, Told
from app.domain.preferences import Channel, Hold, Send
from app.domain.routing import priority_of
from app.domain.secrecy import letter_of, with_code
from app.domain.text import truncate
from app.domain.wording import notice, title
from app.stores.audience import Audience
from app.stores.groups import Person, samples
from app.stores.outgoing import NewMessage, enqueue
from app.stores.serializer import Current, with_names
from app.stores.standing_comments import Quote, quotes
from app.stores.urgency import Urgent, ring

OUTBOX_CHANNEL = "outbox"
_LINKS = frozenset({"postUrl", "commentId"})
"""Of an event's metadata: what its row and its frames keep."""
NUMBERS = text("""
    update users set frame_seq = frame_seq + n.frames, badge_version = badge_version + 1
    from unnest(cast(:ids as uuid[]), cast(:frames as int[])) as n (id, frames)
    where users.id = n.id
    returning users.id::text, users.frame_seq - n.frames, users.badge_version
""")
_UNREAD = """
    select user_id::text, count(*) from notifications
    where user_id = any(cast(:ids as uuid[])) and not is_read and removed_at is null
        and archived_at is null and version > 0
    group by user_id
"""
UNREAD = text(_UNREAD)
_ROWS = text(f"""
    update notifications set version = (n.row->>'version')::int,
        seq = greatest(notifications.seq, (n.row->>'seq')::bigint),
        priority = n.row->>'priority', actor_id = (n.row->>'actorId')::uuid,
        actor_count = (n.row->>'actors')::int, owed_count = (n.row->>'owed')::int,
        title = n.row->>'title', message = n.row->>'message', quote = n.row->>'quote',
        image_url = coalesce(n.row->>'imageUrl', notifications.image_url),
        target_type = coalesce(n.row->>'targetType', notifications.target_type),
        target_id = coalesce((n.row->>'targetId')::uuid, notifications.target_id),
        channels = array(select jsonb_array_elements_text(n.row->'channels')),
        metadata = notifications.metadata || (n.row->'metadata'),
        held_until = case when (n.row->>'heldUntil') is not null
            then (n.row->>'heldUntil')::timestamptz else notifications.held_until end,
        removed_at = case when notifications.archived_at is not null then notifications.removed_at
            when (n.row->>'gone')::boolean then now() else null end,
        updated_at = (n.row->>'now')::timestamptz
    from (select jsonb_array_elements(cast(:rows as jsonb)) as row) n
    where notifications.id = (n.row->>'id')::uuid;
    {_UNREAD}
""")  # noqa: S608 - constants only
"""What the rows say from now on, and in the same round trip how many are unread then."""
_OUTBOX = text("""
    insert into outbox (user_id, seq, frame, payload, letter)
    select (f.row->>'userId')::uuid, (f.row->>'seq')::bigint, f.row->>'frame', f.row->'payload',
        f.row->>'letter'
    from jsonb_array_elements(cast(:frames as jsonb)) with ordinality as f (row, place)
    order by f.place;
    select pg_notify(:channel, '')
""")


@dataclass(frozen=True, slots=True)
class Page:
    """What there is to tell, and about whom."""

    plans: dict[GroupKey, Plan]
    events: dict[str, Event]
    who: Audience


@dataclass(slots=True)
class _Row:
    """A notification row as it reads after this transaction."""

    key: GroupKey
    generation: Generation
    sample: list[tuple[Person, bool]]
    text: str | None
    event: Event | None
    """The newest of this transaction that adds to it. There may be none: then only `generation`
    says what the row is about."""
    who: Audience
    comment: Quote | None = None
    """Of a row about comments: the comment of the one named first."""
    seq: int = 0

    @property
    def kind(self) -> Kind:
        return self.key.kind

    @property
    def priority(self) -> str:
        follower = bool(self.sample and self.sample[0][1])
        return priority_of(self.kind, follower).value

    @property
    def message(self) -> str:
        """The text of a notice. What names people is put together when it is shown."""
        if self.kind not in UNGROUPED_KINDS:
            return ""
        return (self.event and self.event.message) or notice(self.kind)

    @property
    def quoted(self) -> str | None:
        said = self.comment.content if self.comment else self.text
        return truncate(said) if said and self.generation.actors == 1 else None

    @property
    def title(self) -> str:
        return (self.event and self.event.title) or title(self.kind, self.generation.actors)

    @property
    def decision(self) -> Send | Hold:
        decided = self.who.decision(self.kind, self.key.recipient_id)
        return decided if isinstance(decided, Send | Hold) else Send(())

    @property
    def target_id(self) -> str | None:
        """Where it leads to: what the group is about, or what a critical event names."""
        if self.kind not in UNGROUPED_KINDS:
            return self.key.object_id
        return self.event.object_id if self.event else self.generation.stored.target_id

    @property
    def links(self) -> dict[str, object]:
        """What else the row knows of it: new words over those that are stored."""
        said = dict(self.generation.stored.metadata)
        if self.event:
            said |= {n: v for n, v in self.event.metadata.items() if n in _LINKS and v}
        if self.comment:
            said["commentId"] = self.comment.comment_id
        if self.kind is Kind.FOLLOW:
            said["isVerified"] = bool(self.sample and self.sample[0][0].is_verified)
        return said


@dataclass(frozen=True, slots=True)
class Said:
    """How many frames went into the outbox, and those that wait for no relay."""

    frames: int = 0
    urgent: tuple[Urgent, ...] = ()


def tell(sql: Connection, page: Page) -> Said:
    """Writes the words into the rows and the frames into the outbox; rings for the urgent ones."""
    rows = {row.generation.id: row for row in _rows(sql, page)}
    if not rows:
        return Said()
    frames = [(key, told) for key, plan in page.plans.items() for told in plan.told]
    numbers = _number(sql, [key.recipient_id for key, _ in frames])
    payloads = []
    for key, told in frames:
        numbers[key.recipient_id][0] += 1
        seq = rows[told.generation_id].seq = numbers[key.recipient_id][0]
        payloads.append((key, seq, *_frame(rows[told.generation_id], told, seq)))
    words = orjson.dumps([_words(row) for row in rows.values()]).decode()
    unread = sql.execute(_ROWS, {"rows": words, "ids": sorted(numbers)}).all()
    letters = _letters(rows.values())
    if payloads:
        out: list[dict[str, object]] = [
            {
                "userId": key.recipient_id,
                "seq": seq,
                "frame": frame,
                "payload": payload,
                "letter": letters.get(payload["id"]),
            }
            for key, seq, frame, payload in payloads
        ]
        put(sql, out, numbers, unread)
    urgent = [
        Urgent(
            key.recipient_id,
            seq,
            with_code(with_names(payload, Current()), letters.get(payload["id"])),
            frame,
        )
        for key, seq, frame, payload in payloads
        if key.kind in CRITICAL_KINDS
    ]
    ring(sql, urgent)
    enqueue(sql, (_message(one, rows[str(one.data["id"])]) for one in urgent if one.rings))
    return Said(len(payloads), tuple(urgent))


def _rows(sql: Connection, page: Page) -> Iterator[_Row]:
    changed = [
        (key, plan, one) for key, plan in page.plans.items() for one in plan.changed.values()
    ]
    found = samples(sql, [one.id for _, _, one in changed])
    quoted = quotes(
        sql,
        {
            one.id: found[one.id][0][0].id
            for key, _, one in changed
            if key.kind in COMMENT_KINDS and found[one.id]
        },
    )
    events = {
        GroupKey(event.recipient_id, event.kind, event.group_object): event
        for event in page.events.values()
        if event.active
    }
    for key, plan, generation in changed:
        yield _Row(
            key,
            generation,
            found[generation.id],
            plan.texts.get(generation.id),
            events.get(key),
            page.who,
            quoted.get(generation.id),
        )


def _number(sql: Connection, recipients: Iterable[str]) -> dict[str, list[int]]:
    """Per recipient the last frame number before ours, and the badge's new version."""
    counts: dict[str, int] = {}
    for recipient in recipients:
        counts[recipient] = counts.get(recipient, 0) + 1
    ids = sorted(counts)
    rows = sql.execute(NUMBERS, {"ids": ids, "frames": [counts[one] for one in ids]})
    return {row[0]: [row[1], row[2]] for row in rows}


def _frame(row: _Row, told: Told, seq: int) -> tuple[str, dict[str, object]]:
    if told.frame is Frame.REMOVED:
        return told.frame.value, {"id": row.generation.id, "version": told.version, "seq": seq}
    frame = told.frame
    if frame is Frame.ANNOUNCED and isinstance(row.decision, Hold):
        frame = Frame.UPDATED  # quiet hours: in the list and the badge now, it rings when they end
    payload = _payload(row, told, seq)
    if frame is not Frame.ANNOUNCED and row.generation.stored.seen_at:
        payload["seenAt"] = iso(row.generation.stored.seen_at)
    if told.actor_id and told.actor_id in row.who.people:
        payload |= _about_one(row, told)
    return frame.value, payload


def _payload(row: _Row, told: Told, seq: int) -> dict[str, object]:
    """The seed's fields (seed-notes 2) and what contract 4 adds, but for names: those are looked up
    when it is shown (stores/serializer.py)."""
    words = _words(row)
    return {
        "id": row.generation.id,
        "type": row.kind.value,
        "priority": row.priority,
        "title": row.title,
        "message": row.message,
        "actorId": words["actorId"],
        "imageUrl": words["imageUrl"],
        "targetType": words["targetType"],
        "targetId": words["targetId"],
        "timestamp": words["now"],
        "isRead": row.generation.closed,
        "seenAt": None,
        "version": told.version,
        "seq": seq,
        "generation": row.generation.number,
        "group": {"title": row.title, "count": row.generation.actors, "quote": row.quoted},
        "metadata": {
            **row.links,
            "isAggregated": told.actors > 1,
            "aggregatedCount": told.actors,
            "newCount": told.new_count,
            "aggregatedActors": [person.id for person, _ in row.sample],
            "channels": words["channels"],
        },
    }


def _about_one(row: _Row, told: Told) -> dict[str, object]:
    """An instant announcement names its one actor (contract 6.6); how the whole row reads stays in
    `group`, for the list."""
    return {
        "title": title(row.kind, 1),
        "quote": truncate(told.text) if told.text else None,
        "actorId": told.actor_id,
        "instant": True,
    }


def _words(row: _Row) -> dict[str, object]:
    first = row.sample[0][0] if row.sample else None
    decision, event, stored = row.decision, row.event, row.generation.stored
    image = (event and event.image_url) or row.who.images.get(row.key.object_id)
    return {
        "id": row.generation.id,
        "version": row.generation.version,
        "seq": row.seq,
        "priority": row.priority,
        "actorId": first.id if first else None,
        "actors": row.generation.actors,
        "owed": row.generation.owed,
        "title": row.title,
        "message": row.message,
        "quote": row.quoted,
        "imageUrl": image or stored.image_url,
        "targetType": event.target_type if event else stored.target_type,
        "targetId": row.target_id,
        "channels": [channel.value for channel in decision.channels],
        "heldUntil": iso(decision.until) if isinstance(decision, Hold) else None,
        "metadata": row.links,
        "gone": row.generation.actors == 0 and row.kind not in UNGROUPED_KINDS,
        "now": iso(row.who.now),
    }


def _message(frame: Urgent, row: _Row) -> NewMessage:
    """The e-mail and the text message of a critical frame. A code is valid from its event on."""
    return NewMessage(
        user_id=frame.user_id,
        seq=row.seq,
        notification_id=row.generation.id,
        version=row.generation.version,
        kind=row.kind,
        channels=tuple(one for one in row.decision.channels if one is not Channel.PUSH),
        created_at=occurred_at(row.event.seq) if row.event else row.who.now,
    )


def _letters(rows: Iterable[_Row]) -> dict[object, str]:
    """Codes and reset tokens, sealed, by the id of the row. No list has them."""
    sealed = {row.generation.id: row.event and letter_of(row.event.metadata) for row in rows}
    return {name: letter for name, letter in sealed.items() if letter}


def put(
    sql: Connection,
    frames: Sequence[dict[str, object]],
    numbers: Mapping[str, Sequence[int]],
    unread: Iterable[Sequence[Any]],
) -> None:
    """The frames in order, and after them the badge of each recipient; rings as it commits."""
    counts = {row[0]: row[1] for row in unread}
    badges = [
        {
            "userId": recipient,
            "seq": None,
            "frame": "unread_count",
            "payload": {"count": counts.get(recipient, 0), "version": version},
        }
        for recipient, (_, version) in sorted(numbers.items())
    ]
    told = orjson.dumps([*frames, *badges]).decode()
    sql.execute(_OUTBOX, {"frames": told, "channel": OUTBOX_CHANNEL})
