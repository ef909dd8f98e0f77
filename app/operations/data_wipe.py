"""Data wipe: deletes all notifications, likes, comments and follows, and all that would restore them.

Used by DELETE /api/admin/db/clear. Output: empty tables and Redis keys, the clear watermark
(app/persistence/clear_watermarks.py), a new epoch of client events. The order makes it safe: under an
exclusive lock on the tables, one script empties Redis and sets the watermark; then the tables are emptied;
then caches may be loaded again. A crash at any point leaves Redis without caches, which is valid whether or
not the tables were emptied.
"""

from collections.abc import Callable

import redis
from sqlalchemy import Connection, Engine, text

from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import register_script, translate_errors
from app.operations.audit_log import insert_audit_entry
from app.persistence import clear_watermarks

BRIDGE_CONSUMER_GROUP = "bridge"
RUNNING_MARKER_TTL_MS = 60_000
"""Longer than the statement timeout below: after a crash, caches may be loaded again when it expires."""


class EventDataWipe:
    def __init__(self, engine: Engine, connection: redis.Redis, shard_count: int) -> None:
        self._engine = engine
        self._redis = connection
        self._shard_count = shard_count
        self._clear_redis_script = register_script(connection, "operations/clear")

    def wipe(self, actor_id: str, on_redis_cleared: Callable[[], object] = lambda: None) -> None:
        """Wipes everything; when a service is unavailable, nothing that a reader would notice.

        `on_redis_cleared` is for tests: it runs when Redis is empty and the tables are not yet.
        """
        try:
            with translate_postgres_errors("clear the tables"), self._engine.begin() as conn:
                for statement in _SET_TIMEOUTS:
                    conn.execute(statement)
                clear_watermarks.lock_exclusive_for_clearing(conn)
                seq = self._clear_redis_and_set_watermark()
                on_redis_cleared()
                self._set_outbox_watermark(conn)
                for statement in _WIPE_STATEMENTS:
                    conn.execute(statement)
                clear_watermarks.raise_clear_watermark(conn, seq)
                insert_audit_entry(conn, actor_id, "db.clear", f"all events up to seq {seq}")
        except Exception:
            self._delete_running_marker(clear_watermarks.OUTBOX_WATERMARK_KEY)
            raise
        self._delete_running_marker()

    def _clear_redis_and_set_watermark(self) -> int:
        with translate_errors("clear its keys"):
            keys = [clear_watermarks.CLEAR_WATERMARK_KEY, clear_watermarks.CLEAR_RUNNING_KEY]
            return int(
                self._clear_redis_script(
                    keys=keys,
                    args=[self._shard_count, BRIDGE_CONSUMER_GROUP, RUNNING_MARKER_TTL_MS],
                )
            )

    def _set_outbox_watermark(self, conn: Connection) -> None:
        last_outbox_id = conn.execute(text("select coalesce(max(id), 0) from outbox")).scalar_one()
        with translate_errors("set the watermark"):
            self._redis.set(clear_watermarks.OUTBOX_WATERMARK_KEY, last_outbox_id)

    def _delete_running_marker(self, *extra_keys: str) -> None:
        with translate_errors("end the wipe"):
            self._redis.delete(clear_watermarks.CLEAR_RUNNING_KEY, *extra_keys)


_SET_TIMEOUTS = (
    text("set local statement_timeout = '30s'"),
    text("set local lock_timeout = '5s'"),
)
_WIPE_STATEMENTS = tuple(
    text(statement)
    for statement in (
        # Client events so far concern deleted rows: a new epoch prevents resuming from them.
        "delete from outbox",
        # The unread count of every user who had one is zero now, on all screens.
        "with gone as (update users set client_seq = client_seq + 1 "
        "where id in (select user_id from unread_notifications) returning id, client_seq) "
        "insert into outbox (user_id, client_event, payload) select id, 'unread_count', "
        "jsonb_build_object('count', 0, 'version', client_seq) from gone",
        "delete from notifications",
        "delete from likes",
        "delete from comments",
        "delete from follows",
        "delete from bell_subscriptions",  # a bell subscription needs a follow
        "delete from fan_outs",
        "delete from kafka_fallback_queue",
        "update posts set like_count = 0, comment_count = 0 where like_count <> 0 or comment_count <> 0",
        "update users set follower_count = 0 where follower_count <> 0",
        "update epochs set value = uuidv7() where name = 'client_events'",
        "notify outbox",
    )
)
