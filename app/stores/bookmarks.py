"""Bookmarks: posts that somebody keeps for later. Nobody is told of them.

In    blueprints/bookmarks.py, blueprints/pages.py
Out   the table bookmarks
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, text

from app.stores.blocks import unblocked
from app.stores.postgres import speaking
from app.stores.posts import MISSING, Slice


@dataclass(frozen=True, slots=True)
class Bookmark:
    post_id: str
    since: datetime


class Bookmarks:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, user_id: str, post_id: str, on: bool | None) -> bool:
        """What stands afterwards; None turns it over. Raises Rejected (404)."""
        values = {"user": user_id, "post": post_id}
        with speaking("keep a bookmark"), self._engine.begin() as sql:
            if sql.execute(_POST, values).first() is None:
                raise MISSING
            if on is not True:
                gone = sql.execute(_TAKE, values).rowcount
                if gone or on is False:
                    return False
            if sql.execute(_SEEN, values).first() is None:
                raise MISSING  # a block hides it: one's own bookmark can go, no other can come
            sql.execute(_PUT, values)
            return True

    def newest(self, user_id: str, part: Slice) -> list[Bookmark]:
        moment, last = part.after or (None, None)
        older = "and (created_at, post_id) < (:moment, cast(:last as uuid))" if part.after else ""
        values: dict[str, object] = {"user": user_id, "moment": moment, "last": last}
        values |= {"limit": part.limit, "offset": part.offset}
        with speaking("list bookmarks"), self._engine.connect() as sql:
            rows = sql.execute(text(_NEWEST.format(older=older)), values)
            return [Bookmark(*row) for row in rows]

    def among(self, user_id: str, post_ids: Sequence[str]) -> list[str]:
        """Those of them that are bookmarked, in the order asked."""
        if not post_ids:
            return []
        with speaking("look for bookmarks"), self._engine.connect() as sql:
            kept = set(sql.execute(_AMONG, {"user": user_id, "posts": list(post_ids)}).scalars())
        return [one for one in dict.fromkeys(post_ids) if one in kept]


_POST = text("select 1 from posts where id = :post")
_SEEN = text(
    "select 1 from posts where id = :post "  # noqa: S608 - constants only
    f"and {unblocked('posts.user_id', 'cast(:user as uuid)')}"
)
_TAKE = text("delete from bookmarks where user_id = :user and post_id = :post")
# Selected from both tables: a post or an account that just went is no fault, but no bookmark.
_PUT = text(
    "insert into bookmarks (user_id, post_id) select u.id, p.id from users u, posts p "
    "where u.id = :user and p.id = :post on conflict do nothing"
)
_NEWEST = (
    "select post_id::text, created_at from bookmarks where user_id = :user {older} "
    "order by created_at desc, post_id desc limit :limit offset :offset"
)
_AMONG = text(
    "select post_id::text from bookmarks "
    "where user_id = :user and post_id = any(cast(:posts as uuid[]))"
)
