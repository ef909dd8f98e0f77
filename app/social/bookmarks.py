"""Bookmarked posts of a user. Bookmarks cause no notifications.

In: requests of blueprints/api/bookmarks.py and blueprints/pages/post_pages.py. Out: the table bookmarks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, text

from app.clients.postgres import translate_errors
from app.persistence.blocks import not_blocked_sql
from app.social.posts import NOT_FOUND, PageRequest


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

    def list_newest(self, user_id: str, page: PageRequest) -> list[Bookmark]:
        after_created_at, after_post_id = page.after_key or (None, None)
        keyset_condition = (
            "and (created_at, post_id) < (:after_created_at, cast(:after_id as uuid))"
            if page.after_key
            else ""
        )
        values: dict[str, object] = {
            "user": user_id,
            "after_created_at": after_created_at,
            "after_id": after_post_id,
        }
        values |= {"limit": page.limit, "offset": page.offset}
        with translate_errors("list bookmarks"), self._engine.connect() as conn:
            rows = conn.execute(text(_SELECT_NEWEST.format(keyset_condition=keyset_condition)), values)
            return [Bookmark(*row) for row in rows]

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
_SELECT_NEWEST = (
    "select post_id::text, created_at from bookmarks where user_id = :user {keyset_condition} "
    "order by created_at desc, bookmarks.post_id desc limit :limit offset :offset"
)
_SELECT_BOOKMARKED = text(
    "select post_id::text from bookmarks where user_id = :user and post_id = any(cast(:posts as uuid[]))"
)
