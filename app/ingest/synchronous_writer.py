"""The synchronous writer: events are written in the process that was asked, without Redis and Kafka.

In: critical events (app/ingest/critical_publisher.py) and failover writes (app/ingest/failover_path.py). Out:
one transaction of app/persistence/event_writer.py, whose client events reach the sockets by NOTIFY; in the
same transaction a row per event in the fallback queue, so that a copy takes the usual way through the
pipeline (traces, counters, windows). The event writer has the event when the copy arrives, so it announces
nothing.

Grouped calls that arrive during a transaction, or shortly after it, share the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import AsyncResult
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, IntegrityError

from app.clients.postgres import translate_errors
from app.domain.errors import Rejected, Unavailable
from app.domain.events import Event
from app.domain.grouping import AnnounceWhen
from app.domain.routing import CRITICAL_SHARD
from app.ingest.failover_writes import FailoverEvents, FailoverRequest
from app.ingest.memberships import MembershipState, SetMembershipRequest
from app.messaging.fallback_queue import FallbackQueue
from app.messaging.publisher import event_to_record
from app.persistence.critical_notify import CriticalClientEvent
from app.persistence.event_writer import EventBatch, EventToWrite, EventWriter

CALL_TIMEOUT_SECONDS, TRANSACTION_TIMEOUT_SECONDS = 1.6, 1.5
"""Of grouped calls. A call that was given up is written within the second limit or not at all, so that it
cannot undo a later one."""
GROUP_INTERVAL_SECONDS = 0.1
"""Between two transactions while calls keep arriving: a storm on one post makes few of them."""
MAX_PENDING_WRITES, MAX_WRITES_PER_TRANSACTION = 10_000, 200


@dataclass(frozen=True, slots=True)
class WriteResult:
    """`state`: of a membership request. `critical_events`: those of the whole transaction."""

    state: MembershipState | None
    critical_events: Sequence[CriticalClientEvent]


@dataclass(frozen=True, slots=True, eq=False)
class _PendingWrite:
    request: FailoverRequest
    outcome: "AsyncResult[WriteResult | Exception]" = field(default_factory=AsyncResult)


class SynchronousWriter:
    """Without `failover_events` it takes complete events. `is_grouped`: callers are greenlets of one thread,
    as in a web process, and share transactions. Otherwise each call has its own: none waits for another."""

    def __init__(
        self,
        engine: Engine,
        event_writer: EventWriter,
        fallback_queue: FallbackQueue,
        failover_events: FailoverEvents | None = None,
        is_grouped: bool = False,
    ) -> None:
        self._engine = engine
        self._event_writer = event_writer
        self._fallback_queue = fallback_queue
        self._failover_events = failover_events
        self._is_grouped = is_grouped
        self._pending: list[_PendingWrite] = []
        self._greenlet: gevent.Greenlet[..., Any] | None = None

    def write(self, request: FailoverRequest) -> WriteResult:
        """Returns after the commit. Raises Rejected, what FailoverEvents raises, and Unavailable; in the last
        case it may have been written."""
        outcome = self._write_grouped(request) if self._is_grouped else self._write_all([request])[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _write_grouped(self, request: FailoverRequest) -> WriteResult | Exception:
        if len(self._pending) >= MAX_PENDING_WRITES:
            return Unavailable("Too many events are waiting; try again soon", "too_many_waiting")
        pending = _PendingWrite(request)
        self._pending.append(pending)
        if not self._greenlet:
            self._greenlet = gevent.spawn(self._write_pending)
        pending.outcome.wait(CALL_TIMEOUT_SECONDS)
        if pending in self._pending:
            self._pending.remove(pending)
        return pending.outcome.value or Unavailable("PostgreSQL is too slow", "postgres_unavailable")

    def _write_pending(self) -> None:
        while self._pending:
            batch = self._pending[:MAX_WRITES_PER_TRANSACTION]
            del self._pending[:MAX_WRITES_PER_TRANSACTION]
            outcomes: Sequence[WriteResult | Exception]
            timeout_error = Unavailable("PostgreSQL is too slow", "postgres_unavailable")
            try:
                with gevent.Timeout(TRANSACTION_TIMEOUT_SECONDS, timeout_error):
                    outcomes = self._write_all([pending.request for pending in batch])
            except Exception as exc:  # every waiting caller must get it
                outcomes = [exc] * len(batch)
            for pending, outcome in zip(batch, outcomes, strict=True):
                pending.outcome.set(outcome)
            if len(self._pending) < MAX_WRITES_PER_TRANSACTION:
                gevent.sleep(GROUP_INTERVAL_SECONDS)

    def _write_all(
        self, requests: Sequence[FailoverRequest], may_retry: bool = True
    ) -> list[WriteResult | Exception]:
        """The result of each request, or its error. Bisects requests of which one cannot be stored."""
        try:
            return self._write_in_one_transaction(requests)
        except (IntegrityError, DataError, UnicodeEncodeError, ValueError) as exc:
            if len(requests) > 1:
                middle = len(requests) // 2
                return [*self._write_all(requests[:middle]), *self._write_all(requests[middle:])]
            if may_retry and isinstance(exc, IntegrityError):
                # A user or post was deleted between the check and the write.
                return self._write_all(requests, may_retry=False)
            return [Rejected("The event cannot be stored", "invalid", 400)]

    def _write_in_one_transaction(self, requests: Sequence[FailoverRequest]) -> list[WriteResult | Exception]:
        with translate_errors("write events synchronously"), self._engine.begin() as conn:
            built: list[Sequence[Event] | Rejected] = (
                self._failover_events.build(conn, requests)
                if self._failover_events
                else [request for request in requests if isinstance(request, tuple)]
            )
            events = [event for item in built if not isinstance(item, Rejected) for event in item]
            items = tuple(EventToWrite(event, AnnounceWhen.NOW) for event in events)
            outcome = self._event_writer.write_in_transaction(conn, EventBatch(items, pushes_by_notify=True))
            # All in one shard, apart from those of the pipeline: it need not wait for copies.
            self._fallback_queue.enqueue_in_transaction(
                conn,
                CRITICAL_SHARD,
                [(event.event_id, event.seq, event_to_record(event)) for event in events],
            )
            counts = self._failover_events.read_counts(conn, requests) if self._failover_events else {}
        return [
            item
            if isinstance(item, Rejected)
            else WriteResult(
                MembershipState(item[0].active, counts[request.object_id])
                if isinstance(request, SetMembershipRequest)
                else None,
                outcome.critical_events,
            )
            for request, item in zip(requests, built, strict=True)
        ]
