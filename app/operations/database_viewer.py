"""Database viewer: the newest rows of four tables, and how many there are. Reads only.

Used by blueprints/admin/database_viewer.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Table, case, func, select, tuple_

from app.clients.postgres import translate_errors
from app.domain.events import CRITICAL_KINDS, UNGROUPED_KINDS, Kind
from app.domain.redaction import REDACTED
from app.persistence.serializer import message_text
from app.persistence.tables import (
    comments,
    follows,
    kafka_fallback_queue,
    likes,
    notifications,
    users,
)
from app.social.posts import PageRequest


@dataclass(frozen=True, slots=True)
class TableView:
    """One tab: a table, a condition on its rows, and its columns by their JSON names."""

    table: Table
    row_filter: ColumnElement[bool]
    columns: dict[str, ColumnElement[Any]]
    to_dict: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """Converts a row for display."""

    @property
    def sort_key_columns(self) -> tuple[ColumnElement[Any], ...]:
        return self.columns["createdAt"], self.columns["id"]


def _concatenate_ids(first_id: ColumnElement[Any], second_id: ColumnElement[Any]) -> ColumnElement[Any]:
    """An id for rows that are identified by two ids."""
    return func.concat(first_id, ":", second_id)


def _fill_in_message_text(row: dict[str, Any]) -> dict[str, Any]:
    """The text with current names, in the column for texts of standalone notifications."""
    quote, kind = row.pop("quote"), Kind(row["type"])
    if kind not in UNGROUPED_KINDS:
        row["message"] = message_text(kind, row["actorName"], row["aggregatedCount"], quote)
    return row


_COLUMNS = notifications.c
TABLE_VIEWS = {
    "notification-history": TableView(
        notifications,
        (_COLUMNS.version > 0) & _COLUMNS.removed_at.is_(None),
        {
            "id": _COLUMNS.id,
            "userId": _COLUMNS.user_id,
            "type": _COLUMNS.type,
            "priority": _COLUMNS.priority,
            "actorName": select(func.coalesce(func.nullif(users.c.name, ""), users.c.username))
            .where(users.c.id == _COLUMNS.actor_id)
            .scalar_subquery(),
            "isAggregated": _COLUMNS.actor_count > 1,
            "aggregatedCount": _COLUMNS.actor_count,
            "title": _COLUMNS.title,
            # Codes and reset tokens are shown to their owner only.
            "message": case((_COLUMNS.type.in_(sorted(CRITICAL_KINDS)), REDACTED), else_=_COLUMNS.message),
            "isRead": _COLUMNS.is_read,
            "deliveryStatus": case((_COLUMNS.deferred_until.is_not(None), "HELD"), else_="SENT"),
            "createdAt": _COLUMNS.created_at,
            "quote": _COLUMNS.quote,
        },
        _fill_in_message_text,
    ),
    "likes": TableView(
        likes,
        likes.c.active,
        {
            "id": _concatenate_ids(likes.c.post_id, likes.c.user_id),
            "postId": likes.c.post_id,
            "userId": likes.c.user_id,
            "createdAt": likes.c.created_at,
        },
    ),
    "comments": TableView(
        comments,
        comments.c.active,
        {
            "id": comments.c.id,
            "postId": comments.c.post_id,
            "userId": comments.c.user_id,
            "content": comments.c.content,
            "createdAt": comments.c.created_at,
        },
    ),
    "follows": TableView(
        follows,
        follows.c.active,
        {
            "id": _concatenate_ids(follows.c.follower_id, follows.c.following_id),
            "followerId": follows.c.follower_id,
            "followingId": follows.c.following_id,
            "createdAt": follows.c.created_at,
        },
    ),
}


class DatabaseViewer:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_newest_rows(self, view: TableView, page: PageRequest) -> list[dict[str, Any]]:
        columns = [column.label(name) for name, column in view.columns.items()]
        query = select(*columns).where(view.row_filter)
        if page.after_key is not None:
            query = query.where(tuple_(*view.sort_key_columns) < page.after_key)
        query = query.order_by(*(column.desc() for column in view.sort_key_columns)).limit(page.limit)
        with translate_errors("list rows"), self._engine.connect() as conn:
            return [view.to_dict(dict(row)) for row in conn.execute(query).mappings()]

    def count_rows(self, view: TableView, since: datetime | None = None) -> int:
        query = select(func.count()).select_from(view.table).where(view.row_filter)
        if since is not None:
            query = query.where(view.columns["createdAt"] >= since)
        with translate_errors("count rows"), self._engine.connect() as conn:
            return conn.execute(query).scalar_one()

    def count_users(self) -> int:
        with translate_errors("count users"), self._engine.connect() as conn:
            return conn.execute(select(func.count()).select_from(users)).scalar_one()

    def count_pending_and_failed_fallback(self, max_retries: int) -> tuple[int, int]:
        """(pending, failed) of the fallback queue."""
        columns = kafka_fallback_queue.c
        is_failed = columns.retry_count > max_retries
        query = select(func.count().filter(~is_failed), func.count().filter(is_failed))
        with translate_errors("count the fallback queue"), self._engine.connect() as conn:
            row = conn.execute(query.where(~columns.processed)).one()
        return row[0], row[1]
