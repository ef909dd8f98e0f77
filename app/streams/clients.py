"""How kafka-python's clients are made: how soon they reconnect, and that a client that cannot be
made leaves nothing behind."""

import socket
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kafka.admin import KafkaAdminClient
from kafka.net.compat import KafkaNetClient

T = TypeVar("T")
RECONNECT: dict[str, Any] = {
    # The library's own limit is 30 s: a broker that was away for a minute is asked too seldom.
    "reconnect_backoff_max_ms": 500,
    # From connect() to the answer to ApiVersions. A frozen broker accepts and never answers.
    "socket_connection_setup_timeout_ms": 2000,
    "socket_connection_setup_timeout_max_ms": 2000,
    # A connection that was cut without a word ends after 5 s, also while JoinGroup waits on it,
    # whose own timeout is a minute.
    "socket_options": [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 5000),
    ],
}
PROBE_MS = 900
"""Below breakers.ASK_SECONDS, which bounds the whole probe."""


def connected(make: Callable[..., T], *args: object, **config: object) -> T:
    """A producer, consumer or admin client.

    When its constructor fails it leaves its event loop behind, and under gevent the leftover turns
    for ever at the cost of a whole core (measured): so we end it.
    """
    begun: list[KafkaNetClient] = []

    def begin(**options: object) -> KafkaNetClient:
        begun.append(KafkaNetClient(**options | RECONNECT))
        return begun[-1]

    try:
        return make(*args, kafka_client=begin, **config)
    except BaseException:
        for one in begun:
            one.close()
        raise


def knock(servers: Sequence[str]) -> None:
    """Asks for the cluster's metadata on a connection of its own: 7 ms of CPU (measured). Raises
    KafkaError unless a broker answers within PROBE_MS and knows itself to be in the cluster."""
    connected(
        KafkaAdminClient,
        bootstrap_servers=list(servers),
        bootstrap_timeout_ms=PROBE_MS,
        request_timeout_ms=PROBE_MS,
    ).close()
