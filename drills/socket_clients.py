"""A user's socket: reconnects, asks for missed events, and logs every event and join.

Keeps its position as the page does (jinja/static/liveNotifications.js): the highest number received.
"""

import random
import time
from typing import Any

import gevent
from gevent.event import Event
from websocket import WebSocketException

from drills.balancer import LoadBalancer
from drills.http_client import RequestLogger
from harness.socketio_client import SocketIOConnection

RECEIVE_TIMEOUT_SECONDS = 46.0
"""An Engine.IO client considers its server dead after this time without a ping (25 + 20 s, and one)."""
RECONNECT_DELAY_RANGE_SECONDS = (0.2, 1.0)


class SocketClient:
    def __init__(
        self, user_id: str, token: str, load_balancer: LoadBalancer, request_logger: RequestLogger
    ) -> None:
        self.has_joined = Event()
        self._user_id = user_id
        self._token = token
        self._load_balancer = load_balancer
        self._request_logger = request_logger
        self._cursor: dict[str, Any] | None = None
        self._events_before_join: list[tuple[str, dict[str, Any]]] | None = None
        self._connection: SocketIOConnection | None = None
        self._closed = False

    def run(self) -> None:
        while not self._closed:
            try:
                self._connect_and_receive()
            except (OSError, WebSocketException, ValueError):
                gevent.sleep(random.uniform(*RECONNECT_DELAY_RANGE_SECONDS))

    def close(self) -> None:
        self._closed = True
        if self._connection is not None:
            self._connection.close()

    def _connect_and_receive(self) -> None:
        port = self._load_balancer.ports[self._load_balancer.next_server()]
        self._events_before_join = []
        connection = self._connection = SocketIOConnection(port, self._token)
        try:
            self._join_room()
            connection.set_timeout(RECEIVE_TIMEOUT_SECONDS)
            while True:
                if event := connection.handle_packet(connection.receive_packet()):
                    self._handle_event(*event)
        finally:
            connection.close()

    def _join_room(self) -> None:
        request: dict[str, Any] = {"userId": self._user_id}
        if self._cursor:
            request["since"] = self._cursor
        assert self._connection
        self._connection.emit("join_room", request)

    def _handle_event(self, event_name: str, args: list[Any]) -> None:
        if event_name == "joined":
            self._handle_joined(args[0])
        elif args and isinstance(args[0], dict):
            if self._events_before_join is None:
                self._record_event(event_name, args[0], is_live=True)
            else:
                self._events_before_join.append((event_name, args[0]))

    def _handle_joined(self, response: dict[str, Any]) -> None:
        self._request_logger(
            "join",
            user_id=self._user_id,
            joined_at=time.time(),
            epoch=response["epoch"],
            client_seq=response["seq"],
            is_recovered=response["recovered"],
            is_first_join=self._cursor is None,
        )
        if response["epoch"] is None:
            gevent.spawn_later(1.0, self._join_room)  # the history is unavailable; live events arrive anyway
            return
        for missed_event in response["missed"]:
            self._record_event(missed_event["event"], missed_event["data"], is_live=False)
        if not response["recovered"]:
            self._cursor = {"epoch": response["epoch"], "seq": response["seq"]}
        # As on the page: events that arrived before this response come after the missed ones.
        buffered_events, self._events_before_join = self._events_before_join or [], None
        for event_name, data in buffered_events:
            self._record_event(event_name, data, is_live=True)
        self.has_joined.set()

    def _record_event(self, event_name: str, data: dict[str, Any], is_live: bool) -> None:
        if event_name == "post_updated":
            return
        client_seq = data.get("seq")
        self._request_logger(
            "client_event",
            user_id=self._user_id,
            received_at=time.time(),
            event_name=event_name,
            notification_id=data.get("id"),
            client_seq=client_seq,
            version=data.get("version"),
            notification_type=data.get("type"),
            is_live=is_live,
            unread_count=data.get("count"),
        )
        if self._cursor is not None and isinstance(client_seq, int):
            self._cursor["seq"] = max(self._cursor["seq"], client_seq)
