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
from dataclasses import replace
from datetime import UTC, datetime

import orjson
from sqlalchemy import Connection, Engine, text

from app.clients.pg_notify import NOTIFY
from app.clients.postgres import translate_errors
from app.domain.events import UNGROUPED_KINDS, Event
from app.persistence import clear_watermarks
from app.persistence.fan_out_decisions import RecipientDecisions, decide_for_recipients
from app.persistence.fan_outs import (
    Audience,
    FanOut,
    FanOutPageResult,
    find_next_fan_out,
    lock_fan_out_at_position,
    save_progress,
)
from app.persistence.groups import lock_recipients
from app.persistence.outbox_writer import OUTBOX_CHANNEL
from app.persistence.outgoing_messages import INSERT_MESSAGES_SQL
from app.persistence.suppressed_events import SuppressedEvent, insert_suppressed_outbox_rows

PAGE_SIZE = 1_000
MAX_SHOWN_SUPPRESSED = 100
"""A page on which more recipients are not notified has no rows that show it to them, only the row for the
delivery log: most people have news of the service switched off, and each would get a row."""
FAN_OUT_PAGE_CHANNEL = "fan_out_pages"
"""NOTIFY channel. Payload: the first and the last recipient id of a page."""


class FanOutPageWriter:
    def __init__(self, engine: Engine, now: Callable[[], float], page_size: int = PAGE_SIZE) -> None:
        self._engine = engine
        self._now = now
        self._page_size = page_size

    def find_next(self) -> FanOut | None:
        """The fan-out to continue. Raises Unavailable."""
        with translate_errors("find a fan-out"), self._engine.connect() as conn:
            return find_next_fan_out(conn)

    def write_next_page(self, fan_out: FanOut) -> dict[str, int]:
        """Writes the page after the position of `fan_out`, unless another worker has. Returns the number of
        recipients by outcome. Raises Unavailable."""
        with translate_errors("write a page of a fan-out"), self._engine.begin() as conn:
            # A clearing of the tables waits for this transaction and then deletes the fan-out.
            clear_watermarks.lock_shared_and_read_watermark(conn)
            recipient_ids = self._select_page(conn, fan_out)
            actor_ids = [fan_out.event.actor_id] if fan_out.event.actor_id else []
            existing_ids = lock_recipients(conn, [*recipient_ids, *actor_ids])
            if not lock_fan_out_at_position(conn, fan_out):
                return {}
            if fan_out.audience is Audience.NOTIFIED:
                outcomes = self._withdraw(conn, fan_out, recipient_ids)
            elif _lock_post(conn, fan_out.event):
                present_ids = [user_id for user_id in recipient_ids if user_id in existing_ids]
                outcomes = self._notify_recipients(conn, fan_out, present_ids)
                outcomes["expired"] += len(recipient_ids) - len(present_ids)
            else:
                outcomes, recipient_ids = Counter(), []
            is_last_page = len(recipient_ids) < self._page_size
            progress = FanOutPageResult(
                None if is_last_page else recipient_ids[-1], len(recipient_ids), dict(+outcomes)
            )
            save_progress(conn, self._count_recipients_once(conn, fan_out), progress)
            if recipient_ids:
                _notify_web_processes(conn, recipient_ids)
        return progress.count_by_outcome

    def _select_page(self, conn: Connection, fan_out: FanOut) -> list[str]:
        params = _audience_params(fan_out) | {"after": fan_out.last_recipient_id, "limit": self._page_size}
        return list(conn.execute(_SELECT_PAGE[fan_out.audience], params).scalars())

    def _count_recipients_once(self, conn: Connection, fan_out: FanOut) -> FanOut:
        """Counts the audience once, with the first page, so that the progress can be shown."""
        if fan_out.recipient_count is not None:
            return fan_out
        count = conn.execute(_COUNT_AUDIENCE[fan_out.audience], _audience_params(fan_out)).scalar_one()
        return fan_out.with_recipient_count(count)

    def _notify_recipients(
        self, conn: Connection, fan_out: FanOut, recipient_ids: Sequence[str]
    ) -> Counter[str]:
        """Counts by outcome."""
        now = datetime.fromtimestamp(self._now(), UTC)
        decisions = decide_for_recipients(conn, fan_out.event, recipient_ids, now)
        outcomes = Counter({reason: len(ids) for reason, ids in decisions.suppressed_ids.items()})
        outcomes["delivered"] = _insert_notifications(conn, fan_out, decisions)
        _show_suppressed(conn, fan_out.event, decisions)
        outcomes["merged"] = len(decisions.delivered_ids) - outcomes["delivered"]
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


def _insert_notifications(conn: Connection, fan_out: FanOut, decisions: RecipientDecisions) -> int:
    """Returns the number of new notifications."""
    event = fan_out.event
    params = {
        "fan_out": event.event_id,
        "users": decisions.delivered_ids,
        "numbers": decisions.variant_numbers,
        "first": min(decisions.delivered_ids, default=None),
        "last": max(decisions.delivered_ids, default=None),
        "variants": orjson.dumps(decisions.variants).decode(),
        "suppressed": orjson.dumps(decisions.suppressed_ids).decode(),
        # The row of the page needs some user.
        "page_user": next(decisions.all_ids(), None),
        "type": event.kind.value,
        "object": event.group_object_id,
        "actor": None if event.kind in UNGROUPED_KINDS else event.actor_id,
        "seq": event.seq,
        "created_at": fan_out.created_at,
    }
    count = int(conn.execute(_INSERT_NOTIFICATIONS, params).scalar_one())
    conn.execute(NOTIFY, {"channel": OUTBOX_CHANNEL})
    return count


def _show_suppressed(conn: Connection, event: Event, decisions: RecipientDecisions) -> None:
    """What a recipient was not told (app/social/suppressed_events.py)."""
    suppressed_events = [
        SuppressedEvent(replace(event, recipient_id=user_id), reason)
        for reason, user_ids in decisions.suppressed_ids.items()
        for user_id in user_ids
    ]
    if len(suppressed_events) <= MAX_SHOWN_SUPPRESSED:
        insert_suppressed_outbox_rows(conn, suppressed_events, is_logged=True)


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
# The columns are qualified: `order by subscriber_id` would sort the texts of all ids.
_SELECT_PAGE = {
    Audience.SUBSCRIBERS: text(
        f"select subscriber_id::text from {_SUBSCRIBERS_SQL} and subscriber_id > {_AFTER} "  # noqa: S608
        "order by bell_subscriptions.subscriber_id limit :limit"
    ),
    Audience.LISTED: text(
        "select recipient_id::text from fan_out_recipients "  # noqa: S608 - constants only
        f"where fan_out_id = :fan_out and recipient_id > {_AFTER} "
        "order by fan_out_recipients.recipient_id limit :limit"
    ),
    Audience.NOTIFIED: text(
        "select user_id::text from notifications "  # noqa: S608 - constants only
        f"where object_id = :object and type = :type and user_id > {_AFTER} "
        "order by notifications.user_id limit :limit"
    ),
}
_COUNT_AUDIENCE = {
    Audience.SUBSCRIBERS: text(f"select count(*) from {_SUBSCRIBERS_SQL}"),  # noqa: S608 - constants only
    Audience.LISTED: text("select count(*) from fan_out_recipients where fan_out_id = :fan_out"),
    Audience.NOTIFIED: text("select count(*) from notifications where object_id = :object and type = :type"),
}
_LOCK_POST = text("select id from posts where id = cast(:post as uuid) for key share")
_INSERT_NOTIFICATIONS = text(f"""
    with variants as (
        select position - 1 as number, v.row->'payload' as payload, v.row->>'clientEvent' as client_event,
            jsonb_populate_record(null::notifications, v.row->'columns') as columns
        from jsonb_array_elements(cast(:variants as jsonb)) with ordinality as v (row, position)
    ), missing as (
        select d.user_id, d.number
        from unnest(cast(:users as uuid[]), cast(:numbers as int[])) as d (user_id, number)
        -- The range lets the planner read those of this page only: it does not know how many there are.
        where not exists (select from notifications n where n.user_id = d.user_id and n.type = :type
            and n.object_id = cast(:object as uuid)
            and n.user_id between cast(:first as uuid) and cast(:last as uuid))
    ), numbered as (
        update users set client_seq = client_seq + 1
        from missing where users.id = missing.user_id
        returning users.id as user_id, users.client_seq, missing.number, uuidv7() as notification_id
    ), inserted_rows as (
        insert into notifications (id, user_id, type, priority, object_id, version, client_seq, target_type,
            target_id, actor_id, actor_count, title, message, quote, image_url, channels, metadata,
            deferred_until, created_at, updated_at)
        select notification_id, user_id, :type, (columns).priority, cast(:object as uuid), 1, client_seq,
            (columns).target_type, (columns).target_id, (columns).actor_id, (columns).actor_count,
            (columns).title, (columns).message, (columns).quote, (columns).image_url, (columns).channels,
            (columns).metadata, (columns).deferred_until, (columns).updated_at, (columns).updated_at
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
    ), announced as (
        select user_id, client_seq, notification_id, 1 as version, cast(:type as text) as type,
            to_jsonb((columns).channels) as channels, cast(:created_at as timestamptz) as created_at
        from numbered join variants using (number) where client_event = 'notification'
    ), inserted_messages as ({INSERT_MESSAGES_SQL}
    ), page as (
        insert into outbox (user_id, client_event, payload)
        select cast(:page_user as uuid), 'fan_out_page',
            jsonb_build_object('fanOutId', cast(:fan_out as text), 'type', cast(:type as text),
                'priority', (select (columns).priority from variants limit 1),
                'clientEvents', (select coalesce(jsonb_agg(client_event order by number), '[]')
                    from variants),
                'channels', (select coalesce(jsonb_agg((columns).channels order by number), '[]')
                    from variants),
                'entries', (select coalesce(jsonb_agg(
                    jsonb_build_array(user_id, notification_id, 1, client_seq, number)), '[]') from numbered),
                'suppressed', cast(:suppressed as jsonb))
        where exists (select from numbered) or cast(:suppressed as jsonb) <> '{{}}'::jsonb
    )
    select count(*) from numbered
""")  # noqa: S608 - constants only
_WITHDRAW_NOTIFICATIONS = text("""
    with withdrawn as (
        delete from notifications where object_id = :object and type = :type
            and user_id = any(cast(:users as uuid[]))
            and user_id between cast(:first as uuid) and cast(:last as uuid)
        returning id, user_id, version, priority, is_visible
    ), numbered as (
        update users set client_seq = client_seq + 1
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
