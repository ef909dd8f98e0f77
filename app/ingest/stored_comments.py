"""Comments as PostgreSQL has them.

In: tables comments, comment_deletions. Out: results for app/ingest/comments.py.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, text

from app.clients.postgres import autocommit_engine, translate_errors
from app.domain.errors import define_rejection
from app.domain.events import to_iso_utc

POST_NOT_FOUND = define_rejection("Post not found", "post_not_found", 404)
COMMENT_NOT_FOUND = define_rejection("Comment not found", "comment_not_found", 404)
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
        """The value stored in comment:pending:{post}."""
        return json.dumps([self.user_id, self.content, self.parent_id, to_iso_utc(self.created_at)])


def parse_pending_comment(post_id: str, comment_id: str, pending_json: str) -> Comment:
    user_id, content, parent_id, created_at = json.loads(pending_json)
    return Comment(comment_id, post_id, user_id, content, parent_id, datetime.fromisoformat(created_at))


class StoredComments:
    """Read-only. All methods raise Unavailable without PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = autocommit_engine(engine)

    def merge_comments_into(
        self, comments_by_id: dict[str, Comment], deleted_ids: set[str], post_id: str
    ) -> None:
        """Adds the comments of a post, and the ids of those deleted during a failover, to what Redis has.
        Rows replace pending comments."""
        with translate_errors("read comments"), self._engine.connect() as conn:
            params = {"post": post_id, "pending": list(comments_by_id)}
            for *columns, active in conn.execute(_SELECT_COMMENTS, params):
                comments_by_id[columns[0]] = Comment(*columns)
                if not active:
                    deleted_ids.add(columns[0])
            for comment_id, actor_id in conn.execute(
                _SELECT_PENDING_DELETIONS, {"ids": list(comments_by_id)}
            ):
                if comments_by_id[comment_id].user_id == actor_id:
                    deleted_ids.add(comment_id)

    def find(self, comment_id: str) -> Comment | None:
        """A written comment; None if it has no row. Raises Rejected (404) if it was deleted."""
        with translate_errors("find a comment"), self._engine.connect() as conn:
            row = conn.execute(_SELECT_COMMENT, {"id": comment_id}).first()
        if row is None:
            return None
        *columns, active = row
        if not active:
            raise COMMENT_NOT_FOUND
        return Comment(*columns)

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
_SELECT_COMMENT = text(f"select {_COMMENT_COLUMNS}, active from comments where id = :id")  # noqa: S608 - constants
_SELECT_COMMENTS = text(
    f"select {_COMMENT_COLUMNS}, active from comments "  # noqa: S608 - no input in it
    "where post_id = :post and (active or id = any(cast(:pending as uuid[])))"
)
_SELECT_PENDING_DELETIONS = text(
    "select comment_id::text, actor_id::text from comment_deletions "
    "where comment_id = any(cast(:ids as uuid[]))"
)
_SELECT_AUTHOR_ID = text("select user_id::text from comments where id = :id")
