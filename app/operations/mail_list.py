"""E-mails and text messages, newest first: state, attempts and errors, no addresses and texts. Reads only.

Used by blueprints/admin/mail.py.
"""

from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, func, select

from app.clients.postgres import translate_errors
from app.persistence.tables import outgoing_messages, users

MAIL_STATUSES = ("waiting", "delivered", "expired", "preference", "failed")
_COLUMNS = outgoing_messages.c


class MailList:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_newest(self, limit: int, before_id: int | None, status: str | None) -> list[dict[str, Any]]:
        """`before_id`: the id of the last message of the page before. Raises Unavailable."""
        query = _SELECT_MESSAGES.order_by(_COLUMNS.id.desc()).limit(limit)
        if before_id is not None:
            query = query.where(_COLUMNS.id < before_id)
        if status is not None:
            query = query.where(_COLUMNS.status == status)
        with translate_errors("list messages"), self._engine.connect() as conn:
            return [dict(zip(_COLUMN_BY_FIELD, row, strict=True)) for row in conn.execute(query)]


_COLUMN_BY_FIELD: dict[str, ColumnElement[Any]] = {
    "id": _COLUMNS.id,
    "recipientId": _COLUMNS.user_id,
    "recipientName": func.coalesce(func.nullif(users.c.name, ""), users.c.username),
    "channel": _COLUMNS.channel,
    "type": _COLUMNS.type,
    "critical": _COLUMNS.critical,
    "status": _COLUMNS.status,
    "attempts": _COLUMNS.attempts,
    "lastError": _COLUMNS.last_error,
    "createdAt": _COLUMNS.created_at,
    "dueAt": _COLUMNS.due_at,
    "endedAt": _COLUMNS.ended_at,
}
_SELECT_MESSAGES: Select[Any] = select(*_COLUMN_BY_FIELD.values()).join(users, users.c.id == _COLUMNS.user_id)
