"""Redis updates that a transaction in PostgreSQL requires, and a queue of those that Redis has not got yet.

In: deletions of app/social/removals.py and app/devtools/simulated_users.py, whose transaction also queues the
update; after each transaction of app/persistence/event_writer.py, its events. Out: Redis counts, members of
likes and followers, cached posts, marks of persisted comment deletions. workers/redis_failback.py applies
what is in the queue.

A like is counted in Redis when it is accepted. If its user is deleted before the row is written, the event
expires and must be removed from the members and the count here. Without the queue, an unavailable Redis or a
crash after the commit would leave posts and counts in Redis that PostgreSQL does not have. An update may be
applied late or more than once.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import orjson
import redis
from sqlalchemy import Connection, Engine, text

from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import register_script
from app.clients.redis import translate_errors as translate_redis_errors
from app.domain.errors import RedisUnavailable
from app.domain.events import COMMENT_KINDS, MEMBERSHIP_KINDS, Event, Kind
from app.persistence import membership_keys

log = logging.getLogger(__name__)
PAGE_SIZE = 100
DELETED_POST_TTL_SECONDS = 24 * 3600
DELETION_MARKER_TTL_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class PendingRedisUpdate:
    """`removed_members`: (LIKE or FOLLOW, object id, user id) to remove from sets and counts;
    `expired_members`: the same for users who have no row. `expired_comments` and `persisted_deletions`: (post
    id, comment id). `invalidated_keys`: keys to delete, which are loaded from PostgreSQL again. Stored as
    JSON by field name."""

    deleted_post_ids: Sequence[str] = ()
    removed_members: Sequence[tuple[str, str, str]] = ()
    invalidated_keys: Sequence[str] = ()
    expired_members: Sequence[tuple[str, str, str]] = ()
    expired_comments: Sequence[tuple[str, str]] = ()
    persisted_deletions: Sequence[tuple[str, str]] = ()


NO_UPDATE = PendingRedisUpdate()


class RedisUpdateQueue:
    def __init__(self, engine: Engine, connection: redis.Redis) -> None:
        self._engine = engine
        self._redis = connection
        self._decrement_count_script = register_script(connection, "persistence/decrement_count")
        self._remove_member_script = register_script(connection, "persistence/remove_member")
        self._mark_deletion_script = register_script(connection, "persistence/mark_deletion_persisted")

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

    def update_after_write(self, expired_events: Iterable[Event], written_events: Iterable[Event]) -> None:
        """Applies what follows from events that were not written, and from deletions that were. Queues it
        while Redis is unavailable: waiting would delay all later events. Raises Unavailable without
        PostgreSQL; the same events then arrive again."""
        update = _build_update(expired_events, written_events)
        if update == NO_UPDATE:
            return
        try:
            self._apply(update)
        except RedisUnavailable as exc:
            log.info("Redis is updated later: %s", exc, extra={"event": "redis_update_deferred"})
            with translate_postgres_errors("queue a Redis update"), self._engine.begin() as conn:
                self.enqueue_in_transaction(conn, update)

    def remove_like_or_follow(self, kind: Kind, object_id: str, actor_id: str, had_active_row: bool) -> None:
        """Removes one like or follow of a deleted user. Raises Unavailable."""
        keys = [*membership_keys.all_keys(kind, object_id), membership_keys.idle_key(object_id)]
        args: list[str | int] = [
            actor_id,
            int(had_active_row),
            membership_keys.idle_set_entry(kind, object_id),
        ]
        with translate_redis_errors("correct a count"):
            self._remove_member_script(keys=keys, args=args)

    def _apply_and_delete_update(self, update_id: int, update: PendingRedisUpdate) -> None:
        self._apply(update)
        with translate_postgres_errors("delete an applied Redis update"), self._engine.begin() as conn:
            conn.execute(_DELETE_UPDATE, {"id": update_id})

    def _apply(self, update: PendingRedisUpdate) -> None:
        for post_id in update.deleted_post_ids:
            self._invalidate_deleted_post(post_id)
        for members, had_active_row in ((update.removed_members, True), (update.expired_members, False)):
            for kind, object_id, user_id in members:
                self.remove_like_or_follow(Kind(kind), object_id, user_id, had_active_row)
        with translate_redis_errors("correct counts"):
            if update.invalidated_keys:
                self._redis.unlink(*update.invalidated_keys)
            for post_id, comment_id in update.expired_comments:
                keys = [membership_keys.comment_key(name, post_id) for name in ("count", "pending")]
                self._decrement_count_script(keys=keys, args=[comment_id])
            for post_id, comment_id in update.persisted_deletions:
                self._mark_deletion_script(
                    keys=[membership_keys.comment_key("deleted", post_id)],
                    args=[int(time.time() * 1000), DELETION_MARKER_TTL_MS, comment_id],
                )

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


def _build_update(expired_events: Iterable[Event], written_events: Iterable[Event]) -> PendingRedisUpdate:
    expired = [event for event in expired_events if event.active]
    return PendingRedisUpdate(
        expired_members=tuple(
            (event.kind.value, event.group_object_id, str(event.actor_id))
            for event in expired
            if event.kind in MEMBERSHIP_KINDS
        ),
        expired_comments=_comments_of(event for event in expired if event.kind in COMMENT_KINDS),
        persisted_deletions=_comments_of(
            event for event in written_events if event.kind in COMMENT_KINDS and not event.active
        ),
    )


def _comments_of(events: Iterable[Event]) -> tuple[tuple[str, str], ...]:
    return tuple((str(event.metadata["postId"]), event.window_entry_key) for event in events)


_INSERT_UPDATE = text("insert into redis_updates (data) values (cast(:data as jsonb)) returning id")
_SELECT_UPDATE = text("select data from redis_updates where id = :id")
_SELECT_PENDING = text(
    "select id, data from redis_updates "
    "where created_at <= now() - make_interval(secs => :seconds) order by id limit :limit"
)
_DELETE_UPDATE = text("delete from redis_updates where id = :id")
