"""Deletions, during a Redis failover, of comments that only Redis has: accepted before it and not written.

In: deletions of app/ingest/failover_path.py; app/ingest/comments.py hides these comments. Out:
workers/redis_failback.py deletes them once they are written, before it ends the failover.

The author of such a comment is known only then. A deletion by another user has no effect.
"""

import time
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from app.clients.postgres import translate_errors

MAX_PENDING_AGE_SECONDS = 3600.0
"""A comment that is older was written, unless Kafka is unavailable as well."""


@dataclass(frozen=True, slots=True)
class PendingCommentDeletion:
    comment_id: str
    actor_id: str


class PendingCommentDeletions:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_pending(self) -> list[tuple[PendingCommentDeletion, bool]]:
        """(deletion, whether its comment has a row)."""
        with translate_errors("list deletions"), self._engine.connect() as conn:
            return [(PendingCommentDeletion(*row[:2]), row[2]) for row in conn.execute(_SELECT_PENDING)]

    def remove(self, deletion: PendingCommentDeletion) -> None:
        with translate_errors("remove a deletion"), self._engine.begin() as conn:
            conn.execute(_DELETE, {"comment": deletion.comment_id, "actor": deletion.actor_id})


def insert_pending_deletion(conn: Connection, deletion: PendingCommentDeletion) -> None:
    conn.execute(_INSERT, {"comment": deletion.comment_id, "actor": deletion.actor_id})


def may_comment_be_pending(comment_id: str) -> bool:
    """Whether a comment without a row may have been accepted recently. The ids of this system (UUIDv7)
    contain the time."""
    comment_uuid = UUID(comment_id)
    if comment_uuid.version != 7:
        return False
    age_seconds = time.time() - (comment_uuid.int >> 80) / 1000
    return -1.0 < age_seconds < MAX_PENDING_AGE_SECONDS


_SELECT_PENDING = text(
    "select d.comment_id::text, d.actor_id::text, c.id is not null "
    "from comment_deletions d left join comments c on c.id = d.comment_id"
)
_INSERT = text(
    "insert into comment_deletions (comment_id, actor_id) values (:comment, :actor) on conflict do nothing"
)
_DELETE = text("delete from comment_deletions where comment_id = :comment and actor_id = :actor")
