"""Comments of posts: readable once they are accepted, written to the tables later.

In: pending comments, which append_events.lua stores in Redis, and written ones of
app/ingest/stored_comments.py. Out: both merged, for readers and for post_actions.py.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any

import redis
from sqlalchemy import Engine

from app.clients import stale_reads
from app.clients.redis import redis_key, register_script, translate_errors
from app.domain.errors import Rejected, Unavailable
from app.domain.events import Kind
from app.failover.redis_failover import INGRESS_ENABLED_KEY
from app.ingest.cache_loader import LOAD_TIMEOUT_SECONDS
from app.ingest.pending_comment_deletions import may_comment_be_pending
from app.ingest.stored_comments import (
    COMMENT_NOT_FOUND,
    POST_NOT_FOUND,
    Comment,
    StoredComments,
    parse_pending_comment,
)
from app.persistence import clear_watermarks, membership_keys
from app.persistence.membership_keys import comment_key

__all__ = ["COMMENT_NOT_FOUND", "POST_NOT_FOUND", "Comment", "Comments"]

log = logging.getLogger(__name__)
INDEX_TTL_SECONDS = 7 * 24 * 3600


class Comments:
    """Merges both stores; a comment that is in both is one comment."""

    def __init__(
        self,
        connection: redis.Redis,
        engine: Engine,
    ) -> None:
        self._redis = connection
        self._stored_comments = StoredComments(engine)
        self._load_count_script = register_script(connection, "ingest/load_comment_count")

    def list_by_post(self, post_id: str) -> list[Comment]:
        """All comments of a post at any depth, oldest first."""
        # Pending comments first: one that is written between the two reads is found twice, not missed.
        pending_comments, deleted_ids = self._read_pending_and_deleted_ids(post_id)
        comments_by_id = {comment.id: comment for comment in pending_comments}
        self._stored_comments.merge_comments_into(comments_by_id, deleted_ids, post_id)
        visible_comments = [
            comment for comment_id, comment in comments_by_id.items() if comment_id not in deleted_ids
        ]
        return sorted(visible_comments, key=lambda comment: (comment.created_at, comment.id))

    def find_or_raise(self, comment_id: str) -> Comment:
        """A pending or written comment. Raises Rejected (404), and without Redis Unavailable if the comment
        may be pending."""
        redis_error: Unavailable | None = None
        ingress_token, pending_comment = None, None
        try:
            ingress_token, pending_comment = self._read_token_and_pending_comment(comment_id)
        except Unavailable as exc:
            log.info(
                "A comment is read from PostgreSQL only: %s", exc, extra={"event": "comment_from_postgres"}
            )
            redis_error = exc
        if pending_comment is not None:
            return pending_comment
        comment = self._stored_comments.find(comment_id)
        if comment is None:
            if not may_comment_be_pending(comment_id):
                raise COMMENT_NOT_FOUND
            raise redis_error or self._not_found_or_unavailable_error(ingress_token)
        try:
            with translate_errors("read deleted comments"):
                deleted_at = self._redis.zscore(comment_key("deleted", comment.post_id), comment_id)
        except Unavailable as exc:
            log.info(
                "Recent deletions of comments are unknown: %s",
                exc,
                extra={"event": "comment_deletions_unknown"},
            )
            return comment
        if deleted_at is not None:
            raise COMMENT_NOT_FOUND
        return comment

    def exists(self, comment_id: str) -> bool:
        """Whether the comment exists, as far as the available stores have it."""
        try:
            self.find_or_raise(comment_id)
        except (Rejected, Unavailable):
            return False
        return True

    def _read_token_and_pending_comment(self, comment_id: str) -> tuple[str | None, Comment | None]:
        """The token of the enabled ingress, and the comment if it is pending."""
        with translate_errors("find a comment"):
            ingress_token = self._read_enabled_ingress_token()
            post_id, _ = self._read_post_and_author_ids(comment_id)
            pending_key = comment_key("pending", post_id or "")
            comment_json = self._redis.hget(pending_key, comment_id) if post_id else None
        return ingress_token, parse_pending_comment(
            post_id, comment_id, str(comment_json)
        ) if post_id and comment_json else None

    def _read_enabled_ingress_token(self) -> str | None:
        token = self._redis.get(INGRESS_ENABLED_KEY)
        return None if token is None else str(token)

    def _not_found_or_unavailable_error(self, ingress_token: str | None) -> Rejected | Unavailable:
        """The error for a comment that neither store has. A Redis that was emptied lost the pending
        comments; those are written before failback completes."""
        with translate_errors("read the state of the ingress"):
            is_same_token = ingress_token is not None and self._read_enabled_ingress_token() == ingress_token
        if is_same_token:
            return COMMENT_NOT_FOUND()
        return Unavailable("Temporarily unavailable, please retry", "busy")

    def find_author_id(self, comment_id: str) -> str | None:
        """The author of a comment, also of a deleted one; None if neither store has it."""
        try:
            with translate_errors("find the author of a comment"):
                _, author_id = self._read_post_and_author_ids(comment_id)
        except Unavailable as exc:
            log.info(
                "A comment author is read from PostgreSQL only: %s",
                exc,
                extra={"event": "author_from_postgres"},
            )
            author_id = None
        return author_id or self._stored_comments.find_author_id(comment_id)

    def cache_post_and_author_ids(self, comment: Comment) -> None:
        """Stores post and author of a pending comment, so that it is found by its id."""
        index_value = f"{comment.post_id} {comment.user_id}"
        with translate_errors("index a comment"):
            self._redis.set(redis_key("comment", "index", comment.id), index_value, ex=INDEX_TTL_SECONDS)

    def _read_post_and_author_ids(self, comment_id: str) -> tuple[str | None, str | None]:
        """Post and author of a comment that is pending or was written recently."""
        post_id, _, author_id = str(
            self._redis.get(redis_key("comment", "index", comment_id)) or ""
        ).partition(" ")
        return post_id or None, author_id or None

    def find_pending_ids(self, comment_ids: Sequence[str]) -> set[str]:
        """Those of these comments that Redis has and that may have no row yet. Raises Unavailable."""
        with translate_errors("find pending comments"):
            values: Any = self._redis.mget(
                [redis_key("comment", "index", comment_id) for comment_id in comment_ids]
            )
        pairs = zip(comment_ids, values, strict=True)
        return {comment_id for comment_id, value in pairs if value is not None}

    def cache_zero_count(self, post_id: str) -> None:
        """Caches the comment count of a new post as 0."""
        cache_load_token, read_at = clear_watermarks.read_cache_load_token(self._redis), time.time()
        self._store_count(post_id, cache_load_token, read_at, 0)

    def load_count_into_cache(self, post_id: str) -> None:
        """Loads the number of written and pending comments of a post into Redis. Raises Rejected (404)."""
        cache_load_token, read_at = clear_watermarks.read_cache_load_token(self._redis), time.time()
        with translate_errors("read pending comments"):
            # Before the tables: a comment that is written and removed from Redis meanwhile is found here.
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.hkeys(comment_key("pending", post_id))
            pipeline.zrange(comment_key("deleted", post_id), 0, -1)
            pending_ids, deleted_ids = ({str(comment_id) for comment_id in ids} for ids in pipeline.execute())
        stored_count, stored_ids = self._stored_comments.count_and_find(post_id, pending_ids | deleted_ids)
        count = stored_count + len(pending_ids - stored_ids) - len(deleted_ids & stored_ids)
        self._store_count(post_id, cache_load_token, read_at, max(0, count))

    def _store_count(self, post_id: str, cache_load_token: str, read_at: float, count: int) -> None:
        """Stores what was read, unless it is outdated or the count was loaded meanwhile."""
        deadline_ms = int((read_at + LOAD_TIMEOUT_SECONDS) * 1000)
        with translate_errors("cache a comment count"):
            self._load_count_script(
                keys=[
                    comment_key("count", post_id),
                    redis_key("ingress", "enabled", slot_of=post_id),
                    redis_key("clear", "watermark", slot_of=post_id),
                    redis_key("clear", "running", slot_of=post_id),
                    membership_keys.idle_key(post_id),
                ],
                args=[
                    cache_load_token,
                    deadline_ms,
                    count,
                    membership_keys.idle_set_entry(Kind.LIKE, post_id),
                ],
            )

    def get_post_owner_id(self, post_id: str) -> str:
        """The owner of a post. Raises Rejected (404)."""
        try:
            with translate_errors("find the owner of a post"):
                cached_owner_id = self._redis.get(membership_keys.post_owner_key(post_id))
        except Unavailable as exc:
            log.info(
                "A post owner is read from PostgreSQL only: %s", exc, extra={"event": "owner_from_postgres"}
            )
            cached_owner_id = None
        if cached_owner_id == "":
            raise POST_NOT_FOUND
        if cached_owner_id:
            return str(cached_owner_id)
        return self._stored_comments.get_post_owner_id(post_id)

    def remove_written_from_pending(self, written_comments: Sequence[tuple[str, str]]) -> None:
        """Removes pending comments, given as (post id, comment id), that are in the tables now."""
        if not written_comments:
            return
        with translate_errors("remove written comments"):
            pipeline = self._redis.pipeline(transaction=False)
            for post_id, comment_id in written_comments:
                pipeline.hdel(comment_key("pending", post_id), comment_id)
                pipeline.delete(redis_key("comment", "index", comment_id))
            pipeline.execute()

    def _read_pending_and_deleted_ids(self, post_id: str) -> tuple[list[Comment], set[str]]:
        """The pending comments, and the ids of deleted ones."""
        try:
            with translate_errors("read pending comments"):
                pipeline = self._redis.pipeline(transaction=False)
                pipeline.hgetall(comment_key("pending", post_id))
                pipeline.zrange(comment_key("deleted", post_id), 0, -1)
                pipeline.exists(INGRESS_ENABLED_KEY)
                pending_json_by_id, deleted_ids, ingress_enabled = pipeline.execute()
        except Unavailable as exc:
            log.warning(
                "Only written comments are available: %s",
                exc,
                extra={"event": "pending_comments_unavailable"},
            )
            stale_reads.mark_response_stale()
            return [], set()
        if not ingress_enabled:
            stale_reads.mark_response_stale()
        pending_comments = [
            parse_pending_comment(post_id, str(comment_id), str(comment_json))
            for comment_id, comment_json in pending_json_by_id.items()
        ]
        return pending_comments, set(map(str, deleted_ids))
