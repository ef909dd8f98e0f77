"""What the transports of outgoing messages share: the interface, its errors and its timeouts.

An attempt ends in one of four ways. Unavailable: the server does not work at all; the channel's circuit
breaker counts it and the message does not use up an attempt. DeliveryDeferred: the server refuses this
message for now. Rejected: it refuses it permanently. Success. When a connection ends after the text was
sent, it is unknown whether the message was accepted; this counts as DeliveryDeferred, because a duplicate
is better than a loss. Both copies are identical, Message-ID (or Idempotency-Key) included.
"""

from dataclasses import dataclass
from typing import Protocol

from app.delivery.mail_message import OutboundEmailOrSms
from app.domain.errors import Unavailable

EMAIL, SMS = "EMAIL", "SMS"


class DeliveryDeferred(Unavailable):
    """The server refuses this message for now; other messages are not affected."""


@dataclass(frozen=True, slots=True)
class TransportTimeouts:
    """Limits for connecting and log-in, for one response after that, and for the whole attempt."""

    connect_seconds: float = 5.0
    response_seconds: float = 20.0
    attempt_seconds: float = 30.0


class MessageTransport(Protocol):
    """send() returns when the message was accepted.

    Raises Unavailable, DeliveryDeferred, Rejected, Poisoned.
    """

    def send(self, message: OutboundEmailOrSms) -> None: ...


def is_server_unavailable_error(exc: BaseException) -> bool:
    """What a circuit breaker counts as a failure."""
    return isinstance(exc, Unavailable) and not isinstance(exc, DeliveryDeferred)
