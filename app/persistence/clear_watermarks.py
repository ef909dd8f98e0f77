"""Clear watermarks: DELETE /api/admin/db/clear expires all events with a seq up to the watermark.

In: app/operations/data_wipe.py raises the watermark. Out: app/persistence/event_writer.py skips older events,
wherever they were queued; cache loaders are refused while the tables are being cleared.

The value in PostgreSQL is authoritative, under an advisory lock that every writing transaction shares. Redis
has a copy, so that expired events do not use up the instant announcements of a window.
"""

from contextlib import suppress

import redis
from sqlalchemy import Connection, text

from app.clients.redis import translate_errors
from app.domain.errors import RedisFailoverActive, Unavailable
from app.failover.redis_failover import INGRESS_ENABLED_KEY

CLEAR_WATERMARK_KEY, CLEAR_RUNNING_KEY, OUTBOX_WATERMARK_KEY = (
    "clear:watermark",
    "clear:running",
    "clear:outbox_watermark",
)
ADVISORY_LOCK_ID = 7_301_019
"""Advisory lock: shared by transactions of the event writer, exclusive for clearing."""


def lock_shared_and_read_watermark(conn: Connection) -> int:
    """Returns the watermark and prevents clearing until the transaction ends.

    The lock and the read are two statements in one round trip. The read comes second, so that it sees a
    watermark that was committed while the lock was awaited.
    """
    return int(conn.execute(_LOCK_AND_SELECT, {"lock": ADVISORY_LOCK_ID}).scalar() or 0)


def lock_exclusive_for_clearing(conn: Connection) -> None:
    """Waits for running transactions of the event writer; later ones wait for this transaction."""
    conn.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK_ID})


def raise_clear_watermark(conn: Connection, seq: int) -> None:
    conn.execute(_UPSERT_WATERMARK, {"seq": seq})


def read_cache_load_token(connection: redis.Redis) -> str:
    """A token that a cache loader takes before it reads the tables. Its values are refused if a clearing or
    a Redis failover happened since. Raises Unavailable during a clearing and during a Redis failover."""
    with translate_errors("read the clear watermark"):
        values: list[str | None] = connection.mget(
            [CLEAR_WATERMARK_KEY, CLEAR_RUNNING_KEY, INGRESS_ENABLED_KEY]
        )  # type: ignore[assignment]
    watermark, clear_running, ingress_token = values
    if ingress_token is None:
        raise RedisFailoverActive
    if clear_running:
        raise Unavailable("The data is being cleared", "busy")
    return f"{watermark or ''} {ingress_token}"


class OutboxClearWatermark:
    """The last outbox id that a clearing made obsolete: client events up to it are not delivered."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._last_cleared_id = 0

    def read_last_cleared_outbox_id(self) -> int:
        """While Redis is unavailable, the last value read: delivery must not wait for Redis."""
        with suppress(Unavailable), translate_errors("read the outbox watermark"):
            self._last_cleared_id = int(self._redis.get(OUTBOX_WATERMARK_KEY) or 0)
        return self._last_cleared_id


_LOCK_AND_SELECT = text(
    "select pg_advisory_xact_lock_shared(:lock); "
    "select (select seq from clear_watermarks where name = 'clear')"
)
_UPSERT_WATERMARK = text(
    "insert into clear_watermarks (name, seq) values ('clear', :seq) "
    "on conflict (name) do update set seq = greatest(clear_watermarks.seq, excluded.seq)"
)
