"""The state of the Redis failover: whether writes (likes, follows, comments) go through Redis or to
PostgreSQL.

app/ingest/ verifies it and starts a failover, workers/redis_failback.py ends it. The state is the row of the
table redis_failover_state (normal, failover, switching_back) and the key ingress:enabled, without which
set_membership.lua and append_events.lua refuse to write.

After the first failover write, the data in Redis is incomplete: nothing may be read from it until
redis_failback has updated it. An emptied Redis has lost the key as well; the row covers failover writes made
while Redis was unreachable, when the key could not be deleted.

The row becomes normal before the key is set, so that a process that sees the key also sees that row. The key
contains a token: a process deletes it only with the token it has read, so that a late one never deletes a
newer key.
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

from app.clients.pg_notify import NOTIFY
from app.clients.postgres import translate_errors as postgres_errors
from app.clients.redis import register_script, translate_errors
from app.clients.redis_health import REDIS_HEALTH
from app.domain.errors import Unavailable

log = logging.getLogger(__name__)
T = TypeVar("T")
INGRESS_ENABLED_KEY, INGRESS_INSTANCE_ID_KEY = "ingress:enabled", "ingress:instance_id"
INGRESS_INCOMPLETE_KEY = "ingress:incomplete"
"""Set in an emptied Redis until everything accepted before is in PostgreSQL."""
NOTIFY_CHANNEL = "redis_failover"
STATE_READ_TIMEOUT_SECONDS = 0.5
MAX_ENABLE_DELAY_SECONDS = 2.0
"""How late Redis may set the key: later the row may have changed."""
ADVISORY_LOCK_ID = 7_301_020
"""The advisory lock, shared by failover writes and exclusive for pause_failover_writes(). Its queue is fair;
with row locks, overlapping writes could block pause_failover_writes() for ever."""
PAUSE_LOCK_TIMEOUT_MS = 500


class FailbackInProgress(Exception):
    """Failover writes are paused: the failover that began at `changed_at` is about to end."""

    def __init__(self, changed_at: str) -> None:
        super().__init__(changed_at)
        self.changed_at = changed_at


class NotInFailover(Exception):
    """Writes go through Redis since `changed_at` (None: the state is not initialized)."""

    def __init__(self, changed_at: str | None) -> None:
        super().__init__(changed_at)
        self.changed_at = changed_at


@dataclass(frozen=True, slots=True)
class FailoverState:
    """The row. `changed_at`: when the failover began or ended. `instance_id`: the value of
    ingress:instance_id in a Redis that was not emptied since."""

    status: str
    changed_at: str = ""
    reason: str = ""
    instance_id: str | None = None
    data_loss: dict[str, Any] | None = None


class RedisFailover:
    def __init__(self, connection: redis.Redis, engine: Engine) -> None:
        self._redis = connection
        self._engine = engine
        self._disable_ingress_script = register_script(connection, "failover/disable_ingress")
        self._enable_ingress_script = register_script(connection, "failover/enable_ingress")
        self._verified_version = 0
        """The version of REDIS_HEALTH at the last verify_ingress_after_failure()."""
        self._state_changed = Event()

    @property
    def is_verification_required(self) -> bool:
        """Whether data that was just read may come from a Redis that was unavailable since
        verify_ingress_after_failure()."""
        return self._verified_version != REDIS_HEALTH.version

    def is_redis_answering(self) -> bool:
        return REDIS_HEALTH.is_answering(self._redis)

    def on_state_change(self) -> None:
        """Call after a notification that the state changed."""
        REDIS_HEALTH.require_reverification()
        self._state_changed.set()
        self._state_changed.clear()

    def wait_for_state_change(self, timeout_seconds: float) -> None:
        """Returns after the next on_state_change(), or after the timeout."""
        self._state_changed.wait(timeout_seconds)

    def verify_ingress_after_failure(self) -> None:
        """After a failure of Redis: deletes the key if failover writes were made meanwhile. Without a
        failure, it does nothing. Raises Unavailable while Redis is unavailable."""
        if not self.is_verification_required:
            return
        health_version = REDIS_HEALTH.version
        with translate_errors("read the ingress key"):
            ingress_token = self._redis.get(INGRESS_ENABLED_KEY)
        is_in_failover = False
        try:
            # A like must not wait long for a frozen PostgreSQL, which accepts no failover writes either.
            timeout_error = Unavailable("PostgreSQL is too slow", "postgres_unavailable")
            with gevent.Timeout(STATE_READ_TIMEOUT_SECONDS, timeout_error):
                is_in_failover = ingress_token is not None and self.read_state().status in (
                    "failover",
                    "switching_back",
                )
        except Unavailable as exc:
            # While PostgreSQL is unavailable, there are no failover writes.
            log.debug("Cannot read the failover state: %s", exc, extra={"event": "failover_state_unknown"})
        if is_in_failover:
            self.delete_ingress_key(str(ingress_token))
        self._verified_version = health_version

    def read_state(self) -> FailoverState:
        """The state in PostgreSQL."""
        with postgres_errors("read the failover state"), self._engine.connect() as conn:
            row = conn.execute(_SELECT_STATE).first()
        return FailoverState(*row) if row else FailoverState("not_initialized")

    def start_failover(self, reason: str, changed_at: str | None = None) -> None:
        """Sets the row to failover, which allows failover writes; the commit notifies the web processes
        before the first one. `changed_at`: only if the state is normal since then."""
        with postgres_errors("start a failover"), self._engine.begin() as conn:
            if conn.execute(_START_FAILOVER, {"reason": reason, "since": changed_at}).rowcount:
                conn.execute(NOTIFY, {"channel": NOTIFY_CHANNEL})
                log.warning("Redis failover started: %s", reason, extra={"event": "redis_failover_started"})

    def delete_ingress_key(self, ingress_token: str) -> None:
        """Deletes the key in Redis if it has that token, so that writes through Redis are refused."""
        with translate_errors("disable the ingress"):
            self._disable_ingress_script(keys=[INGRESS_ENABLED_KEY], args=[ingress_token])

    def pause_failover_writes(self, changed_at: str) -> bool:
        """Waits for the running failover writes; later ones raise FailbackInProgress. False if the failover
        is not the one of `changed_at`: another worker was faster. Raises Unavailable if the running writes
        take too long, because new ones wait behind this call."""
        with postgres_errors("pause failover writes"), self._engine.begin() as conn:
            conn.execute(_SET_LOCK_TIMEOUT)
            conn.execute(_LOCK_EXCLUSIVE, {"lock": ADVISORY_LOCK_ID})
            return conn.execute(_PAUSE_FAILOVER_WRITES, {"since": changed_at}).rowcount > 0

    def resume_failover_writes(self, changed_at: str) -> None:
        """Returns to the state failover, so that failover writes continue."""
        with postgres_errors("resume failover writes"), self._engine.begin() as conn:
            if conn.execute(_RESUME_FAILOVER_WRITES, {"since": changed_at}).rowcount:
                conn.execute(NOTIFY, {"channel": NOTIFY_CHANNEL})

    def end_failover(self, instance_id: str, ingress_token: str, changed_at: str) -> bool:
        """Sets the row to normal if it is switching_back since `changed_at`, and then the key. False if it is
        not, or if Redis was too late; then the next process that finds no key starts a failover again."""
        deadline_ms = int((time.time() + MAX_ENABLE_DELAY_SECONDS) * 1000)
        with postgres_errors("end the failover"), self._engine.begin() as conn:
            if not conn.execute(_END_FAILOVER, {"instance_id": instance_id, "since": changed_at}).rowcount:
                return False
            conn.execute(text("delete from failover_affected_objects"))
            conn.execute(NOTIFY, {"channel": NOTIFY_CHANNEL})
        with translate_errors("enable the ingress"):
            return bool(
                self._enable_ingress_script(keys=[INGRESS_ENABLED_KEY], args=[ingress_token, deadline_ms])
            )

    def store_data_loss_report(self, data_loss: dict[str, Any]) -> None:
        """Stores what an emptied Redis lost, in place of the last loss."""
        with postgres_errors("record the data loss"), self._engine.begin() as conn:
            conn.execute(_STORE_DATA_LOSS_REPORT, {"data_loss": orjson.dumps(data_loss).decode()})


def read_from_verified_redis(failover: RedisFailover | None, read: Callable[[], T]) -> T:
    """Returns the result of `read` from a Redis that was available all the time: a process that was frozen
    during an outage must not use data from before it."""
    if failover is None:
        return read()
    failover.verify_ingress_after_failure()
    result = read()
    if failover.is_verification_required:
        failover.verify_ingress_after_failure()
        result = read()
    return result


def lock_shared_and_require_failover(conn: Connection) -> None:
    """Allows failover writes in this transaction, for whose end pause_failover_writes() waits. Raises
    FailbackInProgress, or NotInFailover if writes go through Redis."""
    row = conn.execute(_LOCK_SHARED_AND_SELECT_STATE, {"lock": ADVISORY_LOCK_ID}).first()
    if row is None:
        raise NotInFailover(None)
    if row[0] == "normal":
        raise NotInFailover(row[1])
    if row[0] == "switching_back":
        raise FailbackInProgress(row[1])


_SELECT_STATE = text(
    "select state, changed_at::text, reason, instance_id, data_loss from redis_failover_state "
    "where name = 'ingress'"
)
# Two statements in one round trip: the second sees what was committed while the first waited.
_LOCK_SHARED_AND_SELECT_STATE = text(
    "select pg_advisory_xact_lock_shared(:lock); "
    "select state, changed_at::text from redis_failover_state where name = 'ingress'"
)
_LOCK_EXCLUSIVE = text("select pg_advisory_xact_lock(:lock)")
_SET_LOCK_TIMEOUT = text(f"set local lock_timeout = {PAUSE_LOCK_TIMEOUT_MS}")
_START_FAILOVER = text(
    "insert into redis_failover_state (name, state, reason) values ('ingress', 'failover', "
    ":reason) "
    "on conflict (name) do update set state = 'failover', reason = excluded.reason, "
    "changed_at = now() where redis_failover_state.state = 'normal' "
    "and redis_failover_state.changed_at = coalesce(cast(:since as timestamptz), "
    "redis_failover_state.changed_at)"
)
_PAUSE_FAILOVER_WRITES = text(
    "update redis_failover_state set state = 'switching_back' where name = 'ingress' and state = "
    "'failover' "
    "and changed_at = cast(:since as timestamptz)"
)
_WHERE_SWITCHING_BACK_SQL = (
    "where name = 'ingress' and state = 'switching_back' and changed_at = cast(:since as timestamptz)"
)
_RESUME_FAILOVER_WRITES = text(
    f"update redis_failover_state set state = 'failover' {_WHERE_SWITCHING_BACK_SQL}"  # noqa: S608
)
_END_FAILOVER = text(
    "update redis_failover_state set state = 'normal', reason = '', instance_id = :instance_id, "  # noqa: S608
    "changed_at = now() "
    f"{_WHERE_SWITCHING_BACK_SQL}"
)
_STORE_DATA_LOSS_REPORT = text(
    "update redis_failover_state set data_loss = cast(:data_loss as jsonb) where name = 'ingress'"
)
