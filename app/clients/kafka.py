"""Creates the clients of kafka-python, with connection options and clean-up after a failed construction."""

import socket
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kafka.admin import KafkaAdminClient
from kafka.net.compat import KafkaNetClient

T = TypeVar("T")
CONNECTION_OPTIONS: dict[str, Any] = {
    # The library's default is 30 s: too long after a broker was unavailable for a minute.
    "reconnect_backoff_max_ms": 500,
    # From connect() to the reply to ApiVersions. A frozen broker accepts connections but never replies.
    "socket_connection_setup_timeout_ms": 2000,
    "socket_connection_setup_timeout_max_ms": 2000,
    # A connection that was cut without FIN or RST ends after 5 s, also during JoinGroup, whose own timeout is
    # a minute.
    "socket_options": [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 5000),
    ],
}
PING_TIMEOUT_MS = 900
"""Below circuit_breaker.PING_TIMEOUT_SECONDS, which bounds the whole probe."""


def create_kafka_client(client_class: Callable[..., T], *args: object, **client_options: object) -> T:
    """A producer, consumer or admin client.

    A constructor that fails leaves its network client running, which under gevent uses a whole core for ever
    (measured); it is closed here.
    """
    network_clients: list[KafkaNetClient] = []

    def create_network_client(**options: object) -> KafkaNetClient:
        network_clients.append(KafkaNetClient(**options | CONNECTION_OPTIONS))
        return network_clients[-1]

    try:
        return client_class(*args, kafka_client=create_network_client, **client_options)
    except BaseException:
        for network_client in network_clients:
            network_client.close()
        raise


def ping_kafka_or_raise(bootstrap_servers: Sequence[str]) -> None:
    """Requests the cluster's metadata on a connection of its own: 7 ms of CPU (measured). Raises KafkaError
    unless a broker that is in the cluster replies within PING_TIMEOUT_MS."""
    create_kafka_client(
        KafkaAdminClient,
        bootstrap_servers=list(bootstrap_servers),
        bootstrap_timeout_ms=PING_TIMEOUT_MS,
        request_timeout_ms=PING_TIMEOUT_MS,
    ).close()
