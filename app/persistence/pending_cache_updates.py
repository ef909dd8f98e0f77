"""A queue of Redis updates that a deletion in PostgreSQL requires, written in the deletion's transaction.

In: deletions of app/social/removals.py and app/devtools/simulated_users.py, which also apply the update at
once. Out: Redis. workers/redis_failback.py applies what a process left behind.

Without the queue, an unavailable Redis or a crash after the commit would leave posts and counts in Redis that
PostgreSQL no longer has. An update may be applied late or more than once.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import orjson
import redis
from sqlalchemy import Connection, Engine, text

from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import translate_errors as translate_redis_errors
from app.domain.events import Kind
from app.persistence import membership_keys
from app.persistence.cache_corrections import CacheCorrector

PAGE_SIZE = 100
DELETED_POST_TTL_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class PendingRedisUpdate:
    """`removed_members`: (LIKE or FOLLOW, object id, user id) to remove from sets and counts.
    `invalidated_keys`: keys to delete, which are loaded from PostgreSQL again. Stored as JSON by field
    name."""

    deleted_post_ids: Sequence[str] = ()
    removed_members: Sequence[tuple[str, str, str]] = ()
    invalidated_keys: Sequence[str] = ()


class RedisUpdateQueue:
    def __init__(self, engine: Engine, connection: redis.Redis) -> None:
        self._engine = engine
        self._redis = connection
        self._cache_corrections = CacheCorrector(connection)

    def enqueue_in_transaction(self, conn: Connection, update: PendingRedisUpdate) -> int:
        """Returns the id of the update, for `apply_queued_update` after the commit."""
        params = {"data": orjson.dumps(asdict(update)).decode()}
        return int(conn.execute(_INSERT_UPDATE, params).scalar_one())

    def apply_queued_update(self, update_id: int) -> None:
        """Does nothing when the update was applied before. Raises Unavailable."""
        with translate_postgres_errors("find Redis updates"), self._engine.connect() as conn:
            data = conn.execute(_SELECT_UPDATE, {"id": update_id}).scalar()
        if data is not None:
            self._apply_and_delete_update(update_id, PendingRedisUpdate(**data))

    def apply_pending_page(self, min_age_seconds: float = 0.0) -> bool:
        """Applies one page of updates. Returns whether there were any. Raises Unavailable."""
        with translate_postgres_errors("find Redis updates"), self._engine.connect() as conn:
            pending = conn.execute(_SELECT_PENDING, {"seconds": min_age_seconds, "limit": PAGE_SIZE}).all()
        for update_id, data in pending:
            self._apply_and_delete_update(update_id, PendingRedisUpdate(**data))
        return bool(pending)

    def _apply_and_delete_update(self, update_id: int, update: PendingRedisUpdate) -> None:
        for post_id in update.deleted_post_ids:
            self._invalidate_deleted_post(post_id)
        for kind, object_id, user_id in update.removed_members:
            self._cache_corrections.remove_like_or_follow(Kind(kind), object_id, user_id, had_active_row=True)
        if update.invalidated_keys:
            with translate_redis_errors("invalidate keys"):
                self._redis.unlink(*update.invalidated_keys)
        with translate_postgres_errors("delete an applied Redis update"), self._engine.begin() as conn:
            conn.execute(_DELETE_UPDATE, {"id": update_id})

    def _invalidate_deleted_post(self, post_id: str) -> None:
        """New likes and comments are rejected from now on. The post's other keys expire later."""
        with translate_redis_errors("invalidate the post"):
            comment_keys = [membership_keys.comment_key(name, post_id) for name in ("pending", "deleted")]
            expiring_keys = [
                *membership_keys.all_keys(Kind.LIKE, post_id),
                membership_keys.comment_key("count", post_id),
            ]
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.set(membership_keys.post_owner_key(post_id), "", ex=DELETED_POST_TTL_SECONDS)
            pipeline.unlink(*comment_keys)
            for key in expiring_keys:
                pipeline.expire(key, DELETED_POST_TTL_SECONDS)
            pipeline.execute()


_INSERT_UPDATE = text("insert into redis_updates (data) values (cast(:data as jsonb)) returning id")
_SELECT_UPDATE = text("select data from redis_updates where id = :id")
_SELECT_PENDING = text(
    "select id, data from redis_updates "
    "where created_at <= now() - make_interval(secs => :seconds) order by id limit :limit"
)
_DELETE_UPDATE = text("delete from redis_updates where id = :id")
