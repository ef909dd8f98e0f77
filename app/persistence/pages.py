"""Pages of lists, by keyset: the rows after the sort key of the last row that a client has.

In: a PageRequest of blueprints/http/pagination.py, which makes cursors of the keys. Out: a Page. One row more
than its limit is read, which shows whether there is a next page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, tuple_

Item = TypeVar("Item")
Other = TypeVar("Other")
AnyRow = Row[*tuple[Any, ...]]
SortKey = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A page, after a sort key or by offset."""

    limit: int
    offset: int = 0
    after_key: SortKey | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    items: list[Item]
    next_key: SortKey | None
    """The sort key of the last item; None on the last page."""

    def with_items(self, items: list[Other]) -> "Page[Other]":
        return Page(items, self.next_key)


def cut_page(rows: Sequence[Item], limit: int, key_of: Callable[[Item], SortKey]) -> Page[Item]:
    """`rows`: of the page, and one more if there is a next page."""
    return Page(list(rows[:limit]), key_of(rows[limit - 1]) if len(rows) > limit else None)


def fetch_page(
    conn: Connection,
    query: Select[Any],
    sort_columns: Sequence[ColumnElement[Any]],
    page: PageRequest,
    to_item: Callable[[AnyRow], Item],
) -> Page[Item]:
    """Sorted from the highest to the lowest; the sort columns together are unique. `to_item` gets the columns
    of the query, and after them the sort columns."""
    if page.after_key is not None:
        query = query.where(tuple_(*sort_columns) < page.after_key)
    query = query.add_columns(*(column.label(f"sort_key_{n}") for n, column in enumerate(sort_columns)))
    query = query.order_by(*(column.desc() for column in sort_columns))
    rows = conn.execute(query.limit(page.limit + 1).offset(page.offset)).all()
    cut = cut_page(rows, page.limit, lambda row: tuple(row)[-len(sort_columns) :])
    return cut.with_items([to_item(row) for row in cut.items])
