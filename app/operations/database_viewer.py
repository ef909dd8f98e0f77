"""Database viewer: the newest rows of four tables, about how many there are, and names for the ids in them.
Reads only.

Used by blueprints/admin/database_viewer.py.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, case, func, select, text

from app.clients.postgres import translate_errors
from app.domain.errors import Unavailable
from app.domain.events import CRITICAL_KINDS, UNGROUPED_KINDS, Kind
from app.domain.redaction import REDACTED
from app.domain.text import truncate_graphemes
from app.persistence.bounded_counts import MAX_COUNTED_ROWS, select_bounded_count
from app.persistence.groups import DISPLAY_NAME_SQL
from app.persistence.pages import AnyRow, Page, PageRequest, fetch_page
from app.persistence.serializer import message_text
from app.persistence.tables import (
    comments,
    follows,
    likes,
    notifications,
    users,
)

MAX_NAME_GRAPHEMES = 40
LIST_PERIODS = (timedelta(hours=1), timedelta(days=1), timedelta(days=30))
"""Searched one after the other for the newest rows. Likes and follows have only a BRIN index on their time,
which finds a period but gives no order."""


@dataclass(frozen=True, slots=True)
class TableView:
    """One tab: a table, a condition on its rows, and its columns by their JSON names."""

    table: Table
    row_filter: ColumnElement[bool]
    columns: dict[str, ColumnElement[Any]]
    to_dict: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """Converts a row for display."""
    has_two_ids: bool = False
    """Its rows are identified by two ids, joined by a colon."""

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
        has_two_ids=True,
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
        has_two_ids=True,
    ),
}


class DatabaseViewer:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_newest_rows(self, view: TableView, page: PageRequest) -> Page[dict[str, Any]]:
        query = select(*(column.label(name) for name, column in view.columns.items())).where(view.row_filter)
        created_at, ends_at = view.columns["createdAt"], page.after_key[0] if page.after_key else func.now()

        def to_dict(row: AnyRow) -> dict[str, Any]:
            return view.to_dict(dict(zip(view.columns, row, strict=False)))

        with translate_errors("list rows"), self._engine.connect() as conn:
            for period in LIST_PERIODS:
                recent = query.where(created_at >= ends_at - period)
                rows = fetch_page(conn, recent, view.sort_key_columns, page, to_dict)
                if rows.next_key is not None:
                    return rows
            return fetch_page(conn, query, view.sort_key_columns, page, to_dict)

    def find_names_by_ids(self, ids: Iterable[str | None]) -> dict[str, str]:
        """The names of users and the captions of posts among the ids. Empty while PostgreSQL is unavailable:
        the ids say the same."""
        known_ids = sorted({id for id in ids if id})
        try:
            with translate_errors("find names"), self._engine.connect() as conn:
                rows = conn.execute(_SELECT_NAMES, {"ids": known_ids}).all() if known_ids else []
        except Unavailable:
            return {}
        return {row[0]: truncate_graphemes(row[1], MAX_NAME_GRAPHEMES) for row in rows}

    def count_rows(self, view: TableView) -> int:
        """Exact up to MAX_COUNTED_ROWS, then PostgreSQL's estimate, which includes retracted rows."""
        with translate_errors("count rows"), self._engine.connect() as conn:
            return _count_or_estimate(conn, view.table, _select_rows(view))

    def count_recent_rows(self, view: TableView, since: datetime) -> int:
        """At most MAX_COUNTED_ROWS."""
        query = _select_rows(view).where(view.columns["createdAt"] >= since)
        with translate_errors("count rows"), self._engine.connect() as conn:
            return conn.execute(select_bounded_count(query, MAX_COUNTED_ROWS)).scalar_one()

    def count_users(self) -> int:
        """As count_rows()."""
        with translate_errors("count users"), self._engine.connect() as conn:
            return _count_or_estimate(conn, users, select(users.c.id))


def _select_rows(view: TableView) -> Select[Any]:
    return select(view.columns["createdAt"]).where(view.row_filter)


def _count_or_estimate(conn: Connection, table: Table, rows: Select[Any]) -> int:
    count = conn.execute(select_bounded_count(rows, MAX_COUNTED_ROWS + 1)).scalar_one()
    if count <= MAX_COUNTED_ROWS:
        return count
    return max(count, int(conn.execute(_ESTIMATE_ROWS, {"table": table.name}).scalar_one()))


_SELECT_NAMES = text(
    f"select u.id::text, {DISPLAY_NAME_SQL} from users u where u.id = any(cast(:ids as uuid[])) "  # noqa: S608 - constants only
    "union all select id::text, coalesce(left(caption, 200), 'A picture') from posts "
    "where id = any(cast(:ids as uuid[]))"
)
# Of all partitions, if the table has any; a table that was never analyzed has -1.
_ESTIMATE_ROWS = text("""
    select coalesce(sum(greatest(reltuples, 0)), 0) from pg_class
    where relkind = 'r' and (oid = cast(:table as regclass)
        or oid in (select relid from pg_partition_tree(cast(:table as regclass))))
""")
