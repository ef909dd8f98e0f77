"""Adds e-mails and text messages to the table outgoing_messages.

In: critical events of app/persistence/outbox_writer.py and messages of workers/mail_consumer.py.
Out: rows that app/persistence/outgoing_messages.py hands to workers/mailer.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
from sqlalchemy import Connection, text

from app.domain.events import CRITICAL_KINDS, Kind
from app.domain.mail_policy import RESET_TOKEN_TTL_MINUTES
from app.domain.redaction import LOGIN_CODE_VALID_MINUTES

MAX_RETRY_AGE = timedelta(hours=24)
VALIDITY_BY_KIND = {
    Kind.OTP: timedelta(minutes=LOGIN_CODE_VALID_MINUTES),
    Kind.PASSWORD_RESET: timedelta(minutes=RESET_TOKEN_TTL_MINUTES),
}


@dataclass(frozen=True, slots=True)
class NewOutgoingMessage:
    """A client event that is also sent by e-mail or text message."""

    user_id: str
    client_seq: int
    notification_id: str
    version: int
    kind: Kind
    channels: tuple[str, ...]
    created_at: datetime


def enqueue_emails_and_texts(conn: Connection, messages: Iterable[NewOutgoingMessage]) -> None:
    """Adds one row per message and channel. Existing rows stay as they are. Simulated and deleted users
    get no messages."""
    rows = [row for message in messages for row in _rows_per_channel(message)]
    if rows:
        conn.execute(_INSERT_MESSAGES, {"rows": orjson.dumps(rows).decode()})


def _rows_per_channel(message: NewOutgoingMessage) -> list[dict[str, object]]:
    expires_at = message.created_at + VALIDITY_BY_KIND.get(message.kind, MAX_RETRY_AGE)
    return [
        {
            "userId": message.user_id,
            "clientSeq": message.client_seq,
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


_INSERT_MESSAGES = text("""
    insert into outgoing_messages (user_id, client_seq, notification_id, version, channel, type, critical,
        created_at, due_at, expires_at)
    select u.id, (m.row->>'clientSeq')::bigint, (m.row->>'notificationId')::uuid,
        (m.row->>'version')::int, m.row->>'channel', m.row->>'type', (m.row->>'critical')::boolean,
        (m.row->>'createdAt')::timestamptz, (m.row->>'createdAt')::timestamptz,
        (m.row->>'expiresAt')::timestamptz
    from jsonb_array_elements(cast(:rows as jsonb)) with ordinality as m (row, position)
    join users u on u.id = (m.row->>'userId')::uuid and not u.is_simulated
    order by m.position
    on conflict (notification_id, version, channel) do nothing
""")
