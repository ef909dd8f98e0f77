"""The listening end of the push channel: Redis pub/sub to the sockets of this process.

In    app/streams/push.py of any process
Out   app/sockets.py, through python-socketio

python-socketio waits up to a minute before it tries Redis again, and says nothing about what it did
not hear. This one tries every half second, and reports how long it was deaf.
"""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import socketio
from redis.backoff import NoBackoff
from redis.retry import Retry

from app import breakers
from app.turns import Turns

AGAIN_SECONDS = 0.5
OPTIONS: dict[str, Any] = {
    "socket_timeout": 1.5,
    "socket_connect_timeout": 0.5,
    "retry": Retry(NoBackoff(), 0),
    # A connection that was cut without a word is noticed by the kernel within seconds.
    "socket_keepalive": True,
    "socket_keepalive_options": {
        socket.TCP_KEEPIDLE: 2,
        socket.TCP_KEEPINTVL: 1,
        socket.TCP_KEEPCNT: 3,
    },
}


class Listener(socketio.RedisManager):  # type: ignore[misc]
    """`resumed(deaf_since)` is called after each subscription that follows a loss; `takes` says
    of each frame whether the sockets are to have it, `turns` which of them not now, and `reveal`
    opens what is sealed for its owner."""

    def __init__(
        self,
        redis_url: str,
        resumed: Callable[[float], None],
        takes: Callable[[str, Any, object], bool],
        turns: Turns,
        reveal: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        super().__init__(redis_url, channel="flask-socketio", redis_options=OPTIONS)
        self._resumed = resumed
        self._takes = takes
        self._turns = turns
        self._reveal = reveal

    def _handle_emit(self, message: dict[str, Any]) -> None:
        """From Redis, or from here for all processes."""
        data, room = message["data"], message.get("room")
        one = data[0] if isinstance(data, list) and len(data) == 1 else data
        if isinstance(one, dict):
            one = self._reveal(one)
            message = message | {"data": one}
        if self._takes(message["event"], one, room):
            skipped = self._turns.passed_over(room, message["event"], one)
            super()._handle_emit(message | {"skip_sid": skipped})

    def emit(self, event: str, data: Any, *args: Any, **kwargs: Any) -> None:
        """From here for this process alone; everything else passes the way above."""
        if kwargs.get("ignore_queue"):
            room = kwargs.get("to") or kwargs.get("room")
            kwargs["skip_sid"] = self._turns.passed_over(room, event, data)
        super().emit(event, data, *args, **kwargs)

    def _redis_listen_with_retries(self) -> Iterator[dict[str, Any]]:
        deaf_since: float | None = time.time()
        while True:
            try:
                self._redis_connect()
                self.pubsub.subscribe(self.channel)
                if deaf_since is not None:
                    self._resumed(deaf_since)
                deaf_since = None
                yield from self.pubsub.listen()
            except Exception as fault:  # whatever the client raises: the channel is away
                if deaf_since is None:
                    deaf_since = time.time()
                    said = "No live push"
                    breakers.REDIS.outage.failed(f"{said}: {type(fault).__name__}", said)
                time.sleep(AGAIN_SECONDS)
