"""The critical way: a code, a reset, an alarm reach people by way of PostgreSQL alone.

In    app/actions.py, for OTP, PASSWORD_RESET, SECURITY_ALERT
Out   stores/ledger.py at once; then aside a copy for the ingress, the lanes and their figures
Next  app/crier.py, told directly in this process, by NOTIFY and by Redis in the others

Accepted means committed. The copy comes to a ledger that knows the event already, which tells
nothing: every critical event takes both ways, so neither is ever untried.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

import gevent

from app.domain.errors import Rejected, Unavailable
from app.domain.events import SEQ_PER_MS, Event
from app.domain.ledger import Ring
from app.domain.routing import CRITICAL_SHARD
from app.seals import Seals
from app.stores.ledger import Batch, Entry, Ledger
from app.stores.urgency import Urgent, provisional
from app.streams.fallback import FallbackQueue
from app.streams.ingress import Ingress
from app.streams.publisher import record_of
from app.streams.push import Push, room_of

log = logging.getLogger(__name__)
LEDGER_SECONDS = 0.8
"""Half of what there is: who was kept waiting by a frozen table can still go the other way."""
Aside = Callable[[Callable[[], None]], object]


def nobody(_: Urgent) -> None:
    """For processes without sockets."""


class Critical:
    """`aside` runs what the caller need not wait for."""

    def __init__(
        self,
        ledger: Ledger,
        ingress: Ingress,
        fallback: FallbackQueue,
        push: Push,
        now: Callable[[], float],
        aside: Aside,
        seals: Seals,
    ) -> None:
        self._seals = seals
        self._ledger = ledger
        self._ingress = ingress
        self._fallback = fallback
        self._push = push
        self._now = now
        self._aside = aside
        self.here: Callable[[Urgent], None] = nobody

    def tell(self, event: Event) -> None:
        """Returns when it is safe and told. Raises Unavailable, Rejected."""
        event = replace(self._seals.hide_secrets(event), seq=int(self._now() * 1000) * SEQ_PER_MS)
        try:
            urgent = self._write(event)
        except Unavailable as fault:
            log.warning("The ledger cannot take a critical event now: %s", fault)
            # Safe elsewhere, or refused here. The ledger follows, by way of the bridge.
            self._keep(event)
            told = provisional(event)
            self.here(told)
            self._aside(lambda: self._spread([told]))
            return
        for one in urgent:
            self.here(one)
        self._aside(lambda: self._copy(event, urgent))

    def _write(self, event: Event) -> tuple[Urgent, ...]:
        ends = gevent.Timeout(LEDGER_SECONDS)
        try:
            with ends:
                settled = self._ledger.write(Batch((Entry(event, Ring.AT_ONCE),)))
        except gevent.Timeout as late:
            if late is not ends:
                raise
            # It may still have been written: the same event by another way changes nothing.
            raise Unavailable("PostgreSQL is too slow", "postgres_unavailable") from late
        if settled.refused:
            raise Rejected("The event cannot be kept", "invalid", 400)
        return settled.urgent

    def _copy(self, event: Event, urgent: tuple[Urgent, ...]) -> None:
        self._spread(urgent)
        try:
            self._keep(event)
        except Unavailable as fault:
            # It is in the tables and was told; only the lanes do not hear of it.
            log.warning("Event %s has no copy: %s", event.event_id, fault)

    def _keep(self, event: Event) -> None:
        """For the bridge: in Redis, else in the fallback queue."""
        try:
            self._ingress.append([event])
        except Unavailable:
            queued = (event.event_id, event.seq, record_of(event))
            self._fallback.enqueue(CRITICAL_SHARD, [queued])

    def _spread(self, urgent: "tuple[Urgent, ...] | list[Urgent]") -> None:
        """To the other web processes, should their NOTIFY be cut off."""
        for one in urgent:
            try:
                self._push.emit(one.event, one.data, room_of(one.user_id))
            except Unavailable as fault:
                log.debug("Not spread by Redis: %s", fault)  # there are other ways
