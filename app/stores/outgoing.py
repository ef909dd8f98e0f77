"""Outgoing messages: the table of e-mails and text messages, each a unit of retry by itself.

In    stores/frames.py, in the ledger's transaction (critical kinds); workers/mail_consumer.py
Out   workers/mailer.py

A message is claimed in one statement and settled in another: no transaction is open while it is
sent. A claim has an end (LEASE_SECONDS), after which another process may take the message.

Order: among the ordinary messages of one recipient and channel the oldest goes first, and the later
ones wait for its end. A critical message waits for an earlier one of its recipient only while that
one is due or has just been begun, not while it hangs or waits for its next attempt.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Connection, Engine, RowMapping, text

from app.domain.errors import Poisoned
from app.domain.events import CRITICAL_KINDS, Kind
from app.domain.preferences import Preferences
from app.domain.secrecy import CODE_MINUTES
from app.stores.postgres import at_once, speaking
from app.stores.secrets import RESET_MINUTES
from app.stores.serializer import check_names, present

ORIGIN = "outgoing_messages"
"""`origin` of a dead letter that is a message; its `position` is the message's id."""
LEASE_SECONDS = 60.0
"""Above the longest attempt (streams/transports.py)."""
IN_ORDER_SECONDS = 2.0
"""So long after its beginning an attempt holds back later critical messages of its recipient."""
RETRIED_FOR = timedelta(hours=24)
_VALID = {
    Kind.OTP: timedelta(minutes=CODE_MINUTES),
    Kind.PASSWORD_RESET: timedelta(minutes=RESET_MINUTES),
}
WAITING, DELIVERED, EXPIRED, PREFERENCE, FAILED = (
    "waiting",
    "delivered",
    "expired",
    "preference",
    "failed",
)
"""States. `expired`: its frame was cleared or its recipient has no address. `preference`: switched
off after it was decided. `failed`: there is a dead letter with the reason."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A frame of the outbox that goes by e-mail or text message as well."""

    user_id: str
    seq: int
    notification_id: str
    version: int
    kind: Kind
    channels: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SendQueue:
    """What is sent apart from all else: ordinary messages never delay critical ones."""

    channel: str
    critical: bool


@dataclass(frozen=True, slots=True)
class Claimed:
    """`payload`: the frame, None when it was cleared. `poison`: why the frame cannot be shown.
    `sealed`: what only the message may say."""

    id: int
    claim: str
    user_id: str
    notification_id: str
    version: int
    channel: str
    kind: Kind
    attempts: int
    last_error: str | None
    created_at: datetime
    expires_at: datetime
    payload: Mapping[str, Any] | None
    poison: str | None
    sealed: str | None
    address: str | None
    preferences: Preferences


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of an attempt. `due_at` counts if the message still waits."""

    message: Claimed
    status: str
    attempts: int
    error: str | None = None
    due_at: datetime | None = None


def enqueue(sql: Connection, messages: Iterable[NewMessage]) -> None:
    """Adds one row per message and channel. A message that is there already stays as it is;
    simulated and removed accounts get none."""
    rows = [row for one in messages for row in _rows(one)]
    if rows:
        sql.execute(_ENQUEUE, {"rows": orjson.dumps(rows).decode()})


def _rows(message: NewMessage) -> list[dict[str, object]]:
    expires_at = message.created_at + _VALID.get(message.kind, RETRIED_FOR)
    return [
        {
            "userId": message.user_id,
            "seq": message.seq,
            "notificationId": message.notification_id,
            "version": message.version,
            "channel": channel,
            "type": message.kind.value,
            "critical": message.kind in CRITICAL_KINDS,
            "createdAt": message.created_at.isoformat(),
            "expiresAt": expires_at.isoformat(),
        }
        for channel in message.channels
    ]


def requeue(sql: Connection, ids: Sequence[int], now: float) -> set[int]:
    """Puts failed messages back for another day; codes keep the end of their validity. Which."""
    values = {
        "ids": list(ids),
        "now": _moment(now),
        "until": _moment(now) + RETRIED_FOR,
        "coded": [kind.value for kind in _VALID],
    }
    return set(sql.execute(_REQUEUE, values).scalars())


class OutgoingMessages:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def backlog(self) -> tuple[int, float | None]:
        """How many wait, and the age of the oldest in seconds."""
        with speaking("count messages"), self._engine.connect() as sql:
            waiting, oldest = sql.execute(MAIL_BACKLOG).one()
        return waiting, None if oldest is None else float(oldest)

    def add(self, messages: Iterable[NewMessage]) -> None:
        with speaking("keep outgoing messages"), self._engine.begin() as sql:
            enqueue(sql, messages)

    def claim(self, queue: SendQueue, most: int, now: float) -> list[Claimed]:
        """The messages that are due, the longest due first, with the names that people have now;
        nobody else gets them for a while."""
        values = {
            "channel": queue.channel,
            "critical": queue.critical,
            "most": most,
            "now": _moment(now),
            "lease_end": _moment(now + LEASE_SECONDS),
            "begun": _moment(now + LEASE_SECONDS - IN_ORDER_SECONDS),
            "claim": str(uuid4()),
        }
        with speaking("claim messages"), at_once(self._engine).connect() as sql:
            rows = sql.execute(_CLAIM, values).mappings().all()
            poison = [_unshowable(row["payload"]) for row in rows]
            stored = [
                {} if bad else row["payload"] or {} for row, bad in zip(rows, poison, strict=True)
            ]
            frames = present(sql, stored)
        return [_claimed(*one) for one in zip(rows, frames, poison, strict=True)]

    def settle(self, settlements: Sequence[Settlement], now: float) -> list[int]:
        """Stores outcomes in one transaction, dead letters included. The ids of those that were
        still claimed by this attempt; the others are another's by now and stay as they are."""
        rows = orjson.dumps([_settled(one) for one in settlements]).decode()
        with speaking("settle messages"), self._engine.begin() as sql:
            done = list(sql.execute(_SETTLE, {"rows": rows, "now": _moment(now)}).scalars())
            sql.execute(_HOLD_LATER_ONES, {"ids": done})
            sql.execute(_DEAD_LETTERS, {"rows": rows, "ids": done, "origin": ORIGIN})
        return done


def _unshowable(payload: dict[str, Any] | None) -> str | None:
    """Why the names in a stored frame cannot be looked up: that message alone is a dead letter."""
    try:
        check_names(payload or {})
    except Poisoned as reason:
        return str(reason)
    return None


def _claimed(row: RowMapping, frame: Mapping[str, Any], poison: str | None) -> Claimed:
    chosen = row["chosen"]
    return Claimed(
        id=row["id"],
        claim=row["claim"],
        user_id=row["user_id"],
        notification_id=row["notification_id"],
        version=row["version"],
        channel=row["channel"],
        kind=Kind(row["type"]),
        attempts=row["attempts"],
        last_error=row["last_error"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        payload=row["payload"] if poison else frame or None,
        poison=poison,
        sealed=row["letter"],
        address=row["email"],
        preferences=Preferences(**chosen) if chosen else Preferences(),
    )


def _settled(one: Settlement) -> dict[str, object]:
    message = one.message
    about = {
        "notificationId": message.notification_id,
        "version": message.version,
        "userId": message.user_id,
        "type": message.kind.value,
    }
    return {
        "id": message.id,
        "claim": message.claim,
        "status": one.status,
        "attempts": one.attempts,
        "error": one.error,
        "dueAt": one.due_at.isoformat() if one.due_at else None,
        "reason": f"{message.channel}: {one.error}",
        # Without its text: it may hold a code.
        "payload": orjson.dumps(about).decode(),
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


MAIL_BACKLOG = text(
    "select count(*), extract(epoch from now() - min(created_at)) from outgoing_messages "
    "where status = 'waiting'"
)
_ENQUEUE = text("""
    insert into outgoing_messages (user_id, seq, notification_id, version, channel, type, critical,
        created_at, due_at, expires_at)
    select u.id, (m.row->>'seq')::bigint, (m.row->>'notificationId')::uuid,
        (m.row->>'version')::int, m.row->>'channel', m.row->>'type', (m.row->>'critical')::boolean,
        (m.row->>'createdAt')::timestamptz, (m.row->>'createdAt')::timestamptz,
        (m.row->>'expiresAt')::timestamptz
    from jsonb_array_elements(cast(:rows as jsonb)) with ordinality as m (row, place)
    join users u on u.id = (m.row->>'userId')::uuid and not u.is_simulated
    order by m.place
    on conflict (notification_id, version, channel) do nothing
""")
_CLAIM = text("""
    with due as (
        select m.id from outgoing_messages m
        where m.status = 'waiting' and m.channel = :channel and m.critical = :critical
            and m.due_at <= :now and not exists (
                select from outgoing_messages e
                where e.status = 'waiting' and e.user_id = m.user_id and e.channel = m.channel
                    and e.critical = m.critical and e.id < m.id
                    and (not m.critical or e.due_at <= :now
                        or (e.claim is not null and e.due_at > :begun)))
        order by m.due_at, m.id limit :most for update skip locked
    ), claimed as (
        update outgoing_messages m set claim = cast(:claim as uuid), due_at = :lease_end
        from due where m.id = due.id returning m.*
    )
    select c.id, c.claim::text, c.user_id::text, c.notification_id::text, c.version, c.channel,
        c.type, c.attempts, c.last_error, c.created_at, c.expires_at, o.payload, o.letter,
        case when not u.is_simulated then u.email end as email,
        case when p.user_id is not null then jsonb_build_object('push', p.push_enabled,
            'email', p.email_enabled, 'sms', p.sms_enabled, 'activity', p.activity,
            'social', p.social, 'marketing', p.marketing, 'matrix', p.matrix) end as chosen
    from claimed c join users u on u.id = c.user_id
    left join outbox o on o.user_id = c.user_id and o.seq = c.seq and o.frame = 'notification'
    left join notification_preferences p on p.user_id = c.user_id
    order by c.id
""")
_SETTLE = text("""
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
# Else each claim would look at all that waits behind a message that is being retried.
_HOLD_LATER_ONES = text("""
    update outgoing_messages l set due_at = h.due_at
    from outgoing_messages h
    where h.id = any(cast(:ids as bigint[])) and h.status = 'waiting' and not h.critical
        and l.status = 'waiting' and l.user_id = h.user_id and l.channel = h.channel
        and not l.critical and l.id > h.id and l.due_at < h.due_at
""")
_DEAD_LETTERS = text("""
    insert into dead_letters (origin, position, reason, payload)
    select :origin, r->>'id', r->>'reason', r->>'payload'
    from jsonb_array_elements(cast(:rows as jsonb)) r
    where r->>'status' = 'failed' and (r->>'id')::bigint = any(cast(:ids as bigint[]))
    on conflict (origin, position) do update set reason = excluded.reason, status = 'waiting',
        created_at = now(), settled_at = null
""")
_REQUEUE = text("""
    update outgoing_messages set status = 'waiting', attempts = 0, due_at = :now, claim = null,
        ended_at = null,
        expires_at = case when type = any(:coded) then expires_at else :until end
    where id = any(cast(:ids as bigint[])) and status = 'failed' returning id
""")
