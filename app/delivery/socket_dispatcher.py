"""Socket dispatcher: emits client events to the users connected to this process, each once and in order.

Input: Redis pub/sub (app/delivery/redis_pubsub.py), NOTIFY of critical events and of pages of fan-outs, and
critical events of this process (app/ingest/critical_publisher.py). Output: `emit`.

Critical events overtake others that are still in Kafka, and pub/sub may lose an event. Clients accept no
lower number than the last one, so events in a gap are read from the outbox and emitted first.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

import gevent

from app.clients.pg_notify import PgNotifyListener
from app.delivery.delivered_tracker import DeliveredEventTracker
from app.delivery.history import ClientEventHistory
from app.domain.errors import Unavailable
from app.domain.events import Priority
from app.domain.grouping import ClientEventType
from app.messaging.socket_push import user_room
from app.operations.metrics import CRITICAL_DELIVERY_SECONDS
from app.persistence.critical_notify import CriticalClientEvent

log = logging.getLogger(__name__)
NOTIFY_WAIT_SECONDS, RETRY_DELAY_SECONDS = 1.0, 0.5
GAP_FILL_TIMEOUT_SECONDS = 0.5
"""After this time the new event is emitted without the ones before it: late is worse than out of order."""
REPLAY_BATCH_SIZE = 100
"""Users whose missed events are read together."""
USER_ROOM_PREFIX = user_room("")
_CRITICAL_EVENT = ClientEventType.ANNOUNCED.value, Priority.CRITICAL.value


class EmitFunction(Protocol):
    def __call__(self, event: str, data: dict[str, Any], room: str) -> None: ...


class SocketDispatcher:
    def __init__(
        self, history: ClientEventHistory, delivered: DeliveredEventTracker, emit: EmitFunction
    ) -> None:
        self._history = history
        self._delivered = delivered
        self._emit = emit

    def fill_gap_and_check_new(self, event: str, data: Any, room: object) -> bool:
        """Whether an event received from Redis is to be emitted; fills the gap before it."""
        if not isinstance(room, str) or not room.startswith(USER_ROOM_PREFIX) or not isinstance(data, dict):
            return True
        user_id = room.removeprefix(USER_ROOM_PREFIX)
        self._fill_gap(user_id, data.get("seq"), "redis")
        return self._mark_delivered_if_new(user_id, event, data, "redis")

    def emit_just_written_critical_event(self, critical_event: CriticalClientEvent) -> None:
        """Emits a critical event that this process has just written."""
        self._fill_gap(critical_event.user_id, critical_event.client_seq, "direct")
        self._emit_if_new(
            critical_event.user_id,
            critical_event.event_name,
            dict(critical_event.payload),
            "direct",
        )

    def on_notify(self, payload: str) -> None:
        """Payload: `user_id client_seq` of a critical event, or `user_id user_id`, the first and the last
        recipient of a page of a fan-out. The events are in the outbox. Raises Unavailable."""
        user_id, _, client_seq_text = payload.partition(" ")
        if client_seq_text and not client_seq_text.isdecimal():
            self._emit_page(user_id, last_user_id=client_seq_text)
            return
        client_seq = int(client_seq_text) if client_seq_text else 0
        if self._delivered.is_user_connected(user_id) and not self._delivered.was_delivered(
            user_id, client_seq
        ):
            last_client_seq = self._delivered.last_delivered_client_seq(user_id)
            after_client_seq = (
                client_seq - 1 if last_client_seq is None else min(last_client_seq, client_seq - 1)
            )
            self._replay_outbox({user_id: after_client_seq}, "notify")

    def emit_missed_to_connected_users(self) -> int:
        """Emits missed events to every connected user who is behind the outbox; returns the number of
        such users. Raises Unavailable."""
        return self._emit_missed_to(self._delivered.connected_user_ids())

    def _emit_page(self, first_user_id: str, last_user_id: str) -> None:
        """Emits the events of a page of a fan-out to its connected recipients."""
        connected_ids = self._delivered.connected_user_ids()
        self._emit_missed_to(
            [user_id for user_id in connected_ids if first_user_id <= user_id <= last_user_id]
        )

    def _emit_missed_to(self, user_ids: Sequence[str]) -> int:
        missing_after: dict[str, int] = {}
        for user_id, client_seq in self._history.load_newest_client_seqs(user_ids).items():
            last_client_seq = self._delivered.last_delivered_client_seq(user_id)
            if last_client_seq is None:
                self._delivered.start_tracking(user_id, client_seq)
            elif last_client_seq < client_seq:
                missing_after[user_id] = last_client_seq
        remaining = iter(missing_after.items())
        while batch := dict(islice(remaining, REPLAY_BATCH_SIZE)):
            self._replay_outbox(batch, "notify")
        return len(missing_after)

    def _fill_gap(self, user_id: str, client_seq: object, delivery_path: str) -> None:
        """Emits the events before this number that were not emitted yet."""
        last_client_seq = self._delivered.last_delivered_client_seq(user_id)
        if last_client_seq is None or not isinstance(client_seq, int) or client_seq <= last_client_seq + 1:
            return
        try:
            self._replay_outbox({user_id: last_client_seq}, delivery_path)
        except Unavailable as exc:
            log.warning(
                "A gap before a client event was not filled: %s", exc, extra={"event": "client_event_gap"}
            )

    def _replay_outbox(self, after_client_seq_by_user: Mapping[str, int], delivery_path: str) -> None:
        """Emits to each user all events after their number and the current unread count. Raises
        Unavailable."""
        timeout = gevent.Timeout(GAP_FILL_TIMEOUT_SECONDS)
        try:
            with timeout:
                events_by_user = self._history.load_events_after_by_user(after_client_seq_by_user)
        except gevent.Timeout as exc:
            if exc is not timeout:
                raise
            raise Unavailable("The outbox is slow", "postgres_unavailable") from exc
        for user_id, client_events in events_by_user.items():
            for event, data in client_events:
                self._emit_if_new(user_id, event, data, delivery_path)

    def _emit_if_new(self, user_id: str, event: str, data: dict[str, Any], delivery_path: str) -> None:
        if self._delivered.is_user_connected(user_id) and self._mark_delivered_if_new(
            user_id, event, data, delivery_path
        ):
            self._emit(event, data, user_room(user_id))

    def _mark_delivered_if_new(
        self, user_id: str, event: str, data: dict[str, Any], delivery_path: str
    ) -> bool:
        is_new = self._delivered.mark_delivered_if_new(user_id, event, data)
        if is_new and (event, data.get("priority")) == _CRITICAL_EVENT:
            CRITICAL_DELIVERY_SECONDS.labels(delivery_path).observe(_event_age_seconds(data))
        return is_new


def run_notify_loop(pg_listener: PgNotifyListener, dispatcher: SocketDispatcher) -> None:
    """Endless. After each reconnect, connected users receive what they missed."""
    is_disconnected = True
    while True:
        try:
            payloads = pg_listener.wait_for_payloads(0 if is_disconnected else NOTIFY_WAIT_SECONDS)
            if is_disconnected:
                dispatcher.emit_missed_to_connected_users()
                is_disconnected = False
            for payload in payloads:
                dispatcher.on_notify(payload)
            if not payloads:
                pg_listener.check_connection()
        except Unavailable as exc:
            if not is_disconnected:
                log.warning(
                    "NOTIFY is disconnected, critical events arrive over Redis only: %s",
                    exc,
                    extra={"event": "notify_disconnected"},
                )
            is_disconnected = True
            gevent.sleep(RETRY_DELAY_SECONDS)
        except Exception:  # one bad payload must not end the loop
            log.exception("Handling a NOTIFY failed", extra={"event": "notify_failed"})
            is_disconnected = True
            gevent.sleep(RETRY_DELAY_SECONDS)


def _event_age_seconds(data: dict[str, Any]) -> float:
    """Seconds since the timestamp of the event."""
    try:
        return max(0.0, time.time() - datetime.fromisoformat(str(data["timestamp"])).timestamp())
    except (KeyError, ValueError):
        return 0.0
