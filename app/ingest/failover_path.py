"""User actions during a Redis failover, and the decision which path a call takes.

In: calls of the user actions. Out: app/ingest/synchronous_writer.py with the events of
app/ingest/failover_writes.py; workers/redis_failback.py ends the failover.

The event keeps the id that it had in the call to Redis: if that call took effect after all, the second
event changes nothing.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import gevent

from app.clients import stale_reads
from app.clients.pg_notify import PgNotifyListener
from app.clients.redis_health import REDIS_HEALTH
from app.domain.errors import RedisFailoverActive, RedisUnavailable, Unavailable
from app.domain.events import Event
from app.failover.redis_failover import (
    FailbackInProgress,
    NotInFailover,
    RedisFailover,
)
from app.ingest.failover_writes import FailoverWrites
from app.ingest.memberships import MembershipState, SetMembershipRequest
from app.ingest.pending_comment_deletions import PendingCommentDeletion
from app.ingest.synchronous_writer import SynchronousWriter

log = logging.getLogger(__name__)
T = TypeVar("T")
MAX_WRITE_PAUSE_SECONDS, WRITE_PAUSE_POLL_SECONDS = 1.6, 0.25
"""Longer than workers/redis_failback.py pauses writers; a wait ends early when the state changes."""
KEY_WAIT_SECONDS, KEY_POLL_SECONDS = 0.5, 0.03
"""How long to wait for the key ingress:enabled, which is set just after the row says "normal"."""
NOTIFY_WAIT_SECONDS, RETRY_DELAY_SECONDS = 10.0, 0.5


class FailoverAttempt:
    """The state of one call of FailoverWriter.run_with_fallback: its duration, and the switches to normal
    that it has seen."""

    def __init__(self, is_idempotent: bool) -> None:
        self.is_idempotent = is_idempotent
        self._started_at = time.monotonic()
        self._first_seen_at: dict[str, float] = {}

    def elapsed_seconds(self) -> float:
        return time.monotonic() - self._started_at

    def seconds_since_switch_first_seen(self, normal_since: str) -> float:
        now = time.monotonic()
        return now - self._first_seen_at.setdefault(normal_since, now)


class FailoverWriter:
    def __init__(
        self,
        redis_failover: RedisFailover,
        failover_writes: FailoverWrites,
        writer: SynchronousWriter,
    ) -> None:
        self._redis_failover = redis_failover
        self._failover_writes = failover_writes
        self._writer = writer

    def run_with_fallback(
        self, primary: Callable[[], T], fallback: Callable[[], T], is_idempotent: bool = True
    ) -> T:
        """Calls `primary`, which uses Redis, and `fallback` if Redis is unavailable or in failover.
        `is_idempotent`: `primary` may be repeated after a time-out. Raises Unavailable if neither
        succeeds."""
        attempt = FailoverAttempt(is_idempotent)
        while True:
            try:
                self._redis_failover.verify_ingress_after_failure()
                return primary()
            except (RedisUnavailable, RedisFailoverActive) as exc:
                log.debug("Taking the failover path: %s", exc, extra={"event": "failover_path_taken"})
                redis_error = exc
            REDIS_HEALTH.require_reverification()
            try:
                result = fallback()
            except NotInFailover as conflict:
                self._prepare_redis_retry(redis_error, conflict.changed_at, attempt)
            except FailbackInProgress as conflict:
                self._wait_for_failback(conflict.changed_at, attempt)
            else:
                stale_reads.mark_response_stale()
                return result

    def _prepare_redis_retry(
        self, redis_error: Unavailable, normal_since: str | None, attempt: FailoverAttempt
    ) -> None:
        """Handles an error of Redis while the row says "normal". Either failback ended after the error,
        or this process was slow: then the call is repeated. Or Redis is unavailable or lost its key:
        then a failover starts, unless the row has changed since `normal_since`. Raises the error after
        the time limit, or if repeating the call could apply it twice."""
        is_redis_available = (
            isinstance(redis_error, RedisFailoverActive) or self._redis_failover.is_redis_answering()
        )
        may_have_applied = redis_error.__cause__ is not None
        if normal_since is None or not is_redis_available:
            self._redis_failover.start_failover("Redis does not answer", normal_since)
        elif may_have_applied and not attempt.is_idempotent:
            raise redis_error
        elif attempt.seconds_since_switch_first_seen(normal_since) < KEY_WAIT_SECONDS:
            time.sleep(KEY_POLL_SECONDS)
        elif attempt.elapsed_seconds() < MAX_WRITE_PAUSE_SECONDS:
            self._redis_failover.start_failover("Redis rejects writes or has lost its key", normal_since)
        else:
            raise redis_error

    def _wait_for_failback(self, failover_since: str, attempt: FailoverAttempt) -> None:
        """Waits while writers are paused. A pause that exceeds its limit is ended: its worker died."""
        waited_seconds = attempt.elapsed_seconds()
        if waited_seconds < MAX_WRITE_PAUSE_SECONDS:
            self._redis_failover.wait_for_state_change(WRITE_PAUSE_POLL_SECONDS)
        elif waited_seconds < MAX_WRITE_PAUSE_SECONDS + KEY_WAIT_SECONDS:
            self._redis_failover.resume_failover_writes(failover_since)
        else:
            raise Unavailable("Temporarily unavailable, please retry", "busy")

    def set_membership(self, request: SetMembershipRequest) -> MembershipState:
        """Raises Rejected, Unavailable, FailbackInProgress, NotInFailover."""
        return cast("MembershipState", self._writer.write(request).state)

    def write_events(self, events: Sequence[Event]) -> None:
        """Events that happened together, such as a comment and its mentions. Raises the same."""
        self._writer.write(tuple(events))

    def delete_comment_later(self, deletion: PendingCommentDeletion) -> None:
        self._failover_writes.delete_comment_later(deletion)

    def update_redis_unless_failover(self, update: Callable[[], None]) -> None:
        """Applies a change to Redis that the tables have already. During a failover it is skipped:
        workers/redis_failback.py applies it before Redis is used again."""
        try:
            self.run_with_fallback(update, self._failover_writes.raise_unless_in_failover)
        except Unavailable as exc:
            log.info("Redis is updated later: %s", exc, extra={"event": "redis_update_deferred"})


def forward_failover_changes_forever(pg_listener: PgNotifyListener, redis_failover: RedisFailover) -> None:
    """Runs forever. Passes each state change of another process to `redis_failover`, so that this process
    stops using Redis at once and calls that wait for failback continue. A NOTIFY may be missed while
    disconnected, so a reconnect counts as a change."""
    is_disconnected = True
    while True:
        try:
            if (
                pg_listener.wait_for_payloads(0 if is_disconnected else NOTIFY_WAIT_SECONDS)
                or is_disconnected
            ):
                redis_failover.on_state_change()
            else:
                pg_listener.check_connection()
            is_disconnected = False
        except Unavailable as exc:
            log.info(
                "Changes of the failover state are not received: %s",
                exc,
                extra={"event": "failover_watch_disconnected"},
            )
            is_disconnected = True
            gevent.sleep(RETRY_DELAY_SECONDS)
