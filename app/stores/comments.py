"""Comments: readable from the moment they are accepted, written behind.

In    streams/ingress.py (append.lua notes a pending comment), workers (forget once written)
Out   the comments of a post: pending ones from Redis merged with written ones from PostgreSQL
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis
from sqlalchemy import Engine, text

from app import stale
from app.domain.errors import Rejected, Unavailable
from app.domain.events import iso
from app.stores import fences
from app.stores.comment_deletions import may_be_pending
from app.stores.gate import OPEN, Gate, sure
from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import Glance, key, script, speaking

log = logging.getLogger(__name__)
BEING_REBUILT = Unavailable("Temporarily unavailable, please retry", "busy")
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
        self,
        connection: redis.Redis,
        engine: Engine,
        glance: Glance | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._redis = connection
        self._engine = engine
        self._glance = glance or Glance()
        self._gate = gate
        self._warm = script(connection, "warm_comments")

    def counts(self, post_ids: Sequence[str]) -> dict[str, int]:
        """The counts a reader sees; from PostgreSQL where Redis does not know."""
        known, trusted = self._known_counts(post_ids)
        cold = [post for post in post_ids if not trusted or post not in known]
        if cold:
            with asking_postgres("count comments"), self._engine.connect() as sql:
                rows = sql.execute(_COUNTS, {"ids": cold})
                # Not trusted: both lag, and the higher count is nearer (as with likes).
                known |= {row[0]: max(row[1], known.get(row[0], 0)) for row in rows}
        if not trusted:
            stale.mark()
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
            for comment_id, active, raw in sql.execute(_SPOKEN, {"post": post_id}):
                if active:
                    found.setdefault(comment_id, _pending(post_id, comment_id, raw))
                else:
                    gone.add(comment_id)
            for comment_id, actor_id in sql.execute(_DELETIONS, {"ids": list(found)}):
                if found[comment_id].user_id == actor_id:
                    gone.add(comment_id)
        here = [comment for one, comment in found.items() if one not in gone]
        return sorted(here, key=lambda comment: (comment.created_at, comment.id))

    def find(self, comment_id: str) -> Comment:
        """One comment, pending or written. Raises Rejected (404). While Redis is away, as far as
        PostgreSQL knows it: Unavailable when only Redis may know it."""
        away: Unavailable | None = None
        gate, pending = None, None
        try:
            gate, pending = self._waiting(comment_id)
        except Unavailable as fault:
            log.info("A comment is looked for in PostgreSQL alone: %s", fault)
            away = fault
        if pending is not None:
            return pending
        found = self._spoken(comment_id)
        if found is None:
            if not may_be_pending(comment_id):
                raise COMMENT_MISSING
            # It may wait in Redis to be written.
            raise away or self._unknown(gate)
        try:
            with speaking("tell what was deleted"):
                gone = self._redis.zscore(key("comment", "gone", found.post_id), comment_id)
        except Unavailable as fault:
            log.info("Whether it was just deleted nobody can tell: %s", fault)
            return found
        if gone is not None:
            raise COMMENT_MISSING
        return found

    def knows(self, comment_id: str) -> bool:
        """Whether it is there by now; as far as anybody can tell."""
        try:
            self.find(comment_id)
        except (Rejected, Unavailable):
            return False
        return True

    def _waiting(self, comment_id: str) -> tuple[str | None, Comment | None]:
        """The gate's token, and the comment if it is among the pending ones of its post."""
        with speaking("find a comment"):
            gate = self._gate_token()
            post, _ = self._place(comment_id)
            name = key("comment", "pending", post or "")
            raw = self._redis.hget(name, comment_id) if post else None
        return gate, _pending(post, comment_id, str(raw)) if post and raw else None

    def _gate_token(self) -> str | None:
        token = self._redis.get(OPEN)
        return None if token is None else str(token)

    def _unknown(self, gate: str | None) -> Rejected | Unavailable:
        """What to answer about a comment that neither store has. An emptied Redis has forgotten
        those whose rows are not written yet; they are written before the gate opens again."""
        with speaking("tell the gate"):
            known = gate is not None and self._gate_token() == gate
        return COMMENT_MISSING if known else BEING_REBUILT

    def _spoken(self, comment_id: str) -> Comment | None:
        """Written, or on its way past Redis; None: not known here. Raises Rejected (404) for one
        that was deleted past Redis."""
        with asking_postgres("find a comment"), self._engine.connect() as sql:
            word = sql.execute(_WORD, {"id": comment_id}).first()
            row = sql.execute(
                text(f"select {_COLUMNS} from comments where id = :id and active"),  # noqa: S608 - no input in it
                {"id": comment_id},
            ).first()
        if word is not None and word[1]:
            return _pending(word[0], comment_id, word[2])
        if word is not None:
            raise COMMENT_MISSING
        return Comment(*row) if row else None

    def author_of(self, comment_id: str) -> str | None:
        """Whose comment it is or was, deleted or not; None when nobody knows any more."""
        try:
            with speaking("tell whose comment it is"):
                _, author = self._place(comment_id)
        except Unavailable as fault:
            log.info("An author is looked for in PostgreSQL alone: %s", fault)
            author = None
        if author:
            return author
        with asking_postgres("tell whose comment it is"), self._engine.connect() as sql:
            return sql.execute(_AUTHOR, {"id": comment_id}).scalar()

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
            self._warm(
                keys=[key("comment", name, post_id) for name in ("count", "pending", "gone")],
                args=[fences.standing(self._redis)],
            )

    def warm(self, post_id: str) -> None:
        """Makes the count of a post known to Redis: the written ones and those still pending."""
        seen = fences.standing(self._redis)
        with speaking("read pending comments"):
            # Before the tables: one that is written and forgotten meanwhile is found here.
            pending = map(str, self._redis.hkeys(key("comment", "pending", post_id)))
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
                args=[seen, *ids, *pending],
            )

    def owner_of(self, post_id: str) -> str:
        """Whose post it is. Raises Rejected (404)."""
        try:
            with speaking("tell whose post it is"):
                owner = self._redis.get(key("post", "owner", post_id))
        except Unavailable as fault:
            log.info("An owner is looked for in PostgreSQL alone: %s", fault)
            owner = None
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
                pipeline.exists(OPEN)
                rows, gone, gate = pipeline.execute()
        except Unavailable as fault:
            log.warning("Only written comments can be shown: %s", fault)
            stale.mark()
            return [], set()
        if not gate:
            stale.mark()
        pending = [_pending(post_id, str(one), str(raw)) for one, raw in rows.items()]
        return pending, {str(one) for one in gone}

    def _known_counts(self, post_ids: Sequence[str]) -> tuple[dict[str, int], bool]:
        """What Redis knows, and whether that is all."""
        try:
            gate, *counts = sure(self._gate, lambda: self._ask(post_ids))
        except Unavailable as fault:
            log.warning("Counts come from PostgreSQL: %s", fault)
            return {}, False
        pairs = zip(post_ids, counts, strict=True)
        known = {post: int(count) for post, count in pairs if count is not None}
        return known, gate is not None

    def _ask(self, post_ids: Sequence[str]) -> list[Any]:
        with self._glance.at("count comments"):
            keys = [key("comment", "count", post) for post in post_ids]
            answers: list[Any] = self._redis.mget([OPEN, *keys])
        return answers


_COUNTS = text("""
    with w as (select distinct on (member_id) subject_id, member_id, active, seq
            from direct_words where kind = 'COMMENT' and subject_id = any(cast(:ids as uuid[]))
            order by member_id, seq desc),
        d as (select w.subject_id, w.active::int - coalesce(c.active, false)::int as delta
            from w left join comments c on c.id = w.member_id where coalesce(c.seq, 0) < w.seq)
    select p.id::text,
        p.comment_count + coalesce((select sum(delta) from d where subject_id = p.id), 0)::int
    from posts p where p.id = any(cast(:ids as uuid[]))
""")
_SPOKEN = text("""
    select distinct on (w.member_id) w.member_id::text, w.active, w.said::text from direct_words w
    left join comments c on c.id = w.member_id
    where w.kind = 'COMMENT' and w.subject_id = :post and coalesce(c.seq, 0) < w.seq
    order by w.member_id, w.seq desc
""")
_DELETIONS = text(
    "select comment_id::text, actor_id::text from comment_deletions "
    "where comment_id = any(cast(:ids as uuid[]))"
)
_WORD = text("""
    select w.subject_id::text, w.active, w.said::text from direct_words w
    left join comments c on c.id = w.member_id
    where w.member_id = :id and w.kind = 'COMMENT' and coalesce(c.seq, 0) < w.seq
    order by w.seq desc limit 1
""")
_AUTHOR = text("""
    select user_id::text from comments where id = :id
    union all select actor_id::text from direct_words where member_id = :id and kind = 'COMMENT'
    limit 1
""")
