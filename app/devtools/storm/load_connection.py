"""One keep-alive connection of the load generator, with the request that is under way on it."""

import socket
import time
from dataclasses import dataclass

CONNECT_TIMEOUT_SECONDS = 1.0


class ResponseIncomplete(Exception):
    """More of the response will follow."""


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    kind: str
    """As in the request log: like, comment or read."""
    actor_id: str
    object_id: str
    method: str
    path: str
    token: str
    body: str = ""

    def to_bytes(self) -> bytes:
        content_type = "Content-Type: application/json\r\n" if self.body else ""
        body = self.body.encode()
        return (
            f"{self.method} {self.path} HTTP/1.1\r\nHost: storm\r\nAuthorization: Bearer {self.token}\r\n"
            f"Accept: application/json\r\n{content_type}Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body


class LoadConnection:
    """Connects when it has something to send."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._request: PreparedRequest | None = None
        self._response = b""
        self.is_last_response = False
        """The server closes the connection after it."""
        self.number = 0
        self.scheduled_at = 0.0
        self.sent_at = 0.0

    def begin(self, scheduled_at: float, number: int, request: PreparedRequest) -> None:
        self.scheduled_at, self.number, self._request = scheduled_at, number, request
        self._response = b""

    def connect_if_closed(self) -> bool:
        """Whether it was closed. Raises OSError."""
        if self._socket is not None:
            return False
        self._socket = socket.create_connection(self._address, CONNECT_TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return True

    def fileno(self) -> int:
        """-1 while it is closed."""
        return -1 if self._socket is None else self._socket.fileno()

    def send(self) -> None:
        """Raises OSError."""
        if self._socket is None or self._request is None:
            raise OSError("nothing to send")
        self.sent_at = time.monotonic()
        self._socket.sendall(self._request.to_bytes())

    def read_status(self) -> int:
        """The status of the response. Raises ResponseIncomplete, and OSError if the connection ended."""
        chunk = self._socket.recv(65_536) if self._socket else b""
        if not chunk:
            raise OSError("the server closed the connection")
        self._response += chunk
        head, separator, body = self._response.partition(b"\r\n\r\n")
        if not separator:
            raise ResponseIncomplete
        fields = head.lower()
        index = fields.find(b"content-length:")
        if index < 0:
            raise OSError("a response without Content-Length")
        if len(body) < int(fields[index + 15 :].split(b"\r", 1)[0]):
            raise ResponseIncomplete
        self.is_last_response = b"connection: close" in fields
        return int(head[9:12])

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
