"""The gate: whether words (likes, follows, comments) may go by way of Redis.

In    app/actions.py (trust, close), stores/direct_words.py (admits), workers/keeper.py (the rest)
Out   the key ingress:open, which wish.lua and append.lua look at; the table gates

Once a word was spoken past Redis, what Redis knows is no longer all: it must not answer by it until
workers/keeper.py has made both agree. The key is gone with everything else when Redis is emptied,
and the row says what the key must not: that somebody spoke while Redis was cut off from us.

The row is committed as open before the key is set: whoever sees the key of an opening also sees
its row. Whoever closes names the opening that is meant, so that a late process never closes a
newer one.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import gevent
import orjson
import redis
from gevent.event import Event
from sqlalchemy import Connection, Engine, text

from app import breakers
from app.domain.errors import Unavailable
from app.stores.bell import WAKE
from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import TRUST, script, speaking

log = logging.getLogger(__name__)
T = TypeVar("T")
OPEN, KEPT = "ingress:open", "ingress:kept"
CLOSED_CODE = "gate_closed"
CHANNEL = "gate"
PING_SECONDS, LOOK_SECONDS = 0.3, 0.5
OPENING_SECONDS = 2.0
"""How late Redis may carry out an opening: later the row may say something else."""
LOCK = 7_301_020
"""The advisory lock's number: shared by failover writes, alone for a hold. Its queue is fair; with
row locks, writes that overlap would keep a hold waiting for ever."""
HOLD_LOCK_MS = 300
PAST_REDIS = frozenset({"redis_unavailable", CLOSED_CODE})
"""Refusals of Redis after which the same word may go past it."""


class Holding(Exception):
    """For a moment nobody may speak past Redis: the gate, closed since then, is about to open."""

    def __init__(self, since: str) -> None:
        super().__init__(since)
        self.since = since


class NotClosed(Exception):
    """Writes go by way of Redis, since that moment (None: they never did yet)."""

    def __init__(self, since: str | None) -> None:
        super().__init__(since)
        self.since = since


@dataclass(frozen=True, slots=True)
class State:
    """The row. `kept`: what a Redis that was not emptied still has under ingress:kept. `since`:
    when it was closed or opened."""

    state: str
    since: str = ""
    reason: str = ""
    kept: str | None = None
    lost: dict[str, Any] | None = None


class Gate:
    def __init__(self, connection: redis.Redis, engine: Engine) -> None:
        self._redis = connection
        self._engine = engine
        self._shut = script(connection, "shut")
        self._open = script(connection, "open")
        self._doubts = 0
        self._seen = (0, 0)
        self._changed = Event()

    @property
    def is_in_doubt(self) -> bool:
        """Whether what was just read may come from a Redis that was away meanwhile."""
        return self._seen != self._reasons_to_look()

    def _reasons_to_look(self) -> tuple[int, int]:
        return TRUST.faults, self._doubts

    def answers(self) -> bool:
        """Whether Redis is there after a call that was waited for in vain: on a busy machine it is
        our own process that was late. By a connection of its own, for a moment only."""
        pool = self._redis.connection_pool
        patience = {"socket_timeout": PING_SECONDS, "socket_connect_timeout": PING_SECONDS}
        made = pool.connection_class(**(pool.connection_kwargs | patience))
        try:
            made.send_command("PING")
            made.read_response()
        except (redis.RedisError, OSError) as fault:
            log.debug("Redis does not answer: %s", fault)
            return False
        finally:
            made.disconnect()
        TRUST.heard()
        breakers.REDIS.answered()
        return True

    def doubt(self) -> None:
        """This process is about to speak past Redis, or heard that another one does."""
        self._doubts += 1

    def has_changed(self) -> None:
        """This process heard that the row has another state."""
        self.doubt()
        self._changed.set()
        self._changed.clear()

    def wait(self, seconds: float) -> None:
        """Until the row has another state, as far as this process hears of it; at most so long."""
        self._changed.wait(seconds)

    def trust(self) -> None:
        """After Redis let this process down: closes the gate behind it if anybody spoke past it
        meanwhile. Costs nothing otherwise. Raises Unavailable when Redis is still away."""
        seen = self._reasons_to_look()
        if seen == self._seen:
            return
        with speaking("tell the gate"):
            token = self._redis.get(OPEN)
        closed = False
        try:
            # A like must not wait long for a frozen PostgreSQL, which nobody spoke to either.
            late = Unavailable("PostgreSQL is too slow", "postgres_unavailable")
            with gevent.Timeout(LOOK_SECONDS, late):
                closed = token is not None and self.state().state in ("closed", "holding")
        except Unavailable as fault:
            # Without PostgreSQL nobody spoke past Redis either.
            log.debug("Nobody tells whether the gate is closed: %s", fault)
        if closed:
            self.shut(str(token))
        self._seen = seen

    def state(self) -> State:
        """What the row says."""
        with asking_postgres("tell the gate"), self._engine.connect() as sql:
            row = sql.execute(_STATE).first()
        return State(*row) if row else State("never opened")

    def is_open(self) -> bool:
        """What Redis says."""
        with speaking("tell the gate"):
            return bool(self._redis.exists(OPEN))

    def close(self, reason: str, since: str | None = None) -> None:
        """In the row first: from now on words may be spoken past Redis. The web processes hear of
        it with the commit, which comes before the first word. `since`: only that opening."""
        with asking_postgres("close the gate"), self._engine.begin() as sql:
            if sql.execute(_CLOSE, {"reason": reason, "since": since}).rowcount:
                sql.execute(WAKE, {"channel": CHANNEL})
                log.warning("The gate is closed: %s", reason)

    def shut(self, token: str) -> None:
        """In Redis: no word goes this way any more. Only the opening with that token."""
        with speaking("close the gate"):
            self._shut(keys=[OPEN], args=[token])

    def hold(self, since: str) -> bool:
        """Waits for those who are speaking; whoever comes later meets Holding. False: it is not the
        gate that was closed then, so a twin of ours was faster. Raises Unavailable when they do not
        end soon: whoever wants to speak waits as well."""
        with asking_postgres("hold the gate"), self._engine.begin() as sql:
            sql.execute(_HOLD_PATIENCE)
            sql.execute(_ALONE, {"lock": LOCK})
            return sql.execute(_HOLD, {"since": since}).rowcount > 0

    def let_go(self, since: str) -> None:
        """Still closed: they may speak on."""
        with asking_postgres("let the gate go"), self._engine.begin() as sql:
            if sql.execute(_LET_GO, {"since": since}).rowcount:
                sql.execute(WAKE, {"channel": CHANNEL})

    def open(self, kept: str, token: str, since: str) -> bool:
        """What is held since then, in the row and then in Redis. False: it is not held any more, or
        Redis was too late; then the row is closed again by whoever misses the key."""
        deadline_ms = int((time.time() + OPENING_SECONDS) * 1000)
        with asking_postgres("open the gate"), self._engine.begin() as sql:
            if not sql.execute(_OPEN, {"kept": kept, "since": since}).rowcount:
                return False
            sql.execute(text("delete from direct_words"))
            sql.execute(WAKE, {"channel": CHANNEL})
        with speaking("open the gate"):
            return bool(self._open(keys=[OPEN], args=[token, deadline_ms]))

    def note_loss(self, lost: dict[str, Any]) -> None:
        """What an emptied Redis cost; until the next time."""
        with asking_postgres("note a loss"), self._engine.begin() as sql:
            sql.execute(_LOST, {"lost": orjson.dumps(lost).decode()})


def sure(gate: Gate | None, read: Callable[[], T]) -> T:
    """What is read where the gate is, from a Redis that was surely not away in between: a process
    that slept through an outage must not answer by what Redis knew before."""
    if gate is None:
        return read()
    gate.trust()
    found = read()
    if gate.is_in_doubt:
        gate.trust()
        found = read()
    return found


def admit(sql: Connection) -> None:
    """Lets words be spoken past Redis in this transaction; the keeper waits for its end. Raises
    Holding; NotClosed when they go by way of Redis."""
    row = sql.execute(_SHARED, {"lock": LOCK}).first()
    if row is None:
        raise NotClosed(None)
    if row[0] == "open":
        raise NotClosed(row[1])
    if row[0] == "holding":
        raise Holding(row[1])


_STATE = text(
    "select state, changed_at::text, reason, kept, lost from gates where name = 'ingress'"
)
# Two statements in one round trip: the second sees what was committed while the first waited.
_SHARED = text(
    "select pg_advisory_xact_lock_shared(:lock); "
    "select state, changed_at::text from gates where name = 'ingress'"
)
_ALONE = text("select pg_advisory_xact_lock(:lock)")
_HOLD_PATIENCE = text(f"set local lock_timeout = {HOLD_LOCK_MS}")
_CLOSE = text(
    "insert into gates (name, state, reason) values ('ingress', 'closed', :reason) "
    "on conflict (name) do update set state = 'closed', reason = excluded.reason, "
    "changed_at = now() where gates.state = 'open' "
    "and gates.changed_at = coalesce(cast(:since as timestamptz), gates.changed_at)"
)
_HOLD = text(
    "update gates set state = 'holding' where name = 'ingress' and state = 'closed' "
    "and changed_at = cast(:since as timestamptz)"
)
_HELD = "where name = 'ingress' and state = 'holding' and changed_at = cast(:since as timestamptz)"
_LET_GO = text(f"update gates set state = 'closed' {_HELD}")  # noqa: S608 - constants only
_OPEN = text(
    "update gates set state = 'open', reason = '', kept = :kept, changed_at = now() "  # noqa: S608
    f"{_HELD}"
)
_LOST = text("update gates set lost = cast(:lost as jsonb) where name = 'ingress'")
