"""Fan-outs: one event for many recipients, stored as one row and written page by page.

In: new posts, events with many targets (app/ingest) and deleted posts (app/social/removals.py), each in the
transaction that causes it. Out: fan-outs for app/persistence/fan_out_pages.py and workers/fan_out.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from app.clients.pg_notify import NOTIFY
from app.domain.event_codec import event_from_wire
from app.domain.events import Event
from app.domain.routing import priority_of

FAN_OUT_CHANNEL = "fan_outs"
"""NOTIFY channel of new fan-outs."""
MANY_RECIPIENTS = str(UUID(int=0))
"""The recipient id of an event that has many recipients."""


class Audience(StrEnum):
    SUBSCRIBERS = "subscribers"
    """Those who subscribed to the posts of the actor before the event, and still do."""
    LISTED = "listed"
    """The users in fan_out_recipients."""
    NOTIFIED = "notified"
    """Those who have a notification about the object, which is withdrawn."""


@dataclass(frozen=True, slots=True)
class FanOut:
    """An unfinished fan-out and its progress. `recipient_count` is None before the first page."""

    event: Event
    audience: Audience
    mentions: tuple[Event, ...]
    mentions_written: bool
    recipient_count: int | None
    processed_count: int
    last_recipient_id: str | None
    created_at: datetime

    @property
    def id(self) -> str:
        return self.event.event_id

    def with_recipient_count(self, recipient_count: int) -> "FanOut":
        return replace(self, recipient_count=recipient_count)

    @property
    def mentioned_ids(self) -> list[str]:
        """Users who are notified by a mention in the post instead (app/domain/causes.py)."""
        return [mention.recipient_id for mention in self.mentions]


def insert_fan_out(
    conn: Connection,
    event: Event,
    audience: Audience,
    mentions: Sequence[Event] = (),
    recipient_ids: Sequence[str] = (),
) -> None:
    """Stores a fan-out; workers start it when the transaction commits. Nothing is stored for an actor without
    subscribers and mentions. `event.recipient_id` is not used.
    `mentions`: events that are written before the first page, to users who are then left out of the pages.
    `recipient_ids`: the audience of a listed fan-out. A repeated call changes nothing."""
    values = {
        "id": event.event_id,
        "kind": event.kind.value,
        "audience": audience.value,
        "actor": event.actor_id,
        "object": event.object_id,
        "seq": event.seq,
        "event": _to_json(replace(event, recipient_id=MANY_RECIPIENTS)),
        "mentions": "[" + ",".join(_to_json(mention) for mention in mentions) + "]",
        "mentions_written": not mentions,
        "recipients": list(recipient_ids),
    }
    conn.execute(_INSERT, values)
    conn.execute(NOTIFY, {"channel": FAN_OUT_CHANNEL})


def _to_json(event: Event) -> str:
    return orjson.dumps(event.to_wire(priority_of(event.kind, event.is_follower))).decode()


def find_next_fan_out(conn: Connection) -> FanOut | None:
    """The fan-out to continue: one with mentions to write, else the one that waits the longest."""
    row = conn.execute(_SELECT_NEXT).one_or_none()
    if row is None:
        return None
    event, audience, mentions, *progress = row
    parsed_mentions = tuple(event_from_wire(mention) for mention in mentions)
    return FanOut(event_from_wire(event), Audience(audience), parsed_mentions, *progress)


def lock_fan_out_at_position(conn: Connection, fan_out: FanOut) -> bool:
    """False: another worker has written the page after this position, or the fan-out was deleted. Call it
    after the recipients are locked, in the order in which the deletion of an account locks."""
    values = {"id": fan_out.id, "position": fan_out.last_recipient_id}
    return conn.execute(_LOCK_AT_POSITION, values).scalar() is not None


@dataclass(frozen=True, slots=True)
class FanOutPageResult:
    """The result of a page. `last_recipient_id` is None after the last page."""

    last_recipient_id: str | None
    processed_count: int
    count_by_outcome: dict[str, int]


def save_progress(conn: Connection, fan_out: FanOut, page: FanOutPageResult) -> None:
    conn.execute(
        _SAVE_PROGRESS,
        {
            "id": fan_out.id,
            "position": page.last_recipient_id,
            "recipient_count": fan_out.recipient_count,
            "processed": page.processed_count,
            "outcomes": orjson.dumps(page.count_by_outcome).decode(),
        },
    )
    if page.last_recipient_id is None:
        conn.execute(text("delete from fan_out_recipients where fan_out_id = :id"), {"id": fan_out.id})


def mark_mentions_written(conn: Connection, fan_out: FanOut) -> None:
    """Also finishes the fan-out if nobody subscribed."""
    conn.execute(_MARK_MENTIONS_WRITTEN, {"id": fan_out.id, "actor": fan_out.event.actor_id})


def has_unfinished_withdrawal(conn: Connection, owner_id: str) -> bool:
    """Whether notifications about deleted posts of this user are still being withdrawn."""
    return bool(conn.execute(_SELECT_WITHDRAWAL, {"owner": owner_id}).scalar())


def list_subscribers_among(conn: Connection, actor_id: str, user_ids: Sequence[str]) -> list[str]:
    """The given users who subscribed to the posts of the actor."""
    values = {"actor": actor_id, "ids": list(user_ids)}
    return list(conn.execute(_SELECT_SUBSCRIBERS, values).scalars())


def list_recent_fan_outs(conn: Connection) -> list[dict[str, object]]:
    """The unfinished fan-outs, then the newest finished ones, with the progress of each."""
    return [
        {
            "id": row[0],
            "type": row[1],
            "audience": row[2],
            "actorId": row[3],
            "objectId": row[4],
            "recipientCount": row[5],
            "processedCount": row[6],
            "outcomes": row[7],
            "createdAt": row[8],
            "finishedAt": row[9],
        }
        for row in conn.execute(_SELECT_RECENT)
    ]


_SELECT_RECENT = text("""
    select id::text, kind, audience, actor_id::text, object_id::text, recipient_count, processed_count,
        outcomes, created_at, finished_at
    from ((select * from fan_outs where finished_at is null order by created_at limit 20)
        union all (select * from fan_outs where finished_at is not null order by finished_at desc limit 20)) f
    order by finished_at is not null, created_at desc limit 20
""")
_INSERT = text("""
    with inserted as (
        insert into fan_outs (id, kind, audience, actor_id, object_id, seq, event, mentions, mentions_written)
        select :id, :kind, :audience, cast(:actor as uuid), cast(:object as uuid), :seq,
            cast(:event as jsonb), cast(:mentions as jsonb), :mentions_written
        where :audience <> 'subscribers' or not :mentions_written
            or exists (select from bell_subscriptions where target_user_id = cast(:actor as uuid))
        on conflict (id) do nothing returning id)
    insert into fan_out_recipients (fan_out_id, recipient_id)
    select inserted.id, r.id from inserted, unnest(cast(:recipients as uuid[])) as r (id)
    on conflict do nothing
""")
_SELECT_NEXT = text("""
    select event, audience, mentions, mentions_written, recipient_count, processed_count,
        last_recipient_id::text, created_at
    from fan_outs where finished_at is null order by mentions_written, updated_at limit 1
""")
_LOCK_AT_POSITION = text("""
    select id from fan_outs where id = :id and finished_at is null
        and last_recipient_id is not distinct from cast(:position as uuid) for update
""")
_SAVE_PROGRESS = text("""
    update fan_outs set recipient_count = :recipient_count,
        processed_count = processed_count + :processed,
        last_recipient_id = coalesce(cast(:position as uuid), last_recipient_id),
        finished_at = case when cast(:position as uuid) is null then now() end,
        updated_at = clock_timestamp(),
        outcomes = outcomes || (
            select coalesce(jsonb_object_agg(o.key,
                o.value::int + coalesce((outcomes->>o.key)::int, 0)), '{}')
            from jsonb_each_text(cast(:outcomes as jsonb)) o)
    where id = :id
""")
# The actor is a parameter. With a column the planner assumes the author who has the most subscribers.
_MARK_MENTIONS_WRITTEN = text("""
    update fan_outs set mentions_written = true,
        finished_at = case when has_no_recipient then now() end,
        recipient_count = case when has_no_recipient then 0 end
    from (select not exists (select from bell_subscriptions where target_user_id = cast(:actor as uuid)))
        as subscriptions (has_no_recipient)
    where id = :id
""")
_SELECT_WITHDRAWAL = text(
    "select 1 from fan_outs where actor_id = :owner and audience = 'notified' and finished_at is null limit 1"
)
_SELECT_SUBSCRIBERS = text(
    "select subscriber_id::text from bell_subscriptions "
    "where target_user_id = :actor and subscriber_id = any(cast(:ids as uuid[]))"
)
