"""Outgoing messages: the e-mails and text messages of announcements, each retried separately.

In: announcements, in the statement that inserts them in the outbox. Out: claimed messages for
workers/mailer.py, which reports a DeliveryOutcome for each.

A message is claimed in one statement and settled in another, so no transaction is open while it is sent. A
claim expires after CLAIM_LEASE_SECONDS; then another process may claim the message.

Order: ordinary messages of one recipient and channel are sent oldest first, and later ones wait until the
earlier one has ended. A critical message waits for an earlier one of its recipient only while that one is due
or its attempt has just started, not while it hangs or waits for its next attempt.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
from sqlalchemy import Connection, Engine, text

from app.clients.postgres import autocommit_engine, translate_errors
from app.domain.events import CRITICAL_KINDS, Kind
from app.domain.mail_policy import RESET_TOKEN_TTL_MINUTES
from app.domain.redaction import LOGIN_CODE_VALID_MINUTES
from app.persistence.claimed_messages import (
    ClaimedMessage,
    DeliveryOutcome,
    SendQueue,
    claimed_message_from_row,
    find_render_error,
    settlement_row,
)
from app.persistence.serializer import render_payloads

DEAD_LETTER_ORIGIN = "outgoing_messages"
"""`origin` of a dead letter that is an outgoing message; its `position` is the message id."""
CLAIM_LEASE_SECONDS = 60.0
"""Longer than the longest attempt (app/delivery/transports.py)."""
MAX_ORDERING_DELAY_SECONDS = 2.0
"""For this long after its start an attempt delays later critical messages of its recipient."""
MAX_RETRY_AGE = timedelta(hours=24)
VALIDITY_BY_KIND = {
    Kind.OTP: timedelta(minutes=LOGIN_CODE_VALID_MINUTES),
    Kind.PASSWORD_RESET: timedelta(minutes=RESET_TOKEN_TTL_MINUTES),
}


def requeue_failed_messages(conn: Connection, message_ids: Sequence[int], now: float) -> set[int]:
    """Puts failed messages back for MAX_RETRY_AGE; codes and reset tokens keep their expiry. Returns the ids
    that were put back. `now` in Unix seconds."""
    requeued_at = _utc_from_unix_seconds(now)
    params = {
        "ids": list(message_ids),
        "now": requeued_at,
        "expires_at": requeued_at + MAX_RETRY_AGE,
        "kinds_with_validity": [kind.value for kind in VALIDITY_BY_KIND],
    }
    return set(conn.execute(_REQUEUE_FAILED, params).scalars())


class OutgoingMessages:
    """The table outgoing_messages."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim(self, queue: SendQueue, max_messages: int, now: float) -> list[ClaimedMessage]:
        """Claims due messages, the longest due first, and renders them with current names. `now` in Unix
        seconds. Raises Unavailable."""
        params = {
            "channel": queue.channel,
            "critical": queue.critical,
            "limit": max_messages,
            "now": _utc_from_unix_seconds(now),
            "lease_end": _utc_from_unix_seconds(now + CLAIM_LEASE_SECONDS),
            "recent_lease_end": _utc_from_unix_seconds(
                now + CLAIM_LEASE_SECONDS - MAX_ORDERING_DELAY_SECONDS
            ),
            "claim": str(uuid4()),
        }
        with translate_errors("claim messages"), autocommit_engine(self._engine).connect() as conn:
            rows = conn.execute(_CLAIM_DUE, params).mappings().all()
            render_errors = [find_render_error(row["payload"]) for row in rows]
            stored_payloads = [
                {} if render_error else row["payload"] or {}
                for row, render_error in zip(rows, render_errors, strict=True)
            ]
            payloads = render_payloads(conn, stored_payloads)
        return [
            claimed_message_from_row(*claimed_row)
            for claimed_row in zip(rows, payloads, render_errors, strict=True)
        ]

    def settle(self, outcomes: Sequence[DeliveryOutcome], now: float) -> list[int]:
        """Stores outcomes and dead letters in one transaction. Returns the ids of the messages that this
        attempt still had claimed; messages claimed by another process since then are left unchanged."""
        rows = orjson.dumps([settlement_row(outcome) for outcome in outcomes]).decode()
        with translate_errors("settle messages"), self._engine.begin() as conn:
            settled_ids = list(
                conn.execute(_SETTLE_CLAIMED, {"rows": rows, "now": _utc_from_unix_seconds(now)}).scalars()
            )
            conn.execute(_POSTPONE_LATER_MESSAGES, {"ids": settled_ids})
            conn.execute(
                _INSERT_DEAD_LETTERS,
                {"rows": rows, "ids": settled_ids, "origin": DEAD_LETTER_ORIGIN},
            )
        return settled_ids


def _utc_from_unix_seconds(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)


_VALIDITIES_SQL = "".join(
    f"when '{kind}' then interval '{validity.total_seconds():.0f} s' "
    for kind, validity in VALIDITY_BY_KIND.items()
)
INSERT_MESSAGES_SQL = f"""
    insert into outgoing_messages (user_id, client_seq, notification_id, version, channel, type, critical,
        created_at, due_at, expires_at)
    select user_id, client_seq, notification_id, version, channel, type,
        type in ({", ".join(f"'{kind}'" for kind in sorted(CRITICAL_KINDS))}), created_at, created_at,
        created_at + case type {_VALIDITIES_SQL}else interval '{MAX_RETRY_AGE.total_seconds():.0f} s' end
    from announced cross join lateral jsonb_array_elements_text(channels) as channel
    where channel in ('EMAIL', 'SMS')
        and (select not u.is_simulated from users u where u.id = announced.user_id)
    order by client_seq
    on conflict (notification_id, version, channel) do nothing
"""  # noqa: S608 - constants only
"""Part of each statement that inserts announcements in the outbox. It reads them from the relation
`announced`: user_id, client_seq, notification_id, version, type, channels (JSON) and created_at. Simulated
users get no messages."""
_CLAIM_DUE = text("""
    with due as (
        select m.id from outgoing_messages m
        where m.status = 'waiting' and m.channel = :channel and m.critical = :critical
            and m.due_at <= :now and not exists (
                select from outgoing_messages e
                where e.status = 'waiting' and e.user_id = m.user_id and e.channel = m.channel
                    and e.critical = m.critical and e.id < m.id
                    and (not m.critical or e.due_at <= :now
                        or (e.claim is not null and e.due_at > :recent_lease_end)))
        order by m.due_at, m.id limit :limit for update skip locked
    ), claimed as (
        update outgoing_messages m set claim = cast(:claim as uuid), due_at = :lease_end
        from due where m.id = due.id returning m.*
    )
    select c.id, c.claim::text, c.user_id::text, c.notification_id::text, c.version, c.channel,
        c.type, c.attempts, c.last_error, c.created_at, c.expires_at, o.payload, o.encrypted_body,
        case when not u.is_simulated then u.email end as email,
        case when p.user_id is not null then jsonb_build_object('push', p.push_enabled,
            'email', p.email_enabled, 'sms', p.sms_enabled, 'activity', p.activity,
            'social', p.social, 'marketing', p.marketing, 'channel_matrix', p.matrix) end as preferences
    from claimed c join users u on u.id = c.user_id
    left join outbox o on o.user_id = c.user_id and o.client_seq = c.client_seq
        and o.client_event = 'notification'
    left join notification_preferences p on p.user_id = c.user_id
    order by c.id
""")
_SETTLE_CLAIMED = text("""
    update outgoing_messages m set status = s.status, attempts = s.attempts, last_error = s.error,
        due_at = coalesce(s.due_at, m.due_at), claim = null,
        ended_at = case when s.status <> 'waiting' then :now end
    from (select (r->>'id')::bigint as id, (r->>'claim')::uuid as claim, r->>'status' as status,
            (r->>'attempts')::int as attempts, r->>'error' as error,
            (r->>'dueAt')::timestamptz as due_at
        from jsonb_array_elements(cast(:rows as jsonb)) r order by 1) s
    where m.id = s.id and m.claim = s.claim and m.status = 'waiting'
    returning m.id
""")
# Without this, each claim would scan all messages that wait behind one that is being retried.
_POSTPONE_LATER_MESSAGES = text("""
    update outgoing_messages later set due_at = retried.due_at
    from outgoing_messages retried
    where retried.id = any(cast(:ids as bigint[])) and retried.status = 'waiting' and not retried.critical
        and later.status = 'waiting' and later.user_id = retried.user_id and later.channel = retried.channel
        and not later.critical and later.id > retried.id and later.due_at < retried.due_at
""")
_INSERT_DEAD_LETTERS = text("""
    insert into dead_letters (origin, position, reason, payload)
    select :origin, r->>'id', r->>'reason', r->>'payload'
    from jsonb_array_elements(cast(:rows as jsonb)) r
    where r->>'status' = 'failed' and (r->>'id')::bigint = any(cast(:ids as bigint[]))
    on conflict (origin, position) do update set reason = excluded.reason, status = 'waiting',
        created_at = now(), resolved_at = null
""")
_REQUEUE_FAILED = text("""
    update outgoing_messages set status = 'waiting', attempts = 0, due_at = :now, claim = null,
        ended_at = null,
        expires_at = case when type = any(:kinds_with_validity) then expires_at else :expires_at end
    where id = any(cast(:ids as bigint[])) and status = 'failed' returning id
""")
