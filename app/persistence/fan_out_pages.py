"""Writes a fan-out page by page: rows, client events and outgoing messages of up to PAGE_SIZE recipients.

In: rows of app/persistence/fan_outs.py. Out: one transaction per page with the notifications, the client
events, which are marked as published because nobody relays them, and the new position. A page that is
written again finds its rows and changes nothing.

The connected recipients of a page get their client events from the outbox (app/delivery/socket_dispatcher.py
receives its range by NOTIFY); the others find the notification in their list. One outbox row per page goes to
the topic bulk-notifications for the delivery log.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, text

from app.clients.pg_notify import NOTIFY
from app.clients.postgres import translate_errors
from app.domain.events import UNGROUPED_KINDS, Event
from app.domain.grouping import ClientEventType, GroupGeneration, GroupKey, PlannedClientEvent
from app.domain.preferences import (
    Channel,
    NotificationPreferences,
    SendAfterQuietHours,
    Suppress,
    SuppressionReason,
    decide_delivery,
)
from app.persistence import clear_watermarks
from app.persistence.client_event_payloads import build_event_name_and_payload
from app.persistence.fan_outs import (
    MANY_RECIPIENTS,
    Audience,
    FanOut,
    PageProgress,
    find_next_fan_out,
    lock_fan_out_at_position,
    save_progress,
)
from app.persistence.groups import ActorProfile, lock_recipients
from app.persistence.message_enqueue import MAX_RETRY_AGE
from app.persistence.notification_rows import NotificationRow
from app.persistence.outbox_writer import OUTBOX_CHANNEL
from app.persistence.recipients import RecipientContext

PAGE_SIZE = 1_000
FAN_OUT_PAGE_CHANNEL = "fan_out_pages"
"""NOTIFY channel. Payload: the first and the last recipient id of a page."""


@dataclass(frozen=True, slots=True)
class PageResult:
    """What one call did. `fan_out` is None when there is nothing to do."""

    fan_out: FanOut | None = None
    count_by_outcome: dict[str, int] = field(default_factory=dict)

    @property
    def processed_count(self) -> int:
        return sum(self.count_by_outcome.values())


@dataclass(slots=True)
class _Deliveries:
    """The recipients of a page who get a notification, and how: `variants` has one entry per distinct
    decision, `variant_numbers` one number per recipient."""

    user_ids: list[str] = field(default_factory=list)
    variant_numbers: list[int] = field(default_factory=list)
    variants: list[dict[str, object]] = field(default_factory=list)

    def add(self, user_ids: Sequence[str], variant: dict[str, object]) -> None:
        self.variant_numbers += [len(self.variants)] * len(user_ids)
        self.user_ids += user_ids
        self.variants.append(variant)


class FanOutPageWriter:
    def __init__(self, engine: Engine, now: Callable[[], float], page_size: int = PAGE_SIZE) -> None:
        self._engine = engine
        self._now = now
        self._page_size = page_size

    def find_next(self) -> FanOut | None:
        """The fan-out to continue. Raises Unavailable."""
        with translate_errors("find a fan-out"), self._engine.connect() as conn:
            return find_next_fan_out(conn)

    def write_next_page(self, fan_out: FanOut) -> PageResult:
        """Writes the page after the position of `fan_out`. Raises Unavailable."""
        with translate_errors("write a page of a fan-out"), self._engine.begin() as conn:
            # A clearing of the tables waits for this transaction and then deletes the fan-out.
            clear_watermarks.lock_shared_and_read_watermark(conn)
            recipient_ids = self._select_page(conn, fan_out)
            actor_ids = [fan_out.event.actor_id] if fan_out.event.actor_id else []
            existing_ids = lock_recipients(conn, [*recipient_ids, *actor_ids])
            if not lock_fan_out_at_position(conn, fan_out):
                return PageResult(fan_out)
            if fan_out.audience is Audience.NOTIFIED:
                outcomes = self._withdraw(conn, fan_out, recipient_ids)
            elif _lock_post(conn, fan_out.event):
                present_ids = [user_id for user_id in recipient_ids if user_id in existing_ids]
                outcomes = self._notify_recipients(conn, fan_out, present_ids)
                outcomes["expired"] += len(recipient_ids) - len(present_ids)
            else:
                outcomes, recipient_ids = Counter(), []
            is_last_page = len(recipient_ids) < self._page_size
            progress = PageProgress(
                None if is_last_page else recipient_ids[-1], len(recipient_ids), dict(+outcomes)
            )
            save_progress(conn, self._with_recipient_count(conn, fan_out), progress)
            if recipient_ids:
                _notify_web_processes(conn, recipient_ids)
        return PageResult(fan_out, progress.count_by_outcome)

    def _select_page(self, conn: Connection, fan_out: FanOut) -> list[str]:
        params = _audience_params(fan_out) | {"after": fan_out.last_recipient_id, "limit": self._page_size}
        return list(conn.execute(_SELECT_PAGE[fan_out.audience], params).scalars())

    def _with_recipient_count(self, conn: Connection, fan_out: FanOut) -> FanOut:
        """Counts the audience once, with the first page, so that the progress can be shown."""
        if fan_out.recipient_count is not None:
            return fan_out
        count = conn.execute(_COUNT_AUDIENCE[fan_out.audience], _audience_params(fan_out)).scalar_one()
        return fan_out.with_recipient_count(count)

    def _notify_recipients(
        self, conn: Connection, fan_out: FanOut, recipient_ids: Sequence[str]
    ) -> Counter[str]:
        """Counts by outcome. The work in Python is per distinct decision, not per recipient."""
        event, now = fan_out.event, datetime.fromtimestamp(self._now(), UTC)
        actor_and_image = conn.execute(
            _SELECT_ACTOR_AND_IMAGE, {"actor": event.actor_id, "object": event.object_id}
        ).one()
        outcomes: Counter[str] = Counter()
        suppressed_ids: dict[str, list[str]] = {}
        deliveries = _Deliveries()
        for reason, *preference_values, user_ids in conn.execute(
            _GROUP_BY_REASON_AND_PREFERENCES, _reason_params(event, recipient_ids)
        ):
            preferences = _to_preferences(event, preference_values)
            decision = decide_delivery(event.kind, preferences, now)
            if reason is None and isinstance(decision, Suppress):
                reason = SuppressionReason.PREFERENCE.value
            if reason is None:
                context = _recipient_context(event, now, preferences, actor_and_image)
                deliveries.add(user_ids, _build_variant(event, context))
            else:
                outcomes[reason] += len(user_ids)
                suppressed_ids.setdefault(reason, []).extend(user_ids)
        delivered_count = _insert_notifications(conn, fan_out, deliveries, suppressed_ids)
        outcomes["delivered"] += delivered_count
        outcomes["merged"] += len(deliveries.user_ids) - delivered_count
        return outcomes

    def _withdraw(self, conn: Connection, fan_out: FanOut, recipient_ids: Sequence[str]) -> Counter[str]:
        params = _audience_params(fan_out) | {
            "users": list(recipient_ids),
            "first": min(recipient_ids, default=None),
            "last": max(recipient_ids, default=None),
        }
        conn.execute(_WITHDRAW_NOTIFICATIONS, params)
        conn.execute(NOTIFY, {"channel": OUTBOX_CHANNEL})
        return Counter({"retracted": len(recipient_ids)})


def _audience_params(fan_out: FanOut) -> dict[str, object]:
    """The parameters of _SELECT_PAGE and _COUNT_AUDIENCE; each statement uses some of them."""
    event = fan_out.event
    return {
        "fan_out": fan_out.id,
        "actor": event.actor_id,
        "created_at": fan_out.created_at,
        "mentioned": fan_out.mentioned_ids,
        "type": event.kind.value,
        "object": event.object_id,
    }


def _lock_post(conn: Connection, event: Event) -> bool:
    """False: the event is about a post that was deleted. The lock delays a deletion until this page is
    written, so that the deletion finds its notifications."""
    post_id = event.metadata.get("postId")
    return post_id is None or conn.execute(_LOCK_POST, {"post": post_id}).scalar() is not None


def _reason_params(event: Event, recipient_ids: Sequence[str]) -> dict[str, object]:
    return {
        "ids": list(recipient_ids),
        "type": event.kind.value,
        # Mutes and blocks do not apply to news of the service.
        "actor": None if event.kind in UNGROUPED_KINDS else event.actor_id,
        "object": None if event.kind in UNGROUPED_KINDS else event.object_id,
    }


def _to_preferences(event: Event, values: Sequence[Any]) -> NotificationPreferences:
    """The preferences of a group of recipients; those without a row have the defaults."""
    *switches, kind_switches = values
    if switches[0] is None:
        return NotificationPreferences()
    channel_matrix = {event.kind.value: kind_switches or {}}
    return replace(NotificationPreferences(*switches), channel_matrix=channel_matrix)


def _recipient_context(
    event: Event, now: datetime, preferences: NotificationPreferences, actor_and_image: Sequence[Any]
) -> RecipientContext:
    actor_row, post_image_url = actor_and_image
    actors = {actor_row[0]: ActorProfile(*actor_row)} if actor_row else {}
    images = {str(event.object_id): post_image_url} if post_image_url else {}
    return RecipientContext(now, actors, {MANY_RECIPIENTS: preferences}, post_image_urls=images)


def _build_variant(event: Event, context: RecipientContext) -> dict[str, object]:
    """The columns of the row and the client event for recipients with the same decision. The statement adds
    what differs: the row id and client_seq."""
    is_grouped = event.kind not in UNGROUPED_KINDS
    actor_ids = list(context.actors_by_id) if is_grouped else []
    generation = GroupGeneration(
        MANY_RECIPIENTS, 1, context.now, version=1, actor_count=len(actor_ids), is_new=True
    )
    row = NotificationRow(
        group_key=GroupKey(MANY_RECIPIENTS, event.kind, event.group_object_id),
        generation=generation,
        latest_actors=[(context.actors_by_id[actor_id], event.is_follower) for actor_id in actor_ids],
        event_text=event.message if is_grouped else None,
        newest_event=event,
        recipient_context=context,
    )
    announcement = PlannedClientEvent(
        ClientEventType.ANNOUNCED,
        generation.id,
        version=1,
        newly_announced_count=1,
        actor_count=len(actor_ids),
        actor_id=event.actor_id if is_grouped else None,
        text=row.event_text,
        event_id=event.event_id,
    )
    event_name, payload = build_event_name_and_payload(row, announcement, client_seq=0)
    decision = row.delivery_decision
    is_deferred = isinstance(decision, SendAfterQuietHours)
    return {
        "columns": row.column_values(),
        "clientEvent": event_name,
        "payload": payload,
        # After quiet hours the mailer gets the announcement from the ready topic.
        "messageChannels": []
        if is_deferred
        else [channel.value for channel in decision.channels if channel is not Channel.PUSH],
    }


def _insert_notifications(
    conn: Connection, fan_out: FanOut, deliveries: _Deliveries, suppressed_ids: dict[str, list[str]]
) -> int:
    """Returns the number of new notifications."""
    event = fan_out.event
    created_at = fan_out.created_at
    params = {
        "fan_out": event.event_id,
        "users": deliveries.user_ids,
        "numbers": deliveries.variant_numbers,
        "first": min(deliveries.user_ids, default=None),
        "last": max(deliveries.user_ids, default=None),
        "variants": orjson.dumps(deliveries.variants).decode(),
        "suppressed": orjson.dumps(suppressed_ids).decode(),
        "type": event.kind.value,
        "object": event.group_object_id,
        "actor": None if event.kind in UNGROUPED_KINDS else event.actor_id,
        "seq": event.seq,
        "created_at": created_at,
        "expires_at": created_at + MAX_RETRY_AGE,
    }
    count = int(conn.execute(_INSERT_NOTIFICATIONS, params).scalar_one())
    conn.execute(NOTIFY, {"channel": OUTBOX_CHANNEL})
    return count


def _notify_web_processes(conn: Connection, recipient_ids: Sequence[str]) -> None:
    payload = f"{recipient_ids[0]} {recipient_ids[-1]}"
    conn.execute(
        text("select pg_notify(:channel, :payload)"), {"channel": FAN_OUT_PAGE_CHANNEL, "payload": payload}
    )


_AFTER = "coalesce(cast(:after as uuid), '00000000-0000-0000-0000-000000000000')"
_SUBSCRIBERS_SQL = (
    "bell_subscriptions where target_user_id = :actor and created_at <= :created_at "
    "and subscriber_id <> all(cast(:mentioned as uuid[]))"
)
_SELECT_PAGE = {
    Audience.SUBSCRIBERS: text(
        f"select subscriber_id::text from {_SUBSCRIBERS_SQL} and subscriber_id > {_AFTER} "  # noqa: S608
        "order by subscriber_id limit :limit"
    ),
    Audience.LISTED: text(
        "select recipient_id::text from fan_out_recipients "  # noqa: S608 - constants only
        f"where fan_out_id = :fan_out and recipient_id > {_AFTER} order by recipient_id limit :limit"
    ),
    Audience.NOTIFIED: text(
        "select user_id::text from notifications "  # noqa: S608 - constants only
        f"where object_id = :object and type = :type and user_id > {_AFTER} order by user_id limit :limit"
    ),
}
_COUNT_AUDIENCE = {
    Audience.SUBSCRIBERS: text(f"select count(*) from {_SUBSCRIBERS_SQL}"),  # noqa: S608 - constants only
    Audience.LISTED: text("select count(*) from fan_out_recipients where fan_out_id = :fan_out"),
    Audience.NOTIFIED: text("select count(*) from notifications where object_id = :object and type = :type"),
}
_LOCK_POST = text("select id from posts where id = cast(:post as uuid) for key share")
_SELECT_ACTOR_AND_IMAGE = text("""
    select (select jsonb_build_array(id, coalesce(nullif(name, ''), username), avatar_url, is_verified,
            username) from users where id = cast(:actor as uuid)),
        (select image_url from posts where id = cast(:object as uuid))
""")
# The columns of preferences are in the order of NotificationPreferences.
_GROUP_BY_REASON_AND_PREFERENCES = text("""
    select reason, push_enabled, email_enabled, sms_enabled, activity, social, marketing, dnd_enabled,
        dnd_start_time, dnd_end_time, timezone, kind_switches, array_agg(user_id)
    from (
        select u.id::text as user_id,
            case when u.id = cast(:actor as uuid) then 'self'
                when exists (select from blocks b where b.user_id = u.id and b.blocked_user_id = :actor)
                    or exists (select from blocks b where b.user_id = :actor and b.blocked_user_id = u.id)
                    then 'blocked'
                when exists (select from mutes m where m.user_id = u.id and m.muted_user_id = :actor)
                    or exists (select from mutes m where m.user_id = u.id and m.muted_post_id = :object)
                    then 'muted' end as reason,
            p.push_enabled, p.email_enabled, p.sms_enabled, p.activity, p.social, p.marketing, p.dnd_enabled,
            p.dnd_start_time, p.dnd_end_time, p.timezone, p.matrix->:type as kind_switches
        from unnest(cast(:ids as uuid[])) as u (id)
        left join notification_preferences p on p.user_id = u.id) recipients
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
""")
_INSERT_NOTIFICATIONS = text("""
    with variants as (
        select position - 1 as number, v.row->'columns' as columns, v.row->'payload' as payload,
            v.row->>'clientEvent' as client_event,
            array(select jsonb_array_elements_text(v.row->'messageChannels')) as message_channels
        from jsonb_array_elements(cast(:variants as jsonb)) with ordinality as v (row, position)
    ), missing as (
        select d.user_id, d.number
        from unnest(cast(:users as uuid[]), cast(:numbers as int[])) as d (user_id, number)
        -- The range lets the planner read those of this page only: it does not know how many there are.
        where not exists (select from notifications n where n.user_id = d.user_id and n.type = :type
            and n.object_id = cast(:object as uuid)
            and n.user_id between cast(:first as uuid) and cast(:last as uuid))
    ), numbered as (
        update users set client_seq = client_seq + 1, unread_count_version = unread_count_version + 1
        from missing where users.id = missing.user_id
        returning users.id as user_id, users.client_seq, users.is_simulated, missing.number,
            uuidv7() as notification_id
    ), inserted_rows as (
        insert into notifications (id, user_id, type, priority, object_id, version, client_seq, target_type,
            target_id, actor_id, actor_count, title, message, quote, image_url, channels, metadata,
            deferred_until, created_at, updated_at)
        select notification_id, user_id, :type, columns->>'priority', cast(:object as uuid), 1, client_seq,
            columns->>'targetType', (columns->>'targetId')::uuid, (columns->>'actorId')::uuid,
            (columns->>'actorCount')::int, columns->>'title', columns->>'message', columns->>'quote',
            columns->>'imageUrl', array(select jsonb_array_elements_text(columns->'channels')),
            columns->'metadata', (columns->>'deferredUntil')::timestamptz,
            (columns->>'updatedAt')::timestamptz, (columns->>'updatedAt')::timestamptz
        from numbered join variants using (number)
    ), inserted_actors as (
        insert into notification_actors (notification_id, actor_id, event_id, seq, announced)
        select notification_id, cast(:actor as uuid), cast(:fan_out as uuid), :seq, true
        from numbered where cast(:actor as uuid) is not null
    ), inserted_client_events as (
        insert into outbox (user_id, client_seq, client_event, payload, published_at)
        select user_id, client_seq, client_event,
            payload || jsonb_build_object('id', notification_id, 'seq', client_seq), now()
        from numbered join variants using (number)
    ), inserted_messages as (
        insert into outgoing_messages (user_id, client_seq, notification_id, version, channel, type,
            critical, created_at, due_at, expires_at)
        select user_id, client_seq, notification_id, 1, channel, :type, false, :created_at, :created_at,
            :expires_at
        from numbered join variants using (number) cross join lateral unnest(message_channels) as channel
        where not is_simulated
        on conflict (notification_id, version, channel) do nothing
    ), page as (
        insert into outbox (user_id, client_event, payload)
        select coalesce((select user_id from numbered limit 1), cast(:actor as uuid)), 'fan_out_page',
            jsonb_build_object('fanOutId', cast(:fan_out as text), 'type', cast(:type as text),
                'priority', (select columns->>'priority' from variants limit 1),
                'clientEvents', (select coalesce(jsonb_agg(client_event order by number), '[]')
                    from variants),
                'channels', (select coalesce(jsonb_agg(columns->'channels' order by number), '[]')
                    from variants),
                'entries', (select coalesce(jsonb_agg(
                    jsonb_build_array(user_id, notification_id, 1, client_seq, number)), '[]') from numbered),
                'suppressed', cast(:suppressed as jsonb))
        where exists (select from numbered)
            or cast(:suppressed as jsonb) <> '{}'::jsonb and cast(:actor as uuid) is not null
    )
    select count(*) from numbered
""")
_WITHDRAW_NOTIFICATIONS = text("""
    with withdrawn as (
        delete from notifications where object_id = :object and type = :type
            and user_id = any(cast(:users as uuid[]))
            and user_id between cast(:first as uuid) and cast(:last as uuid)
        returning id, user_id, version, priority, version > 0 and removed_at is null and archived_at is null
            as is_visible
    ), numbered as (
        update users set client_seq = client_seq + 1, unread_count_version = unread_count_version + 1
        from withdrawn where users.id = withdrawn.user_id and is_visible
        returning users.id as user_id, users.client_seq, withdrawn.id, withdrawn.version + 1 as version,
            withdrawn.priority
    ), inserted_client_events as (
        insert into outbox (user_id, client_seq, client_event, payload, published_at)
        select user_id, client_seq, 'notification_removed',
            jsonb_build_object('id', id, 'version', version, 'seq', client_seq), now()
        from numbered
    )
    insert into outbox (user_id, client_event, payload)
    select (select user_id from numbered limit 1), 'fan_out_page',
        jsonb_build_object('fanOutId', cast(:fan_out as text), 'type', cast(:type as text),
            'priority', (select priority from numbered limit 1),
            'clientEvents', '["notification_removed"]'::jsonb, 'channels', '[[]]'::jsonb,
            'entries', (select jsonb_agg(jsonb_build_array(user_id, id, version, client_seq, 0))
                from numbered), 'suppressed', '{}'::jsonb)
    where exists (select from numbered)
""")
