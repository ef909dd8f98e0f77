"""Reads posts: the feed, single posts, and who likes a post.

In: requests of blueprints/api/posts.py and blueprints/pages/post_pages.py. Out: rows of the table posts,
which app/ingest/post_actions.py writes. Counts of likes and comments come from app/ingest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, text

from app.clients.postgres import autocommit_engine, translate_errors
from app.domain.errors import define_rejection
from app.persistence.blocks import not_blocked_sql
from app.persistence.bounded_counts import MAX_LISTED_ROWS, bounded_count_sql
from app.persistence.pages import AnyRow, Page, PageRequest, cut_page
from app.social.users import UserSummary

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
        with translate_errors("read the feed"), self._engine.connect() as conn:
            rows = conn.execute(_LIST_POSTS, _page_params(user_id, page, viewer_id)).all()
        return _to_page(rows, page.limit)

    def list_newest_and_count(
        self, user_id: str | None, page: PageRequest, viewer_id: str | None
    ) -> tuple[Page[Post], int | None]:
        """The same, and how many there are, at most MAX_LISTED_ROWS + 1; None for a page after a sort key."""
        if page.after_key is not None:
            return self.list_newest(user_id, page, viewer_id), None
        params = _page_params(user_id, page, viewer_id)
        with translate_errors("read the feed"), self._engine.connect() as conn:
            rows = conn.execute(_LIST_AND_COUNT_POSTS, params).all()
            if rows:
                listed_count = rows[0].listed_count
            else:
                listed_count = conn.execute(_COUNT_POSTS, params).scalar_one() if page.offset else 0
        return _to_page(rows, page.limit), int(listed_count)

    def get(self, post_id: str, viewer_id: str | None = None) -> Post:
        """Raises Rejected (404), also for a post that a block hides from the viewer."""
        found_posts = self.get_by_ids([post_id], viewer_id)
        if not found_posts:
            raise NOT_FOUND
        return found_posts[0]

    def get_by_ids(self, post_ids: Sequence[str], viewer_id: str | None = None) -> list[Post]:
        """The posts that exist and that the viewer may see, in the order of `post_ids`."""
        if not post_ids:
            return []
        params = {"ids": list(post_ids), "viewer": viewer_id}
        with translate_errors("find posts"), self._engine.connect() as conn:
            posts_by_id = {post.id: post for post in map(_to_post, conn.execute(_SELECT_POSTS_BY_ID, params))}
        return [posts_by_id[post_id] for post_id in post_ids if post_id in posts_by_id]

    def filter_visible_ids(self, post_ids: Sequence[str], viewer_id: str) -> list[str]:
        """The posts that exist and that no block hides from the viewer, in the order of `post_ids`."""
        params = {"ids": list(post_ids), "viewer": viewer_id}
        with translate_errors("find posts"), self._engine.connect() as conn:
            visible_ids = set(conn.execute(_SELECT_VISIBLE_IDS, params).scalars())
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


def _page_params(user_id: str | None, page: PageRequest, viewer_id: str | None) -> dict[str, object]:
    created_at, post_id = page.after_key or (None, None)
    return {
        "author": user_id,
        "viewer": viewer_id,
        "after_time": created_at,
        "after_id": post_id,
        "limit": page.limit + 1,
        "offset": page.offset,
    }


def _to_page(rows: Sequence[AnyRow], limit: int) -> Page[Post]:
    return cut_page([_to_post(row) for row in rows], limit, lambda post: (post.created_at, post.id))


def _to_post(row: AnyRow) -> Post:
    return Post(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], UserSummary(*row[9:13])
    )


# Text, because building a query object for each feed took a tenth of its CPU (bench, 3.5 to 3.1 ms).
_POST_COLUMNS = """
    p.id::text, p.user_id::text, p.caption, p.image_url, p.created_at, p.updated_at,
    p.like_count, p.comment_count,
    (select l.active from likes l where l.post_id = p.id and l.user_id = cast(:viewer as uuid)),
    u.id::text, u.username, u.name, u.avatar_url
"""
_POSTS_AND_AUTHORS = "from posts p join users u on u.id = p.user_id"
_NOT_BLOCKED = not_blocked_sql("p.user_id")
_IS_LISTED = f"(cast(:author as uuid) is null or p.user_id = cast(:author as uuid)) and {_NOT_BLOCKED}"
_LISTED_COUNT = bounded_count_sql(f"select from posts p where {_IS_LISTED}", MAX_LISTED_ROWS + 1)
_PAGE = f"""
    {_POSTS_AND_AUTHORS} where {_IS_LISTED} and (cast(:after_id as uuid) is null
        or (p.created_at, p.id) < (cast(:after_time as timestamptz), cast(:after_id as uuid)))
    order by p.created_at desc, p.id desc limit :limit offset :offset
"""
_LIST_POSTS = text(f"select {_POST_COLUMNS} {_PAGE}")
_LIST_AND_COUNT_POSTS = text(f"select {_POST_COLUMNS}, {_LISTED_COUNT} as listed_count {_PAGE}")
_COUNT_POSTS = text(f"select {_LISTED_COUNT}")
_SELECT_POSTS_BY_ID = text(
    f"select {_POST_COLUMNS} {_POSTS_AND_AUTHORS} where p.id = any(cast(:ids as uuid[])) and {_NOT_BLOCKED}"
)
_SELECT_VISIBLE_IDS = text(
    f"select p.id::text from posts p where p.id = any(cast(:ids as uuid[])) and {_NOT_BLOCKED}"  # noqa: S608 - constants
)
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
