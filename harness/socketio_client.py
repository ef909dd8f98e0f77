"""A Socket.IO connection over one WebSocket: handshake, pings, events.

Protocol: https://socket.io/docs/v4/engine-io-protocol/ (version 4).
"""

import json
from typing import Any

from websocket import create_connection

CONNECT_TIMEOUT_SECONDS = 10.0
PACKET_OPEN, PACKET_PING, PACKET_PONG, PACKET_CONNECT, PACKET_EVENT = "0", "2", "3", "40", "42"


class SocketIOConnection:
    """Raises OSError or websocket.WebSocketException when the connection fails or ends."""

    def __init__(self, port: int, access_token: str) -> None:
        url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        self._websocket = create_connection(url, timeout=CONNECT_TIMEOUT_SECONDS, skip_utf8_validation=True)
        try:
            self._expect_packet(PACKET_OPEN)
            self._websocket.send(PACKET_CONNECT + json.dumps({"token": access_token}))
            self._expect_packet(PACKET_CONNECT)
        except BaseException:
            self.close()
            raise

    def set_timeout(self, seconds: float | None) -> None:
        self._websocket.settimeout(seconds)

    def emit(self, event_name: str, *args: Any) -> None:
        self._websocket.send(PACKET_EVENT + json.dumps([event_name, *args]))

    def receive_packet(self) -> str:
        """One packet. Raises OSError when the server closed the connection."""
        packet = str(self._websocket.recv())
        if packet == "":
            raise OSError("the server closed the connection")
        return packet

    def handle_packet(self, packet: str) -> tuple[str, list[Any]] | None:
        """Answers a ping. Returns name and arguments of an event, None for any other packet."""
        if packet == PACKET_PING:
            self._websocket.send(PACKET_PONG)
        elif packet.startswith(PACKET_EVENT):
            event_name, *args = json.loads(packet[len(PACKET_EVENT) :])
            return str(event_name), args
        return None

    def close(self) -> None:
        self._websocket.close(timeout=1)

    def _expect_packet(self, prefix: str) -> None:
        packet = str(self._websocket.recv())
        if not packet.startswith(prefix):
            raise OSError(f"the server sent {packet[:200]!r} instead of {prefix}")
