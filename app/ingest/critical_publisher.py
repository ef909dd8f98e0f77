"""Synchronous writing of critical events, which depend on PostgreSQL only.

In: OTP, PASSWORD_RESET and SECURITY_ALERT events of ActionBase.publish_event. Out:
app/ingest/synchronous_writer.py; client events for app/delivery/socket_dispatcher.py, called directly in this
process and notified by NOTIFY and Redis in the others.

The request returns after the commit. If PostgreSQL takes too long, the event takes the usual way through the
pipeline, and its sockets get a preview.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import gevent

from app.domain.errors import Unavailable
from app.domain.events import SEQ_PER_MS, Event
from app.domain.routing import CRITICAL_SHARD
from app.ingest.ingress import IngressStreams
from app.ingest.synchronous_writer import SynchronousWriter
from app.messaging.fallback_queue import FallbackQueue
from app.messaging.message_encryption import MessageEncryption
from app.messaging.publisher import event_to_record
from app.messaging.socket_push import SocketPushPublisher, user_room
from app.persistence.critical_notify import CriticalClientEvent, build_preview_client_event

log = logging.getLogger(__name__)
WRITE_TIMEOUT_SECONDS = 0.8
"""Half of the time of a request, so that the other path can still be used when a table is blocked."""
BackgroundRunner = Callable[[Callable[[], None]], object]


def skip_local_dispatch(_: CriticalClientEvent) -> None:
    """Local dispatch of processes without sockets."""


class CriticalEventPublisher:
    """`run_in_background` runs what the caller need not wait for."""

    def __init__(
        self,
        writer: SynchronousWriter,
        ingress: IngressStreams,
        fallback_queue: FallbackQueue,
        push_publisher: SocketPushPublisher,
        now: Callable[[], float],
        run_in_background: BackgroundRunner,
        encryption: MessageEncryption,
        dispatch_locally: Callable[[CriticalClientEvent], None] = skip_local_dispatch,
    ) -> None:
        self._encryption = encryption
        self._writer = writer
        self._ingress = ingress
        self._fallback_queue = fallback_queue
        self._push_publisher = push_publisher
        self._now = now
        self._run_in_background = run_in_background
        self._dispatch_locally = dispatch_locally

    def write_and_dispatch(self, event: Event) -> None:
        """Returns when the event is stored and dispatched. Raises Unavailable, Rejected."""
        event = replace(self._encryption.encrypt_secrets(event), seq=int(self._now() * 1000) * SEQ_PER_MS)
        try:
            critical_events = self._write_within_timeout(event)
        except Unavailable as exc:
            log.warning(
                "A critical event could not be written synchronously: %s",
                exc,
                extra={"event": "critical_event_deferred"},
            )
            # Stored in the ingress or the fallback queue, or refused; the pipeline then writes it.
            self._enqueue_for_bridge(event)
            preview_event = build_preview_client_event(event)
            self._dispatch_locally(preview_event)
            self._run_in_background(lambda: self._push_to_other_web_processes([preview_event]))
            return
        for critical_event in critical_events:
            self._dispatch_locally(critical_event)
        self._run_in_background(lambda: self._push_to_other_web_processes(critical_events))

    def _write_within_timeout(self, event: Event) -> Sequence[CriticalClientEvent]:
        write_timeout = gevent.Timeout(WRITE_TIMEOUT_SECONDS)
        try:
            with write_timeout:
                return self._writer.write((event,)).critical_events
        except gevent.Timeout as exc:
            if exc is not write_timeout:
                raise
            # It may have been written: the same event changes nothing when it arrives again.
            raise Unavailable("PostgreSQL is too slow", "postgres_unavailable") from exc

    def _enqueue_for_bridge(self, event: Event) -> None:
        """Stores the event for the bridge: in the ingress, otherwise in the fallback queue."""
        try:
            self._ingress.append_events([event])
        except Unavailable:
            fallback_entry = (event.event_id, event.seq, event_to_record(event))
            self._fallback_queue.enqueue(CRITICAL_SHARD, [fallback_entry])

    def _push_to_other_web_processes(self, critical_events: Sequence[CriticalClientEvent]) -> None:
        """Pushes to the other web processes, in case their NOTIFY connections are broken."""
        for critical_event in critical_events:
            try:
                self._push_publisher.emit(
                    critical_event.event_name,
                    critical_event.payload,
                    user_room(critical_event.user_id),
                )
            except Unavailable as exc:
                log.debug("Not pushed by Redis: %s", exc, extra={"event": "critical_push_failed"})
