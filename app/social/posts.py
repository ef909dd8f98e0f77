"""Reads posts: the feed, single posts, and who likes a post.

In: requests of blueprints/api/posts.py and blueprints/pages/post_pages.py. Out: rows of the table posts,
which app/ingest/post_actions.py writes. Counts of likes and comments come from app/ingest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, select, text

from app.clients.postgres import autocommit_engine, translate_errors
from app.domain.errors import define_rejection
from app.persistence.blocks import not_blocked_condition
from app.persistence.bounded_counts import MAX_LISTED_ROWS, select_bounded_count
from app.persistence.pages import AnyRow, Page, PageRequest, fetch_page
from app.persistence.tables import likes, posts, users
from app.social.users import SUMMARY_COLUMNS, UserSummary

NOT_FOUND = define_rejection("Post not found", "post_not_found", 404)
MAX_UUID = "ffffffff-ffff-ffff-ffff-ffffffffffff"


@dataclass(frozen=True, slots=True)
class Post:
    id: str
    user_id: str
    caption: str | None
    image_url: str | None
    created_at: datetime
    updated_at: datetime
    like_count: int
    comment_count: int
    is_liked: bool | None
    """Whether the viewer likes it; None without a row. These three are as in the tables; Redis is ahead of
    them (app/ingest/membership_reader.py)."""
    author: UserSummary


class PostReader:
    def __init__(self, engine: Engine) -> None:
        self._engine = autocommit_engine(engine)

    def list_newest(self, user_id: str | None, page: PageRequest, viewer_id: str | None = None) -> Page[Post]:
        """Newest first, of one user or of all; without posts that a block hides from the viewer."""
        query = _restrict_to_visible(_select_posts_with_author(viewer_id), user_id, viewer_id)
        with translate_errors("read the feed"), self._engine.connect() as conn:
            return fetch_page(conn, query, _FEED_ORDER, page, _to_post)

    def list_newest_and_count(
        self, user_id: str | None, page: PageRequest, viewer_id: str | None
    ) -> tuple[Page[Post], int | None]:
        """The same, and how many there are, at most MAX_LISTED_ROWS + 1; None for a page after a sort key."""
        if page.after_key is not None:
            return self.list_newest(user_id, page, viewer_id), None
        count = select_bounded_count(
            _restrict_to_visible(select(posts.c.id), user_id, viewer_id), MAX_LISTED_ROWS + 1
        )
        query = _restrict_to_visible(_select_posts_with_author(viewer_id), user_id, viewer_id)
        query = query.add_columns(count.scalar_subquery())
        with translate_errors("read the feed"), self._engine.connect() as conn:
            rows = fetch_page(conn, query, _FEED_ORDER, page, lambda row: row)
            if rows.items:
                visible_count = rows.items[0][_POST_COLUMN_COUNT]
            else:
                visible_count = conn.execute(count).scalar_one() if page.offset else 0
        return rows.with_items(list(map(_to_post, rows.items))), int(visible_count)

    def get(self, post_id: str, viewer_id: str | None = None) -> Post:
        """Raises Rejected (404), also for a post that a block hides from the viewer."""
        query = _select_posts_with_author(viewer_id).where(
            posts.c.id == post_id, not_blocked_condition(viewer_id, "posts.user_id")
        )
        with translate_errors("find a post"), self._engine.connect() as conn:
            row = conn.execute(query).first()
        if row is None:
            raise NOT_FOUND
        return _to_post(row)

    def get_by_ids(self, post_ids: Sequence[str], viewer_id: str | None = None) -> list[Post]:
        """The posts that exist and that the viewer may see, in the order of `post_ids`."""
        if not post_ids:
            return []
        query = _select_posts_with_author(viewer_id).where(
            posts.c.id.in_(post_ids), not_blocked_condition(viewer_id, "posts.user_id")
        )
        with translate_errors("find posts"), self._engine.connect() as conn:
            posts_by_id = {post.id: post for post in map(_to_post, conn.execute(query))}
        return [posts_by_id[post_id] for post_id in post_ids if post_id in posts_by_id]

    def filter_visible_ids(self, post_ids: Sequence[str], viewer_id: str) -> list[str]:
        """The posts that exist and that no block hides from the viewer, in the order of `post_ids`."""
        query = select(posts.c.id).where(
            posts.c.id.in_(post_ids), not_blocked_condition(viewer_id, "posts.user_id")
        )
        with translate_errors("find posts"), self._engine.connect() as conn:
            visible_ids = set(conn.execute(query).scalars())
        return [post_id for post_id in post_ids if post_id in visible_ids]

    def list_liker_ids(
        self,
        post_id: str,
        limit: int,
        after_user_id: str | None,
        viewer_like: tuple[str, bool] | None = None,
    ) -> list[str]:
        """Ids of the users who like the post, in descending order.
        `viewer_like`: the viewer's id and whether they like the post, which is known before it is written."""
        liker_id, is_liking = viewer_like or (None, False)
        params = {"post": post_id, "limit": limit, "viewer": liker_id, "likes": is_liking}
        params["after"] = after_user_id or MAX_UUID
        with translate_errors("list likes"), self._engine.connect() as conn:
            return list(conn.execute(_LIST_LIKERS, params).scalars())


_POST_COLUMNS = (
    posts.c.id,
    posts.c.user_id,
    posts.c.caption,
    posts.c.image_url,
    posts.c.created_at,
    posts.c.updated_at,
    posts.c.like_count,
    posts.c.comment_count,
)
_POST_COLUMN_COUNT = len(_POST_COLUMNS) + 1 + len(SUMMARY_COLUMNS)
_FEED_ORDER = (posts.c.created_at, posts.c.id)


def _select_posts_with_author(viewer_id: str | None) -> Select[Any]:
    is_liked = (
        select(likes.c.active)
        .where(likes.c.post_id == posts.c.id, likes.c.user_id == viewer_id)
        .scalar_subquery()
    )
    return select(*_POST_COLUMNS, is_liked, *SUMMARY_COLUMNS).join(users, users.c.id == posts.c.user_id)


def _restrict_to_visible(query: Select[Any], user_id: str | None, viewer_id: str | None) -> Select[Any]:
    """Posts that no block hides from the viewer; of one user if `user_id` is not None."""
    query = query.where(not_blocked_condition(viewer_id, "posts.user_id"))
    return query if user_id is None else query.where(posts.c.user_id == user_id)


def _to_post(row: AnyRow) -> Post:
    author = UserSummary(*row[9:_POST_COLUMN_COUNT])
    return Post(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], author)


_LIST_LIKERS = text("""
    select distinct id::text from (
        (select user_id as id from likes where post_id = :post and active
            and user_id < cast(:after as uuid) and user_id is distinct from cast(:viewer as uuid)
            order by user_id desc limit :limit)
        union all
        select cast(:viewer as uuid) where cast(:likes as boolean)
            and cast(:viewer as uuid) < cast(:after as uuid)) likers
    order by 1 desc limit :limit
""")
