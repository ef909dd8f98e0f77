"""The database viewer: the newest rows of four tables as they are, and how many there are.

In    blueprints/admin.py
Out   reads only
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Table, case, func, select, tuple_

from app.domain.events import CRITICAL_KINDS, UNGROUPED_KINDS, Kind
from app.domain.secrecy import WITHHELD
from app.stores.postgres import speaking
from app.stores.posts import Slice
from app.stores.serializer import message_of
from app.stores.tables import (
    comments,
    follows,
    kafka_fallback_queue,
    likes,
    notifications,
    users,
)


@dataclass(frozen=True, slots=True)
class View:
    """One tab: a table, which of its rows count, and its columns by their names on the wire."""

    table: Table
    where: ColumnElement[bool]
    columns: dict[str, ColumnElement[Any]]
    finish: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """Makes of a row what is shown."""

    @property
    def place(self) -> tuple[ColumnElement[Any], ...]:
        return self.columns["createdAt"], self.columns["id"]


def _pair(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[Any]:
    """The rows of two ids have no id of their own; the viewer wants one."""
    return func.concat(left, ":", right)


def _with_message(row: dict[str, Any]) -> dict[str, Any]:
    """The text with the name of today, in the column of a notice's own."""
    quote, kind = row.pop("quote"), Kind(row["type"])
    if kind not in UNGROUPED_KINDS:
        row["message"] = message_of(kind, row["actorName"], row["aggregatedCount"], quote)
    return row


_N = notifications.c
VIEWS = {
    "notification-history": View(
        notifications,
        (_N.version > 0) & _N.removed_at.is_(None),
        {
            "id": _N.id,
            "userId": _N.user_id,
            "type": _N.type,
            "priority": _N.priority,
            "actorName": select(func.coalesce(func.nullif(users.c.name, ""), users.c.username))
            .where(users.c.id == _N.actor_id)
            .scalar_subquery(),
            "isAggregated": _N.actor_count > 1,
            "aggregatedCount": _N.actor_count,
            "title": _N.title,
            # Codes and reset tokens are for their owner alone, not for who looks at tables.
            "message": case((_N.type.in_(sorted(CRITICAL_KINDS)), WITHHELD), else_=_N.message),
            "isRead": _N.is_read,
            "deliveryStatus": case((_N.held_until.is_not(None), "HELD"), else_="SENT"),
            "createdAt": _N.created_at,
            "quote": _N.quote,
        },
        _with_message,
    ),
    "likes": View(
        likes,
        likes.c.active,
        {
            "id": _pair(likes.c.post_id, likes.c.user_id),
            "postId": likes.c.post_id,
            "userId": likes.c.user_id,
            "createdAt": likes.c.created_at,
        },
    ),
    "comments": View(
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
    "follows": View(
        follows,
        follows.c.active,
        {
            "id": _pair(follows.c.follower_id, follows.c.following_id),
            "followerId": follows.c.follower_id,
            "followingId": follows.c.following_id,
            "createdAt": follows.c.created_at,
        },
    ),
}


class Viewer:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def newest(self, view: View, part: Slice) -> list[dict[str, Any]]:
        labelled = [column.label(name) for name, column in view.columns.items()]
        query = select(*labelled).where(view.where)
        if part.after is not None:
            query = query.where(tuple_(*view.place) < part.after)
        query = query.order_by(*(column.desc() for column in view.place)).limit(part.limit)
        with speaking("show a table"), self._engine.connect() as sql:
            return [view.finish(dict(row)) for row in sql.execute(query).mappings()]

    def count(self, view: View, since: datetime | None = None) -> int:
        query = select(func.count()).select_from(view.table).where(view.where)
        if since is not None:
            query = query.where(view.columns["createdAt"] >= since)
        with speaking("count rows"), self._engine.connect() as sql:
            return sql.execute(query).scalar_one()

    def users(self) -> int:
        with speaking("count people"), self._engine.connect() as sql:
            return sql.execute(select(func.count()).select_from(users)).scalar_one()

    def fallback(self, max_retries: int) -> tuple[int, int]:
        """(pending, failed) of the fallback queue."""
        queue = kafka_fallback_queue.c
        failed = queue.retry_count > max_retries
        query = select(func.count().filter(~failed), func.count().filter(failed))
        with speaking("count the backlog"), self._engine.connect() as sql:
            row = sql.execute(query.where(~queue.processed)).one()
        return row[0], row[1]
