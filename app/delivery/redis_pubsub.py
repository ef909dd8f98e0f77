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
    """`on_reconnect` is called after each subscription that follows a loss. `deliver(event, data, room)`
    returns whether it handled an event; others are emitted to the room."""

    def __init__(
        self,
        redis_url: str,
        on_reconnect: Callable[[], None],
        deliver: Callable[[str, Any, object], bool],
    ) -> None:
        super().__init__(redis_url, channel="flask-socketio", redis_options=REDIS_OPTIONS)
        self._on_reconnect = on_reconnect
        self._deliver = deliver

    def _handle_emit(self, message: dict[str, Any]) -> None:
        if not self._deliver(message["event"], message["data"][0], message.get("room")):
            super()._handle_emit(message)

    def _redis_listen_with_retries(self) -> Iterator[dict[str, Any]]:
        is_disconnected = True
        while True:
            try:
                self._redis_connect()
                self.pubsub.subscribe(self.channel)
                if is_disconnected:
                    self._on_reconnect()
                is_disconnected = False
                yield from self.pubsub.listen()
            except Exception as exc:  # whatever the client raises: reconnect
                if not is_disconnected:
                    is_disconnected = True
                    problem = "Redis pub/sub is disconnected"
                    circuit_breaker.REDIS.outage.record_failure(f"{problem}: {type(exc).__name__}", problem)
                time.sleep(RETRY_DELAY_SECONDS)
