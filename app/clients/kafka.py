"""Creates the clients of kafka-python, with connection options and clean-up after a failed construction.

Translates their errors: a refused password and a refused certificate have codes of their own.
"""

import socket
from collections.abc import Callable
from typing import Any, TypeVar

from kafka.admin import KafkaAdminClient
from kafka.errors import (
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from app.domain.errors import Unavailable
from app.kafka_settings import KafkaConnection

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


class _RefusalRecorder(KafkaConnectionManager):  # type: ignore[misc]
    """Keeps why a broker, or the check of its certificate, refused a connection: kafka-python only logs it,
    tries again and raises a timeout."""

    refusal: KafkaError | None = None

    def get_connection(self, node_id: Any, *args: Any, **kwargs: Any) -> Any:
        is_new = node_id not in self._conns
        connection = super().get_connection(node_id, *args, **kwargs)
        if is_new:
            connection.init_future.add_errback(self._record_refusal)
        return connection

    def _record_refusal(self, exc: Exception) -> None:
        if _is_login_refused(exc) or _is_certificate_refused(exc):
            self.refusal = exc


def _is_login_refused(exc: Exception) -> bool:
    return isinstance(exc, SaslAuthenticationFailedError | UnsupportedSaslMechanismError)


def _is_certificate_refused(exc: Exception) -> bool:
    return isinstance(exc, KafkaError) and "CERTIFICATE_VERIFY_FAILED" in str(exc)


def create_kafka_client(
    client_class: Callable[..., T], connection: KafkaConnection, *args: object, **client_options: object
) -> T:
    """A producer, consumer or admin client. Raises KafkaError: the refusal, if there was one.

    A constructor that fails leaves its network client running, which under gevent uses a whole core for ever
    (measured); it is closed here.
    """
    network_clients: list[KafkaNetClient] = []

    def create_network_client(**options: object) -> KafkaNetClient:
        all_options = options | CONNECTION_OPTIONS
        selector = NetworkSelector(**all_options)
        manager = _RefusalRecorder(selector, **all_options)
        network_clients.append(KafkaNetClient(selector, manager))
        return network_clients[-1]

    try:
        return client_class(
            *args, kafka_client=create_network_client, **connection.client_options() | client_options
        )
    except BaseException as exc:
        for network_client in network_clients:
            network_client.close()
            if isinstance(exc, KafkaError) and network_client._manager.refusal is not None:
                raise network_client._manager.refusal from exc
        raise


def to_unavailable(exc: Exception, message: str) -> Unavailable:
    """`message` is for errors that have no code of their own. Never contains the password."""
    if _is_login_refused(exc):
        return Unavailable(
            "Kafka refused the log-in: check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and "
            "KAFKA_SASL_PASSWORD",
            "kafka_authentication",
        )
    if _is_certificate_refused(exc):
        return Unavailable(
            "The certificate of Kafka could not be verified: check KAFKA_SSL_CAFILE and the host names in "
            "KAFKA_BOOTSTRAP_SERVERS",
            "kafka_certificate",
        )
    return Unavailable(message, "kafka_unavailable")


def ping_kafka_or_raise(connection: KafkaConnection) -> None:
    """Requests the cluster's metadata on a connection of its own: 7 ms of CPU (measured). Raises KafkaError
    unless a broker that is in the cluster replies within PING_TIMEOUT_MS."""
    create_kafka_client(
        KafkaAdminClient,
        connection,
        bootstrap_timeout_ms=PING_TIMEOUT_MS,
        request_timeout_ms=PING_TIMEOUT_MS,
    ).close()
