"""Clearing: all notifications, likes, comments and follows of everybody, and all that would bring
them back.

In    DELETE /api/admin/db/clear
Out   PostgreSQL and Redis; the fence (stores/fences.py); a new epoch of the frames

The order is what makes it safe. Alone with the tables, Redis is emptied and the fence drawn in one
script; then the tables; then others may load again. Dying anywhere leaves Redis cold, which is
right whether or not the tables were emptied.
"""

from collections.abc import Callable

import redis
from sqlalchemy import Connection, Engine, text

from app.stores import fences
from app.stores.audits import note
from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import script, speaking

GROUP = "bridge"
RUNNING_MS = 60_000
"""Outlives the statement time-out below: if we die, others load again after it."""


class Clearing:
    def __init__(self, engine: Engine, connection: redis.Redis, shards: int) -> None:
        self._engine = engine
        self._redis = connection
        self._shards = shards
        self._clear = script(connection, "clear")

    def clear(self, actor_id: str, between: Callable[[], object] = lambda: None) -> None:
        """Everything or, when a service is away, nothing that a reader would miss.

        `between` is for tests: it runs when Redis is empty and the tables are not yet.
        """
        try:
            with asking_postgres("clear the tables"), self._engine.begin() as sql:
                for statement in _PATIENCE:
                    sql.execute(statement)
                fences.alone(sql)
                seq = self._empty_redis()
                between()
                self._fence_frames(sql)
                for statement in _EMPTY:
                    sql.execute(statement)
                fences.raised(sql, seq)
                note(sql, actor_id, "db.clear", f"all events up to seq {seq}")
        except Exception:
            self._end(fences.OUTBOX)
            raise
        self._end()

    def _empty_redis(self) -> int:
        with speaking("empty what waits"):
            keys = [fences.FENCE, fences.RUNNING]
            return int(self._clear(keys=keys, args=[self._shards, GROUP, RUNNING_MS]))

    def _fence_frames(self, sql: Connection) -> None:
        last = sql.execute(text("select coalesce(max(id), 0) from outbox")).scalar_one()
        with speaking("keep the fence"):
            self._redis.set(fences.OUTBOX, last)

    def _end(self, *besides: str) -> None:
        with speaking("end the clearing"):
            self._redis.delete(fences.RUNNING, *besides)


_PATIENCE = (
    text("set local statement_timeout = '30s'"),
    text("set local lock_timeout = '5s'"),
)
_EMPTY = tuple(
    text(statement)
    for statement in (
        # What was told so far is about rows that go: nobody may catch up from it.
        "delete from outbox",
        # The badge of everybody who had something unread is nought now, on all screens.
        "with gone as (update users set badge_version = badge_version + 1 where id in "
        "(select user_id from notifications where not is_read and removed_at is null "
        "and archived_at is null and version > 0) returning id, badge_version) "
        "insert into outbox (user_id, frame, payload) select id, 'unread_count', "
        "jsonb_build_object('count', 0, 'version', badge_version) from gone",
        "delete from notifications",
        "delete from likes",
        "delete from direct_words",
        "delete from comments",
        "delete from follows",
        "delete from bell_subscriptions",  # a bell needs a follow
        "delete from kafka_fallback_queue",
        "update posts set like_count = 0, comment_count = 0 "
        "where like_count <> 0 or comment_count <> 0",
        "update users set follower_count = 0 where follower_count <> 0",
        "update epochs set value = uuidv7() where name = 'frames'",
        "notify outbox",
    )
)
