"""Counts whose cost does not grow with the table: they stop at a number of rows.

Used by everything that a request counts. A count that reached its bound means "at least that many".
"""

from typing import Any

from sqlalchemy import Select, func, select

MAX_LISTED_ROWS = 1_000
"""How far page numbers reach, and up to where the totals of lists count."""
MAX_COUNTED_ROWS = 10_000
"""For single figures that are shown alone: unread notifications, posts and follows of a user."""


def select_bounded_count(rows: Select[Any], max_rows: int) -> Select[int]:
    """The number of rows of the query, at most `max_rows`."""
    return select(func.count()).select_from(rows.limit(max_rows).subquery())


def bounded_count_sql(rows_sql: str, max_rows: int = MAX_COUNTED_ROWS) -> str:
    """The same as an SQL expression; `rows_sql` begins with `select`."""
    return f"(select count(*) from ({rows_sql} limit {max_rows}) counted)"  # noqa: S608 - constants only


def unread_count_sql(user_expr: str) -> str:
    """The number of unread notifications of a user, as an SQL expression."""
    return bounded_count_sql(f"select from unread_notifications n where n.user_id = {user_expr}")
