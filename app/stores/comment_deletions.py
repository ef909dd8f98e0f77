"""Comments that somebody deleted while Redis was away, and that nobody but Redis knew: accepted
before the outage and not written yet.

In    app/direct.py notes them; stores/comments.py hides them
Out   workers/keeper.py deletes them once they are written, before writes go by way of Redis again

Whose comment it is cannot be told before. A deletion by anybody else has no effect then.
"""

import time
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from app.stores.postgres import speaking

PENDING_SECONDS = 3600.0
"""A comment that is older was written, or Kafka is away as well."""


@dataclass(frozen=True, slots=True)
class CommentDeletion:
    comment_id: str
    actor_id: str


class CommentDeletions:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def waiting(self) -> list[tuple[CommentDeletion, bool]]:
        """Each with whether its comment has a row."""
        with speaking("list deletions"), self._engine.connect() as sql:
            return [(CommentDeletion(*row[:2]), row[2]) for row in sql.execute(_WAITING)]

    def done(self, one: CommentDeletion) -> None:
        with speaking("settle a deletion"), self._engine.begin() as sql:
            sql.execute(_DONE, {"comment": one.comment_id, "actor": one.actor_id})


def note(sql: Connection, one: CommentDeletion) -> None:
    sql.execute(_NOTE, {"comment": one.comment_id, "actor": one.actor_id})


def may_be_pending(comment_id: str) -> bool:
    """Whether a comment that the tables do not have can be one that was accepted lately: our ids
    (UUIDv7) tell when they were drawn."""
    known = UUID(comment_id)
    if known.version != 7:
        return False
    age = time.time() - (known.int >> 80) / 1000
    return -1.0 < age < PENDING_SECONDS


_WAITING = text(
    "select d.comment_id::text, d.actor_id::text, c.id is not null "
    "from comment_deletions d left join comments c on c.id = d.comment_id"
)
_NOTE = text(
    "insert into comment_deletions (comment_id, actor_id) values (:comment, :actor) "
    "on conflict do nothing"
)
_DONE = text("delete from comment_deletions where comment_id = :comment and actor_id = :actor")
