"""The gate: whether words (likes, follows, comments) may go by way of Redis.

In    app/actions.py (trust, close), stores/direct_words.py (admits), workers/keeper.py (the rest)
Out   the key ingress:open, which wish.lua and append.lua look at; the table gates

Once a word was spoken past Redis, what Redis knows is no longer all: it must not answer by it until
workers/keeper.py has made both agree. The key is gone with everything else when Redis is emptied,
and the row says what the key must not: that somebody spoke while Redis was cut off from us.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import gevent
import orjson
import redis
from sqlalchemy import Connection, Engine, text

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
PAST_REDIS = frozenset({"redis_unavailable", CLOSED_CODE})
"""Refusals of Redis after which the same word may go past it."""


class Holding(Exception):
    """For a moment nobody may speak past Redis: the gate is about to open."""


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
        self._seen_faults = 0

    @property
    def is_in_doubt(self) -> bool:
        """Whether what was just read may come from a Redis that was away meanwhile."""
        return self._seen_faults != TRUST.faults

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
        return True

    def doubt(self) -> None:
        """This process is about to speak past Redis, or heard that another one does."""
        self._seen_faults = -1

    def trust(self) -> None:
        """After Redis let this process down: closes the gate behind it if anybody spoke past it
        meanwhile. Costs nothing otherwise. Raises Unavailable when Redis is still away."""
        faults = TRUST.faults
        if faults == self._seen_faults:
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
            with speaking("close the gate"):
                self._shut(keys=[OPEN], args=[str(token)])  # not one that was opened since
        self._seen_faults = faults

    def state(self) -> State:
        """What the row says."""
        with asking_postgres("tell the gate"), self._engine.connect() as sql:
            row = sql.execute(_STATE).first()
        return State(*row) if row else State("never opened")

    def is_open(self) -> bool:
        """What Redis says."""
        with speaking("tell the gate"):
            return bool(self._redis.exists(OPEN))

    def close(self, reason: str) -> None:
        """In the row first: from now on words may be spoken past Redis. The web processes hear of
        it with the commit, which comes before the first word."""
        with asking_postgres("close the gate"), self._engine.begin() as sql:
            if sql.execute(_CLOSE, {"reason": reason}).rowcount:
                sql.execute(WAKE, {"channel": CHANNEL})
                log.warning("The gate is closed: %s", reason)

    def shut(self) -> None:
        """In Redis: no word goes this way any more."""
        with speaking("close the gate"):
            self._redis.delete(OPEN)

    def hold(self, since: str) -> bool:
        """Waits for those who are speaking; whoever comes later meets Holding. False: it is not the
        gate that was closed then, so a twin of ours was faster."""
        with asking_postgres("hold the gate"), self._engine.begin() as sql:
            return sql.execute(_HOLD, {"since": since}).rowcount > 0

    def let_go(self) -> None:
        """Still closed: they may speak on."""
        with asking_postgres("let the gate go"), self._engine.begin() as sql:
            sql.execute(_LET_GO)

    def open(self, kept: str, token: str) -> None:
        """In both, or in Redis alone (then the keeper shuts it again). Whoever is about to speak
        past Redis waits for the end of it."""
        with asking_postgres("open the gate"), self._engine.begin() as sql:
            sql.execute(_OPEN, {"kept": kept})
            sql.execute(text("delete from direct_words"))
            with speaking("open the gate"):
                self._redis.set(OPEN, token)

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


def admits(sql: Connection) -> bool:
    """Whether words may be spoken past Redis in this transaction; the keeper waits for its end.
    False: the gate is open, and must be closed first. Raises Holding."""
    state = sql.execute(_SHARED).scalar()
    if state == "holding":
        raise Holding
    return state == "closed"


_STATE = text(
    "select state, changed_at::text, reason, kept, lost from gates where name = 'ingress'"
)
_SHARED = text("select state from gates where name = 'ingress' for share")
_CLOSE = text(
    "insert into gates (name, state, reason) values ('ingress', 'closed', :reason) "
    "on conflict (name) do update set state = 'closed', reason = excluded.reason, "
    "changed_at = now() where gates.state = 'open'"
)
_HOLD = text(
    "update gates set state = 'holding' where name = 'ingress' and state = 'closed' "
    "and changed_at = cast(:since as timestamptz)"
)
_LET_GO = text("update gates set state = 'closed' where name = 'ingress' and state = 'holding'")
_OPEN = text(
    "update gates set state = 'open', reason = '', kept = :kept, changed_at = now() "
    "where name = 'ingress'"
)
_LOST = text("update gates set lost = cast(:lost as jsonb) where name = 'ingress'")
