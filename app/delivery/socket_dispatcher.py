"""Socket dispatcher: passes client events to the cursors of their user's sockets and sends what these return.

Input: Redis pub/sub (app/delivery/redis_pubsub.py), critical events of this process
(app/ingest/critical_publisher.py), and the outbox, which one loop reads for users who are behind it: after a
NOTIFY (critical events, pages of fan-outs), after a lost connection, and when a number is missing because an
event overtook others or pub/sub lost one. Output: `send`.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

import gevent
from gevent.event import Event as GreenletEvent

from app.clients.pg_notify import PgNotifyListener
from app.delivery.history import ClientEventHistory, ResumeResult
from app.delivery.socket_cursor import (
    ClientEvent,
    SocketCursor,
    TooManyWaitingEvents,
    is_critical_announcement,
)
from app.domain.errors import Unavailable
from app.domain.grouping import UNREAD_COUNT_EVENT
from app.operations.metrics import CRITICAL_DELIVERY_SECONDS
from app.persistence.critical_notify import CriticalClientEvent

log = logging.getLogger(__name__)
NOTIFY_WAIT_SECONDS, RETRY_DELAY_SECONDS, IDLE_WAIT_SECONDS = 1.0, 0.5, 30.0
PREVIEW_DELAY_SECONDS = 0.5
"""A critical event that waits longer for the events before it is also sent without its number."""
CATCH_UP_BATCH_SIZE = 100
"""Users whose missed events are read together."""


class SendFunction(Protocol):
    def __call__(self, event: str, data: dict[str, Any], sid: str) -> None:
        """Must not switch greenlets: what a cursor returns is sent before the next event is accepted."""


class SocketDispatcher:
    def __init__(
        self, history: ClientEventHistory, send: SendFunction, close_socket: Callable[[str], object]
    ) -> None:
        self._history = history
        self._send = send
        self._close_socket = close_socket
        self._cursors_by_user: dict[str, dict[str, SocketCursor]] = {}
        self._users_behind: dict[str, None] = {}
        self._has_users_behind = GreenletEvent()

    def add_socket(self, user_id: str, sid: str) -> SocketCursor:
        """Numbered events of a new socket wait until send_held_events() or end_join()."""
        return self._cursors_by_user.setdefault(user_id, {}).setdefault(sid, SocketCursor(user_id, sid))

    def remove_socket(self, user_id: str, sid: str) -> None:
        cursors = self._cursors_by_user.get(user_id, {})
        cursors.pop(sid, None)
        if not cursors:
            self._cursors_by_user.pop(user_id, None)

    def send_held_events(self, cursor: SocketCursor) -> None:
        """A join was expected and did not come."""
        self._send_events(cursor, cursor.take_held_events(), "redis")

    def end_join(self, cursor: SocketCursor, resume_result: ResumeResult | None) -> None:
        """The client has, or loads, everything up to this position; None: the history is unavailable."""
        unread_count = resume_result.unread_count if resume_result else None
        client_events = cursor.accept(UNREAD_COUNT_EVENT, unread_count) if unread_count else []
        client_events += cursor.end_join(resume_result.client_seq if resume_result else None)
        self._send_events(cursor, client_events, "redis")

    def deliver(self, user_id: str, event: str, data: dict[str, Any], delivery_path: str) -> None:
        """Sends the event to the sockets that have all events before it. At the others it waits."""
        must_wait = False
        for cursor in self._cursors_of(user_id):
            try:
                client_events = cursor.accept(event, data)
            except TooManyWaitingEvents:
                self._close(cursor)
                continue
            self._send_events(cursor, client_events, delivery_path)
            must_wait |= cursor.has_waiting_events
        if must_wait and is_critical_announcement(event, data):
            gevent.spawn_later(PREVIEW_DELAY_SECONDS, self.send_previews, user_id)

    def deliver_just_written_critical_event(self, critical_event: CriticalClientEvent) -> None:
        """Delivers a critical event that this process has just written."""
        payload = dict(critical_event.payload)
        self.deliver(critical_event.user_id, critical_event.event_name, payload, "direct")

    def send_previews(self, user_id: str) -> None:
        """Sends the critical events that still wait for others, without their numbers."""
        for cursor in self._cursors_of(user_id):
            self._send_events(cursor, cursor.take_previews(), "preview")

    def on_notify(self, payload: str) -> None:
        """Payload: `user_id client_seq` of a critical event, or `user_id user_id`, the first and the last
        recipient of a page of a fan-out. The events are in the outbox."""
        user_id, _, last = payload.partition(" ")
        if last.isdecimal():
            for cursor in self._cursors_of(user_id):
                self._send_events(cursor, cursor.expect(int(last)), "notify")
        else:
            self._mark_behind([other for other in self._cursors_by_user if user_id <= other <= last])

    def mark_all_behind(self) -> None:
        """Events may have been lost: the history is read for every connected user."""
        self._mark_behind(list(self._cursors_by_user))

    def send_missed_events(self) -> None:
        """Sends users what they miss. Raises Unavailable; those not reached stay marked. Any other error
        closes the sockets that it concerns: their clients reconnect and resume, each for itself."""
        while user_ids := list(islice(self._users_behind, CATCH_UP_BATCH_SIZE)):
            for user_id in user_ids:
                del self._users_behind[user_id]
            try:
                self._catch_up_users(user_ids)
            except Unavailable:
                self._mark_behind(user_ids)
                raise
            except Exception:
                for user_id in user_ids:
                    for cursor in self._cursors_of(user_id):
                        self._close(cursor)
                raise

    def send_missed_events_forever(self) -> None:
        """Runs forever."""
        is_unavailable = False
        while True:
            self._has_users_behind.wait(IDLE_WAIT_SECONDS)
            self._has_users_behind.clear()
            try:
                self.send_missed_events()
                is_unavailable = False
            except Unavailable as exc:
                if not is_unavailable:
                    log.warning(
                        "Missed client events are delayed: %s", exc, extra={"event": "missed_events_delayed"}
                    )
                is_unavailable = True
                gevent.sleep(RETRY_DELAY_SECONDS)
            except Exception:  # one bad event must not end the loop
                log.exception("Reading missed client events failed", extra={"event": "missed_events_failed"})
                gevent.sleep(RETRY_DELAY_SECONDS)

    def _catch_up_users(self, user_ids: Sequence[str]) -> None:
        behind = [cursor for user_id in user_ids for cursor in self._cursors_of(user_id) if cursor.is_behind]
        after_by_user: dict[str, int] = {}
        for cursor in behind:
            client_seq = cursor.last_client_seq or 0
            after_by_user[cursor.user_id] = min(client_seq, after_by_user.get(cursor.user_id, client_seq))
        known_seqs = [cursor.begin_history_read() for cursor in behind]
        events_by_user = self._history.load_events_after_by_user(after_by_user)
        for cursor, known_seq in zip(behind, known_seqs, strict=True):
            client_events = cursor.accept_history(events_by_user.get(cursor.user_id, []), known_seq)
            self._send_events(cursor, client_events, "notify")

    def _send_events(
        self, cursor: SocketCursor, client_events: Iterable[ClientEvent], delivery_path: str
    ) -> None:
        for event, data in client_events:
            self._send(event, data, cursor.sid)
            if is_critical_announcement(event, data):
                CRITICAL_DELIVERY_SECONDS.labels(delivery_path).observe(_event_age_seconds(data))
        if cursor.is_behind:
            self._users_behind[cursor.user_id] = None
            self._has_users_behind.set()

    def _close(self, cursor: SocketCursor) -> None:
        self.remove_socket(cursor.user_id, cursor.sid)
        self._close_socket(cursor.sid)

    def _cursors_of(self, user_id: str) -> list[SocketCursor]:
        return list(self._cursors_by_user.get(user_id, {}).values())

    def _mark_behind(self, user_ids: Iterable[str]) -> None:
        for user_id in user_ids:
            for cursor in self._cursors_of(user_id):
                cursor.must_read_history = True
            self._users_behind[user_id] = None
        self._has_users_behind.set()


def run_notify_loop(pg_listener: PgNotifyListener, dispatcher: SocketDispatcher) -> None:
    """Runs forever. After each reconnect, connected users receive what they missed."""
    is_disconnected = True
    while True:
        try:
            payloads = pg_listener.wait_for_payloads(0 if is_disconnected else NOTIFY_WAIT_SECONDS)
            if is_disconnected:
                dispatcher.mark_all_behind()
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
