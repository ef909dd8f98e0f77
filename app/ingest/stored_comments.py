"""Comments as PostgreSQL has them: written rows, and failover writes that the rows do not have yet.

In: tables comments, failover_writes, comment_deletions. Out: results for app/ingest/comments.py.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, text

from app.clients.postgres import translate_errors
from app.domain.errors import Rejected
from app.domain.events import to_iso_utc

POST_NOT_FOUND = Rejected("Post not found", "post_not_found", 404)
COMMENT_NOT_FOUND = Rejected("Comment not found", "comment_not_found", 404)
_COMMENT_COLUMNS = "id::text, post_id::text, user_id::text, content, parent_id::text, created_at"


@dataclass(frozen=True, slots=True)
class Comment:
    id: str
    post_id: str
    user_id: str
    content: str
    parent_id: str | None
    created_at: datetime

    def to_pending_json(self) -> str:
        """The value stored in comment:pending:{post} and in failover_writes."""
        return json.dumps([self.user_id, self.content, self.parent_id, to_iso_utc(self.created_at)])


def parse_pending_comment(post_id: str, comment_id: str, pending_json: str) -> Comment:
    user_id, content, parent_id, created_at = json.loads(pending_json)
    return Comment(comment_id, post_id, user_id, content, parent_id, datetime.fromisoformat(created_at))


class StoredComments:
    """Read-only. All methods raise Unavailable without PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def count_by_post(self, post_ids: Sequence[str]) -> dict[str, int]:
        with translate_errors("count comments"), self._engine.connect() as conn:
            return {row[0]: row[1] for row in conn.execute(_SELECT_COUNTS, {"ids": post_ids})}

    def merge_comments_into(
        self, comments_by_id: dict[str, Comment], deleted_ids: set[str], post_id: str
    ) -> None:
        """Adds the comments of a post, and the ids of those deleted during a failover, to what Redis has.
        Rows replace pending comments; failover writes do not."""
        with translate_errors("read comments"), self._engine.connect() as conn:
            rows = conn.execute(
                text(f"select {_COMMENT_COLUMNS} from comments where post_id = :post and active"),  # noqa: S608 - no input in it
                {"post": post_id},
            )
            comments_by_id |= {row[0]: Comment(*row) for row in rows}
            for comment_id, active, comment_json in conn.execute(
                _SELECT_FAILOVER_COMMENTS, {"post": post_id}
            ):
                if active:
                    comments_by_id.setdefault(
                        comment_id, parse_pending_comment(post_id, comment_id, comment_json)
                    )
                else:
                    deleted_ids.add(comment_id)
            for comment_id, actor_id in conn.execute(
                _SELECT_PENDING_DELETIONS, {"ids": list(comments_by_id)}
            ):
                if comments_by_id[comment_id].user_id == actor_id:
                    deleted_ids.add(comment_id)

    def find(self, comment_id: str) -> Comment | None:
        """A written comment or one of a failover write. Raises Rejected (404) if a failover write deleted
        it."""
        with translate_errors("find a comment"), self._engine.connect() as conn:
            failover_row = conn.execute(_SELECT_FAILOVER_COMMENT, {"id": comment_id}).first()
            row = conn.execute(
                text(f"select {_COMMENT_COLUMNS} from comments where id = :id and active"),  # noqa: S608 - no input in it
                {"id": comment_id},
            ).first()
        if failover_row is not None and failover_row[1]:
            return parse_pending_comment(failover_row[0], comment_id, failover_row[2])
        if failover_row is not None:
            raise COMMENT_NOT_FOUND
        return Comment(*row) if row else None

    def find_author_id(self, comment_id: str) -> str | None:
        """The author, also of a deleted comment."""
        with translate_errors("find the author of a comment"), self._engine.connect() as conn:
            return conn.execute(_SELECT_AUTHOR_ID, {"id": comment_id}).scalar()

    def get_post_owner_id(self, post_id: str) -> str:
        """Raises Rejected (404)."""
        with translate_errors("find the owner of a post"), self._engine.connect() as conn:
            owner_id = conn.execute(
                text("select user_id::text from posts where id = :id"), {"id": post_id}
            ).scalar()
        if owner_id is None:
            raise POST_NOT_FOUND
        return str(owner_id)

    def count_and_find(self, post_id: str, comment_ids: Collection[str]) -> tuple[int, set[str]]:
        """The number of written comments of a post, and those of the given ones that are among them. One
        statement, so that both agree. Raises Rejected (404)."""
        values = {"post": post_id, "ids": list(comment_ids)}
        with translate_errors("count comments"), self._engine.connect() as conn:
            row = conn.execute(_SELECT_COUNT_AND_IDS, values).first()
        if row is None:
            raise POST_NOT_FOUND
        return int(row[0]), set(row[1])


_SELECT_COUNT_AND_IDS = text(
    "select p.comment_count, array(select c.id::text from comments c "
    "where c.id = any(cast(:ids as uuid[])) and c.active) from posts p where p.id = :post"
)
_SELECT_COUNTS = text("""
    with w as (select distinct on (row_id) object_id, row_id, active, seq
            from failover_writes where kind = 'COMMENT' and object_id = any(cast(:ids as uuid[]))
            order by row_id, seq desc),
        d as (select w.object_id, w.active::int - coalesce(c.active, false)::int as delta
            from w left join comments c on c.id = w.row_id where coalesce(c.seq, 0) < w.seq)
    select p.id::text,
        p.comment_count + coalesce((select sum(delta) from d where object_id = p.id), 0)::int
    from posts p where p.id = any(cast(:ids as uuid[]))
""")
_SELECT_FAILOVER_COMMENTS = text("""
    select distinct on (w.row_id) w.row_id::text, w.active, w.comment::text from failover_writes w
    left join comments c on c.id = w.row_id
    where w.kind = 'COMMENT' and w.object_id = :post and coalesce(c.seq, 0) < w.seq
    order by w.row_id, w.seq desc
""")
_SELECT_PENDING_DELETIONS = text(
    "select comment_id::text, actor_id::text from comment_deletions "
    "where comment_id = any(cast(:ids as uuid[]))"
)
_SELECT_FAILOVER_COMMENT = text("""
    select w.object_id::text, w.active, w.comment::text from failover_writes w
    left join comments c on c.id = w.row_id
    where w.row_id = :id and w.kind = 'COMMENT' and coalesce(c.seq, 0) < w.seq
    order by w.seq desc limit 1
""")
_SELECT_AUTHOR_ID = text("""
    select user_id::text from comments where id = :id
    union all select actor_id::text from failover_writes where row_id = :id and kind = 'COMMENT'
    limit 1
""")
