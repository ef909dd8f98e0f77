"""Redis pub/sub: receives the client events of all processes in this one.

Input: app/messaging/socket_push.py of any process. Output: app/delivery/sockets.py. Reconnects every half
second, and reports it, because what was published meanwhile is lost.
"""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import gevent
import orjson
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.clients import circuit_breaker
from app.messaging.socket_push import CLIENT_EVENT_CHANNEL

log = logging.getLogger(__name__)
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


class ClientEventSubscriber:
    """`on_connect` is called after each subscription."""

    def __init__(
        self,
        redis_url: str,
        on_connect: Callable[[], None],
        deliver: Callable[[str, dict[str, Any], str], None],
    ) -> None:
        self._redis_client = redis.Redis.from_url(redis_url, **REDIS_OPTIONS)
        self._on_connect = on_connect
        self._deliver = deliver

    def deliver_forever(self) -> None:
        """Runs forever."""
        while True:
            try:
                for message in self.subscribe():
                    self._deliver_or_log(message)
            except Exception as exc:  # whatever the client raises: reconnect
                problem = "Redis pub/sub is disconnected"
                circuit_breaker.REDIS.outage.record_failure(f"{problem}: {type(exc).__name__}", problem)
                gevent.sleep(RETRY_DELAY_SECONDS)

    def subscribe(self) -> Iterator[bytes]:
        """Messages until the connection is lost; raises the errors of redis-py."""
        with closing(self._redis_client.pubsub()) as subscription:  # type: ignore[no-untyped-call]
            subscription.subscribe(CLIENT_EVENT_CHANNEL)
            for message in subscription.listen():
                if message["type"] == "subscribe":  # from now on Redis sends what is published
                    self._on_connect()
                elif message["type"] == "message":
                    yield message["data"]

    def _deliver_or_log(self, message: bytes) -> None:
        try:
            client_event = orjson.loads(message)
            self._deliver(client_event["event"], client_event["data"], client_event["room"])
        except Exception:  # one bad message must not end the loop
            log.exception("Handling a message of Redis failed", extra={"event": "client_event_failed"})
