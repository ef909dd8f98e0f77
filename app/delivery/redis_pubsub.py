"""Redis pub/sub: receives client events of all processes and emits them to the sockets of this one.

Input: app/messaging/socket_push.py of any process. Output: app/delivery/sockets.py, through python-socketio.

The manager of python-socketio waits up to a minute before it reconnects and does not report what it missed.
This one tries every half second and reports when it was disconnected.
"""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import socketio
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.clients import circuit_breaker
from app.delivery.socket_cursor import SocketCursors

RETRY_DELAY_SECONDS = 0.5
REDIS_OPTIONS: dict[str, Any] = {
    "socket_timeout": 1.5,
    "socket_connect_timeout": 0.5,
    "retry": Retry(NoBackoff(), 0),
    # The kernel notices a dead connection within seconds.
    "socket_keepalive": True,
    "socket_keepalive_options": {
        socket.TCP_KEEPIDLE: 2,
        socket.TCP_KEEPINTVL: 1,
        socket.TCP_KEEPCNT: 3,
    },
}


class ReconnectingRedisManager(socketio.RedisManager):  # type: ignore[misc]
    """`on_reconnect(disconnected_at)` is called after each subscription that follows a loss; `accept`
    decides whether an event is emitted, `cursors` to which sockets, and `decrypt_event` decrypts it."""

    def __init__(
        self,
        redis_url: str,
        on_reconnect: Callable[[float], None],
        accept: Callable[[str, Any, object], bool],
        cursors: SocketCursors,
        decrypt_event: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        super().__init__(redis_url, channel="flask-socketio", redis_options=REDIS_OPTIONS)
        self._on_reconnect = on_reconnect
        self._accept = accept
        self._cursors = cursors
        self._decrypt_event = decrypt_event

    def _handle_emit(self, message: dict[str, Any]) -> None:
        """For an event from Redis, or from this process for all processes."""
        data, room = message["data"], message.get("room")
        payload = data[0] if isinstance(data, list) and len(data) == 1 else data
        if isinstance(payload, dict):
            payload = self._decrypt_event(payload)
            message = message | {"data": payload}
        if self._accept(message["event"], payload, room):
            skip_sids = self._cursors.track_emit_and_list_skipped_sids(room, message["event"], payload)
            super()._handle_emit(message | {"skip_sid": skip_sids})

    def emit(self, event: str, data: Any, *args: Any, **kwargs: Any) -> None:
        """With ignore_queue: to this process only. Anything else passes through _handle_emit()."""
        if kwargs.get("ignore_queue"):
            room = kwargs.get("to") or kwargs.get("room")
            kwargs["skip_sid"] = self._cursors.track_emit_and_list_skipped_sids(room, event, data)
        super().emit(event, data, *args, **kwargs)

    def _redis_listen_with_retries(self) -> Iterator[dict[str, Any]]:
        disconnected_at: float | None = time.time()
        while True:
            try:
                self._redis_connect()
                self.pubsub.subscribe(self.channel)
                if disconnected_at is not None:
                    self._on_reconnect(disconnected_at)
                disconnected_at = None
                yield from self.pubsub.listen()
            except Exception as exc:  # whatever the client raises: reconnect
                if disconnected_at is None:
                    disconnected_at = time.time()
                    problem = "Redis pub/sub is disconnected"
                    circuit_breaker.REDIS.outage.record_failure(f"{problem}: {type(exc).__name__}", problem)
                time.sleep(RETRY_DELAY_SECONDS)
