"""Bookmarked posts of a user. Bookmarks cause no notifications.

In: requests of blueprints/api/bookmarks.py and blueprints/pages/post_pages.py. Out: the table bookmarks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, select, text

from app.clients.postgres import translate_errors
from app.persistence.blocks import not_blocked_sql
from app.persistence.pages import Page, PageRequest, fetch_page
from app.persistence.tables import bookmarks
from app.social.posts import NOT_FOUND


@dataclass(frozen=True, slots=True)
class Bookmark:
    post_id: str
    bookmarked_at: datetime


class Bookmarks:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def set_or_toggle_bookmark(self, user_id: str, post_id: str, bookmarked: bool | None) -> bool:
        """Returns the new state. None toggles it. Raises Rejected (404)."""
        values = {"user": user_id, "post": post_id}
        with translate_errors("store a bookmark"), self._engine.begin() as conn:
            if conn.execute(_SELECT_POST, values).first() is None:
                raise NOT_FOUND
            if bookmarked is not True:
                deleted_count = conn.execute(_DELETE, values).rowcount
                if deleted_count or bookmarked is False:
                    return False
            if conn.execute(_SELECT_VISIBLE_POST, values).first() is None:
                raise NOT_FOUND  # hidden by a block: a bookmark can be removed but not added
            conn.execute(_INSERT, values)
            return True

    def list_newest(self, user_id: str, page: PageRequest) -> Page[Bookmark]:
        columns = bookmarks.c
        query = select(columns.post_id, columns.created_at).where(columns.user_id == user_id)
        sort_columns = (columns.created_at, columns.post_id)
        with translate_errors("list bookmarks"), self._engine.connect() as conn:
            return fetch_page(conn, query, sort_columns, page, lambda row: Bookmark(row[0], row[1]))

    def filter_bookmarked(self, user_id: str, post_ids: Sequence[str]) -> list[str]:
        """The posts that are bookmarked, in the order of `post_ids`."""
        if not post_ids:
            return []
        with translate_errors("read bookmarks"), self._engine.connect() as conn:
            bookmarked_ids = set(
                conn.execute(_SELECT_BOOKMARKED, {"user": user_id, "posts": list(post_ids)}).scalars()
            )
        return [post_id for post_id in dict.fromkeys(post_ids) if post_id in bookmarked_ids]


_SELECT_POST = text("select 1 from posts where id = :post")
_SELECT_VISIBLE_POST = text(
    "select 1 from posts where id = :post "  # noqa: S608 - constants only
    f"and {not_blocked_sql('posts.user_id', 'cast(:user as uuid)')}"
)
_DELETE = text("delete from bookmarks where user_id = :user and post_id = :post")
# Selected from both tables: if the post or user was deleted meanwhile, nothing is inserted and nothing fails.
_INSERT = text(
    "insert into bookmarks (user_id, post_id) select u.id, p.id from users u, posts p "
    "where u.id = :user and p.id = :post on conflict do nothing"
)
_SELECT_BOOKMARKED = text(
    "select post_id::text from bookmarks where user_id = :user and post_id = any(cast(:posts as uuid[]))"
)
