"""A claimed outgoing message and the outcome of its attempt, as values and as rows.

In: rows that app/persistence/outgoing_messages.py claimed. Out: values for workers/mailer.py, and the
outcomes that it reports as rows to store.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import RowMapping

from app.domain.errors import Poisoned
from app.domain.events import Kind
from app.domain.preferences import NotificationPreferences
from app.persistence.serializer import validate_renderable_payload

STATUS_WAITING, STATUS_DELIVERED, STATUS_EXPIRED, STATUS_SUPPRESSED, STATUS_FAILED = (
    "waiting",
    "delivered",
    "expired",
    "preference",
    "failed",
)
"""`expired`: the client event was deleted or the recipient has no address. `preference`: the recipient
disabled the channel after the message was queued. `failed`: a dead letter has the reason."""


@dataclass(frozen=True, slots=True)
class SendQueue:
    """Messages of one channel that are sent in one order. Ordinary messages never delay critical ones."""

    channel: str
    critical: bool


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """`payload`: the rendered client event, None when it was deleted. `render_error`: why the payload cannot
    be rendered. `encrypted_body`: text that only the message may contain, such as a reset link."""

    id: int
    claim_token: str
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
    render_error: str | None
    encrypted_body: str | None
    email_address: str | None
    preferences: NotificationPreferences


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """The result of an attempt. `due_at`: the next attempt, if the message is still waiting."""

    message: ClaimedMessage
    status: str
    attempts: int
    error: str | None = None
    due_at: datetime | None = None


def find_render_error(payload: dict[str, Any] | None) -> str | None:
    """Why a stored payload cannot be rendered. Only that message becomes a dead letter."""
    try:
        validate_renderable_payload(payload or {})
    except Poisoned as exc:
        return str(exc)
    return None


def claimed_message_from_row(
    row: RowMapping, rendered_payload: Mapping[str, Any], render_error: str | None
) -> ClaimedMessage:
    """`rendered_payload` replaces that of the row unless there is a `render_error`."""
    stored_preferences = row["preferences"]
    return ClaimedMessage(
        id=row["id"],
        claim_token=row["claim"],
        user_id=row["user_id"],
        notification_id=row["notification_id"],
        version=row["version"],
        channel=row["channel"],
        kind=Kind(row["type"]),
        attempts=row["attempts"],
        last_error=row["last_error"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        payload=row["payload"] if render_error else rendered_payload or None,
        render_error=render_error,
        encrypted_body=row["encrypted_body"],
        email_address=row["email"],
        preferences=NotificationPreferences(**stored_preferences)
        if stored_preferences
        else NotificationPreferences(),
    )


def settlement_row(outcome: DeliveryOutcome) -> dict[str, object]:
    """The outcome as JSON for the statements that settle messages and insert dead letters."""
    message = outcome.message
    dead_letter_payload = {
        "notificationId": message.notification_id,
        "version": message.version,
        "userId": message.user_id,
        "type": message.kind.value,
    }
    return {
        "id": message.id,
        "claim": message.claim_token,
        "status": outcome.status,
        "attempts": outcome.attempts,
        "error": outcome.error,
        "dueAt": outcome.due_at.isoformat() if outcome.due_at else None,
        "reason": f"{message.channel}: {outcome.error}",
        # Without the text, which may contain a code.
        "payload": orjson.dumps(dead_letter_payload).decode(),
    }
