"""Backpressure: limits what is queued for a socket and how many messages it may send per second.

Installed once per Engine.IO server (app/delivery/sockets.py). Output: disconnected sockets, whose clients
reconnect and resume. python-engineio keeps unread packets in an unbounded queue and starts a greenlet for
each received message. Its own disconnect waits until the queue is empty, which never happens with a slow
reader or a polling client that went away: sockets are closed here, and the connection itself is shut down.

A message for a WebSocket with an empty queue is sent at once (app/delivery/client_websocket.py).
"""

import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.queue import JoinableQueue

from app.delivery.client_websocket import ClientWebSocket

log = logging.getLogger(__name__)
MAX_QUEUED_PACKETS = 1_000
MAX_QUEUED_BYTES = 4_000_000
"""More than a client can have missed (300 events). The same amount may be in the socket buffers."""
MAX_MESSAGE_BURST, MESSAGES_PER_SECOND = 600, 60.0
"""A reconnecting client acknowledges up to 300 events at once."""
CHECK_INTERVAL_SECONDS = 0.5
CLOSE_GRACE_SECONDS = 0.5


class BoundedSendQueue(JoinableQueue):  # type: ignore[type-arg]
    """The send queue of a socket. When full, accepts only the close marker (None)."""

    def __init__(self) -> None:
        super().__init__()
        self.full_since: float | None = None
        self.try_send: Callable[[Any], bool] = _cannot_send
        """Sends a packet without waiting. False: it has to be queued."""
        self._queued_bytes = 0

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if not self.qsize() and self.try_send(item):
            return
        size = _packet_size(item)
        if item is not None and (
            self.qsize() >= MAX_QUEUED_PACKETS
            or (self.qsize() and self._queued_bytes + size > MAX_QUEUED_BYTES)
        ):
            self.full_since = self.full_since or time.monotonic()
            return
        self._queued_bytes += size
        super().put(item, block, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        item = super().get(block, timeout)
        self._queued_bytes -= _packet_size(item)
        return item


@dataclass(slots=True)
class MessageTokenBucket:
    """Rate limit for the messages of one socket."""

    tokens: float = MAX_MESSAGE_BURST
    updated_at: float = field(default_factory=time.monotonic)

    def try_take_token(self, now: float) -> bool:
        self.tokens = min(MAX_MESSAGE_BURST, self.tokens + (now - self.updated_at) * MESSAGES_PER_SECOND) - 1
        self.updated_at = now
        return self.tokens >= 0


class NoPartialSendSocket:
    """A connection whose send() sends everything: simple-websocket ignores partial sends, so a slow reader
    would get half a frame."""

    def __init__(self, raw_socket: Any) -> None:
        self._raw_socket = raw_socket
        self.send = raw_socket.sendall

    def send_some(self, data: bytes) -> int:
        """Sends what the connection takes at once, and returns its size. Raises OSError if that is none."""
        return int(self._raw_socket.send(data, 0, 0.0))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw_socket, name)


class BackpressureGuard:
    """Wraps an Engine.IO server."""

    def __init__(self, eio_server: Any) -> None:
        self._eio_server = eio_server
        self._raw_sockets: dict[str, Any] = {}
        self._token_buckets: dict[str, MessageTokenBucket] = {}
        self._handle_message = eio_server.handlers["message"]
        eio_server.handlers["message"] = self._on_rate_limited_message
        eio_server.create_queue = BoundedSendQueue
        eio_server._async = eio_server._async | {
            "websocket": self._validate_and_track_websockets(eio_server._async["websocket"])
        }

    def close_slow_sockets_forever(self) -> None:
        """Endless: closes sockets whose queue is full."""
        while True:
            gevent.sleep(CHECK_INTERVAL_SECONDS)
            try:
                self.close_slow_sockets()
            except Exception:  # one broken socket must not end the loop
                log.exception("Closing slow sockets failed", extra={"event": "close_slow_sockets_failed"})

    def close_slow_sockets(self) -> int:
        """Returns the number of closed sockets."""
        eio_sockets = dict(self._eio_server.sockets)
        for closed_sid in self._token_buckets.keys() - eio_sockets.keys():
            del self._token_buckets[closed_sid]
        slow_sids = [
            sid for sid, eio_socket in eio_sockets.items() if eio_socket.queue.full_since is not None
        ]
        for sid in slow_sids:
            self.abort_connection(sid, "reads too slowly")
        return len(slow_sids)

    def abort_connection(self, sid: str, reason: str) -> None:
        eio_socket = self._eio_server.sockets.get(sid)
        if eio_socket is None:
            return
        log.warning("A socket %s and is closed", reason, extra={"event": "socket_closed"})
        eio_socket.close(wait=False, abort=True)
        raw_socket = self._raw_sockets.pop(sid, None)
        if raw_socket is not None:
            _shut_down_socket(raw_socket)

    def close_gracefully(self, sid: str) -> None:
        """Sends a close packet, and shuts the connection down shortly after. Does not wait for either."""
        eio_socket = self._eio_server.sockets.get(sid)
        if eio_socket is None:
            return
        with suppress(Exception):  # an error of one socket must not affect the others
            eio_socket.close(wait=False)
        raw_socket = self._raw_sockets.get(sid)
        if raw_socket is not None:
            gevent.spawn_later(CLOSE_GRACE_SECONDS, _shut_down_socket, raw_socket)

    def close_all_sockets(self) -> None:
        for sid in list(self._eio_server.sockets):
            self.close_gracefully(sid)

    def _on_rate_limited_message(self, sid: str, data: Any) -> Any:
        if self._token_buckets.setdefault(sid, MessageTokenBucket()).try_take_token(time.monotonic()):
            return self._handle_message(sid, data)
        self.abort_connection(sid, "sends too many messages")
        return None

    def _validate_and_track_websockets(self, websocket_factory: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(handler: Any, server: Any) -> Any:
            eio_socket = handler.__self__
            sid = eio_socket.sid

            def handle_websocket(websocket: Any) -> Any:
                client_websocket = ClientWebSocket(websocket, eio_socket)
                if isinstance(websocket.ws.sock, NoPartialSendSocket):
                    eio_socket.queue.try_send = client_websocket.try_send
                return handler(client_websocket)

            serve_websocket = websocket_factory(handle_websocket, server)

            def application(environ: dict[str, Any], start_response: Any) -> Any:
                raw_socket = environ.get("gunicorn.socket")
                if raw_socket is None:
                    return serve_websocket(environ, start_response)
                self._raw_sockets[sid] = raw_socket
                try:
                    return serve_websocket(
                        environ | {"gunicorn.socket": NoPartialSendSocket(raw_socket)}, start_response
                    )
                finally:
                    self._raw_sockets.pop(sid, None)

            return application

        return guarded


def _shut_down_socket(raw_socket: Any) -> None:
    """Wakes greenlets that wait to send or receive."""
    with suppress(OSError):
        raw_socket.shutdown(socket.SHUT_RDWR)


def _cannot_send(_: Any) -> bool:
    """Of a socket without a WebSocket."""
    return False


def _packet_size(item: Any) -> int:
    data = getattr(item, "data", None)
    return len(data) if isinstance(data, (str, bytes)) else 0
