"""Comments: readable from the moment they are accepted, written behind.

In    streams/ingress.py (append.lua notes a pending comment), workers (forget once written)
Out   the comments of a post: pending ones from Redis merged with written ones from PostgreSQL
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import redis
from sqlalchemy import Engine, text

from app.domain.errors import Rejected, Unavailable
from app.domain.events import iso
from app.stores import fences
from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import Glance, key, script, speaking

log = logging.getLogger(__name__)
POST_MISSING = Rejected("Post not found", "post_not_found", 404)
COMMENT_MISSING = Rejected("Comment not found", "comment_not_found", 404)
PLACE_SECONDS = 7 * 24 * 3600
_COLUMNS = "id::text, post_id::text, user_id::text, content, parent_id::text, created_at"


@dataclass(frozen=True, slots=True)
class Comment:
    id: str
    post_id: str
    user_id: str
    content: str
    parent_id: str | None
    created_at: datetime

    def to_json(self) -> str:
        """Its form among the pending comments of a post."""
        return json.dumps([self.user_id, self.content, self.parent_id, iso(self.created_at)])


def _pending(post_id: str, comment_id: str, raw: str) -> Comment:
    user_id, content, parent_id, created = json.loads(raw)
    return Comment(
        comment_id, post_id, user_id, content, parent_id, datetime.fromisoformat(created)
    )


class Comments:
    """Reads that merge both places; a comment that is in both is one comment."""

    def __init__(
        self, connection: redis.Redis, engine: Engine, glance: Glance | None = None
    ) -> None:
        self._redis = connection
        self._engine = engine
        self._glance = glance or Glance()
        self._warm = script(connection, "warm_comments")

    def counts(self, post_ids: Sequence[str]) -> dict[str, int]:
        """The counts a reader sees; from PostgreSQL where Redis does not know."""
        known = self._known_counts(post_ids)
        cold = [post for post in post_ids if post not in known]
        if cold:
            with asking_postgres("count comments"), self._engine.connect() as sql:
                rows = sql.execute(
                    text(
                        "select id::text, comment_count from posts "
                        "where id = any(cast(:ids as uuid[]))"
                    ),
                    {"ids": cold},
                )
                known |= {row[0]: row[1] for row in rows}
        return {post: known.get(post, 0) for post in post_ids}

    def of_post(self, post_id: str) -> list[Comment]:
        """All comments of a post at any depth, oldest first."""
        # Pending first: one that is written between the two reads is then found twice, never not at
        # all.
        pending, gone = self._pending_of(post_id)
        found = {comment.id: comment for comment in pending}
        with asking_postgres("read comments"), self._engine.connect() as sql:
            rows = sql.execute(
                text(f"select {_COLUMNS} from comments where post_id = :post and active"),  # noqa: S608 - no input in it
                {"post": post_id},
            )
            found |= {row[0]: Comment(*row) for row in rows}
        here = [comment for one, comment in found.items() if one not in gone]
        return sorted(here, key=lambda comment: (comment.created_at, comment.id))

    def find(self, comment_id: str) -> Comment:
        """One comment, pending or written. Raises Rejected (404)."""
        with speaking("find a comment"):
            post, _ = self._place(comment_id)
            raw = self._redis.hget(key("comment", "pending", post), comment_id) if post else None
        if raw and post:
            return _pending(post, comment_id, str(raw))
        with asking_postgres("find a comment"), self._engine.connect() as sql:
            row = sql.execute(
                text(f"select {_COLUMNS} from comments where id = :id and active"),  # noqa: S608 - no input in it
                {"id": comment_id},
            ).first()
        if row is None:
            raise COMMENT_MISSING
        found = Comment(*row)
        with speaking("tell what was deleted"):
            if self._redis.zscore(key("comment", "gone", found.post_id), comment_id) is not None:
                raise COMMENT_MISSING
        return found

    def author_of(self, comment_id: str) -> str | None:
        """Whose comment it is or was, deleted or not; None when nobody knows any more."""
        with speaking("tell whose comment it is"):
            _, author = self._place(comment_id)
        if author:
            return author
        with asking_postgres("tell whose comment it is"), self._engine.connect() as sql:
            found = sql.execute(
                text("select user_id::text from comments where id = :id"), {"id": comment_id}
            )
            return found.scalar()

    def remember_place(self, comment: Comment) -> None:
        """Where a pending comment can be found by its id alone, and whose it is."""
        place = f"{comment.post_id} {comment.user_id}"
        with speaking("note a comment"):
            self._redis.set(key("comment", "post", comment.id), place, ex=PLACE_SECONDS)

    def _place(self, comment_id: str) -> tuple[str | None, str | None]:
        """Post and author of a comment that was not written yet, or not long ago."""
        post, _, author = str(self._redis.get(key("comment", "post", comment_id)) or "").partition(
            " "
        )
        return post or None, author or None

    def born(self, post_id: str) -> None:
        """A new post has no comments."""
        with speaking("note a new post"):
            self._redis.set(key("comment", "count", post_id), 0, nx=True)

    def warm(self, post_id: str) -> None:
        """Makes the count of a post known to Redis: the written ones and those still pending."""
        seen = fences.standing(self._redis)
        with asking_postgres("count comments"), self._engine.connect() as sql:
            if not sql.execute(
                text("select 1 from posts where id = :id"), {"id": post_id}
            ).scalar():
                raise POST_MISSING
            written = sql.execute(
                text("select id::text from comments where post_id = :id and active"),
                {"id": post_id},
            ).scalars()
            ids = list(written)
        with speaking("keep a count"):
            self._warm(
                keys=[key("comment", name, post_id) for name in ("count", "pending", "gone")],
                args=[seen, *ids],
            )

    def owner_of(self, post_id: str) -> str:
        """Whose post it is. Raises Rejected (404)."""
        with speaking("tell whose post it is"):
            owner = self._redis.get(key("post", "owner", post_id))
        if owner == "":
            raise POST_MISSING
        if owner:
            return str(owner)
        with asking_postgres("tell whose post it is"), self._engine.connect() as sql:
            found = sql.execute(
                text("select user_id::text from posts where id = :id"), {"id": post_id}
            ).scalar()
        if found is None:
            raise POST_MISSING
        return str(found)

    def forget(self, written: Sequence[tuple[str, str]]) -> None:
        """Drops pending comments (post, comment) that are in the tables now."""
        if not written:
            return
        with speaking("forget written comments"):
            pipeline = self._redis.pipeline(transaction=False)
            for post_id, comment_id in written:
                pipeline.hdel(key("comment", "pending", post_id), comment_id)
                pipeline.delete(key("comment", "post", comment_id))
            pipeline.execute()

    def _pending_of(self, post_id: str) -> tuple[list[Comment], set[str]]:
        """Those not written yet, and the ids of those deleted."""
        try:
            with speaking("read pending comments"):
                pipeline = self._redis.pipeline(transaction=False)
                pipeline.hgetall(key("comment", "pending", post_id))
                pipeline.zrange(key("comment", "gone", post_id), 0, -1)
                rows, gone = pipeline.execute()
        except Unavailable as fault:
            log.warning("Only written comments can be shown: %s", fault)
            return [], set()
        pending = [_pending(post_id, str(one), str(raw)) for one, raw in rows.items()]
        return pending, {str(one) for one in gone}

    def _known_counts(self, post_ids: Sequence[str]) -> dict[str, int]:
        try:
            with self._glance.at("count comments"):
                keys = [key("comment", "count", post) for post in post_ids]
                counts = self._redis.mget(keys) if keys else []
        except Unavailable as fault:
            log.warning("Counts come from PostgreSQL: %s", fault)
            return {}
        pairs = zip(post_ids, counts, strict=True)
        return {post: int(count) for post, count in pairs if count is not None}
