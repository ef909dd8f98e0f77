"""Posts: the feed and single ones. Their likes and comments are counted elsewhere.

In    blueprints/posts.py, blueprints/pages.py
Out   the table posts (reads; app/actions.py writes)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, func, select, text, tuple_

from app.domain.errors import Rejected
from app.stores.blocks import unblocked_for
from app.stores.postgres import speaking
from app.stores.tables import posts, users
from app.stores.users import Mini

MISSING = Rejected("Post not found", "post_not_found", 404)
LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"


@dataclass(frozen=True, slots=True)
class Post:
    id: str
    user_id: str
    caption: str | None
    image_url: str | None
    created_at: datetime
    updated_at: datetime
    author: Mini


@dataclass(frozen=True, slots=True)
class Slice:
    """Which part of a list: after a place in it, or so many rows in."""

    limit: int
    offset: int = 0
    after: tuple[datetime, str] | None = None


class Posts:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def newest(self, user_id: str | None, part: Slice, viewer_id: str | None = None) -> list[Post]:
        """Newest first; of everybody whom no block hides from the viewer, or of one person."""
        query = _posts().where(unblocked_for(viewer_id, "posts.user_id"))
        query = query.order_by(posts.c.created_at.desc(), posts.c.id.desc())
        if user_id is not None:
            query = query.where(posts.c.user_id == user_id)
        if part.after is not None:
            query = query.where(tuple_(posts.c.created_at, posts.c.id) < part.after)
        with speaking("read the feed"), self._engine.connect() as sql:
            rows = sql.execute(query.limit(part.limit).offset(part.offset))
            return [_post(tuple(row)) for row in rows]

    def find(self, post_id: str, viewer_id: str | None = None) -> Post:
        """Raises Rejected (404), also for a post that a block hides from the viewer."""
        query = _posts().where(posts.c.id == post_id, unblocked_for(viewer_id, "posts.user_id"))
        with speaking("find a post"), self._engine.connect() as sql:
            row = sql.execute(query).first()
        if row is None:
            raise MISSING
        return _post(tuple(row))

    def some(self, post_ids: Sequence[str], viewer_id: str | None = None) -> list[Post]:
        """Those of them that exist and that the viewer may see, in the order asked."""
        if not post_ids:
            return []
        query = _posts().where(posts.c.id.in_(post_ids), unblocked_for(viewer_id, "posts.user_id"))
        with speaking("find posts"), self._engine.connect() as sql:
            rows = sql.execute(query)
            found = {post.id: post for post in (_post(tuple(row)) for row in rows)}
        return [found[one] for one in post_ids if one in found]

    def likers(
        self, post_id: str, limit: int, after: str | None, own: tuple[str, bool] | None = None
    ) -> list[str]:
        """Who likes it, by id downwards: the table, and what went past Redis and is not written
        yet. `own`: the viewer, and whether they like it, which is known before it is written."""
        viewer, likes = own or (None, False)
        values = {"post": post_id, "limit": limit, "viewer": viewer, "likes": likes}
        values["after"] = after or LAST_ID
        with speaking("list who likes it"), self._engine.connect() as sql:
            return list(sql.execute(_LIKERS, values).scalars())

    def total(self, user_id: str | None, viewer_id: str | None = None) -> int:
        query = select(func.count()).select_from(posts)
        query = query.where(unblocked_for(viewer_id, "posts.user_id"))
        if user_id is not None:
            query = query.where(posts.c.user_id == user_id)
        with speaking("count posts"), self._engine.connect() as sql:
            return int(sql.execute(query).scalar_one())


def _posts() -> Select[tuple[object, ...]]:
    return select(
        posts.c.id,
        posts.c.user_id,
        posts.c.caption,
        posts.c.image_url,
        posts.c.created_at,
        posts.c.updated_at,
        users.c.id,
        users.c.username,
        users.c.name,
        users.c.avatar_url,
    ).join(users, users.c.id == posts.c.user_id)


def _post(row: tuple[Any, ...]) -> Post:
    author = Mini(*row[6:])
    return Post(row[0], row[1], row[2], row[3], row[4], row[5], author)


_LIKERS = text("""
    with w as (select distinct on (member_id) member_id, active, seq from direct_words
            where kind = 'LIKE' and subject_id = :post order by member_id, seq desc),
        newer as (select w.member_id, w.active from w left join likes l
                on l.post_id = :post and l.user_id = w.member_id where coalesce(l.seq, 0) < w.seq
            union all select cast(:viewer as uuid), cast(:likes as boolean)
                where cast(:viewer as uuid) is not null)
    select distinct id::text from (
        (select user_id as id from likes where post_id = :post and active
            and user_id < cast(:after as uuid)
            and not exists (select 1 from newer n where n.member_id = user_id)
            order by user_id desc limit :limit)
        union all
        (select member_id from newer where active and member_id < cast(:after as uuid)
            and (member_id is distinct from cast(:viewer as uuid) or :likes)
            order by member_id desc limit :limit)) found
    order by 1 desc limit :limit
""")
