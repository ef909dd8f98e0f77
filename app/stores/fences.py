"""The fence: the line that DELETE /api/admin/db/clear draws. Events up to it are expired, wherever
they still are: on the streams, on Kafka, in a worker's hands.

In    stores/clearing.py raises it
Out   stores/ledger.py lets nothing older into the tables; loaders of counts wait while it is raised

PostgreSQL has the binding word, under a lock that every ledger transaction shares; Redis has a
copy, so that what is expired takes nobody's place in a window.
"""

from contextlib import suppress

import redis
from sqlalchemy import Connection, text

from app.domain.errors import Unavailable
from app.stores.gate import CLOSED_CODE, OPEN
from app.stores.redis import speaking

FENCE, RUNNING, OUTBOX = "clear:fence", "clear:running", "clear:outbox"
LOCK = 7_301_019
"""The advisory lock's number: shared by ledger transactions, alone for a clearing."""


def shared(sql: Connection) -> int:
    """The fence that holds for this whole transaction: no clearing can begin before it ends.

    Two statements in one round trip, and each sees what was committed before it: read first, the
    fence could be the one of before the wait.
    """
    return int(sql.execute(_SHARED, {"lock": LOCK}).scalar() or 0)


def alone(sql: Connection) -> None:
    """Waits for the ledger transactions that run; later ones wait for us."""
    sql.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def raised(sql: Connection, seq: int) -> None:
    sql.execute(_RAISE, {"seq": seq})


def standing(connection: redis.Redis) -> str:
    """What a loader saw before it read the tables: what it then fills in is refused if the fence
    or the gate moved meanwhile. Raises Unavailable while the tables are being emptied, and while
    they do not have all words yet."""
    with speaking("tell the fence"):
        told: list[str | None] = connection.mget([FENCE, RUNNING, OPEN])  # type: ignore[assignment]
    fence, running, gate = told
    if gate is None:
        raise Unavailable("The gate is closed", CLOSED_CODE)
    if running:
        raise Unavailable("The tables are being cleared", "busy")
    return f"{fence or ''} {gate}"


class ClearedFrames:
    """Which frames of the outbox are about rows that are gone: all up to this one."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._last = 0

    def up_to(self) -> int:
        """The last word we heard, when Redis is away: the frames must not wait for it here."""
        with suppress(Unavailable), speaking("tell the fence"):
            self._last = int(self._redis.get(OUTBOX) or 0)
        return self._last


_SHARED = text(
    "select pg_advisory_xact_lock_shared(:lock); "
    "select (select seq from fences where name = 'clear')"
)
_RAISE = text(
    "insert into fences (name, seq) values ('clear', :seq) "
    "on conflict (name) do update set seq = greatest(fences.seq, excluded.seq)"
)
