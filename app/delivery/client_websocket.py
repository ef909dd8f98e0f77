"""The WebSocket of a client: validates what it receives, and sends short messages faster than the libraries.

For each message python-engineio wakes the writer greenlet of the socket, and simple-websocket builds a new
frame. Here the frame of a message is built once for all sockets, and a socket with an empty queue gets it at
once. The writer sends what the connection does not take immediately.
"""

import logging
import struct
from functools import lru_cache
from typing import Any

from engineio.packet import MESSAGE
from engineio.packet import Packet as EnginePacket

from app.delivery.packet_validation import DECODE_ERRORS, validate_socketio_message

log = logging.getLogger(__name__)
MAX_SHORT_MESSAGE_CHARS = 4_096
"""Longer messages are compressed for clients that support it."""


class ClientWebSocket:
    """Wraps the WebSocket of an Engine.IO socket."""

    def __init__(self, websocket: Any, eio_socket: Any) -> None:
        self._websocket = websocket
        self._connection = websocket.ws
        self._eio_socket = eio_socket
        self._is_writing = False
        self._sent_bytes = 0
        """How much of the first queued message try_send() has sent."""

    def wait(self) -> Any:
        """The next frame. None also for an undecodable one, which ends the connection: python-engineio would
        leave its session open."""
        frame = self._websocket.wait()
        if frame is not None:
            try:
                validate_socketio_message(EnginePacket(encoded_packet=frame))
            except DECODE_ERRORS:
                log.warning(
                    "A socket sent an invalid packet and is closed",
                    extra={"event": "invalid_packet_received"},
                )
                return None
        return frame

    def send(self, message: Any) -> None:
        """Called by the writer of the Engine.IO socket."""
        self._is_writing = True
        try:
            if self._is_short(message) and self._connection.connected:
                self._connection.sock.sendall(text_frame(message)[self._sent_bytes :])
            else:
                self._websocket.send(message)
        finally:
            self._is_writing, self._sent_bytes = False, 0

    def try_send(self, packet: Any) -> bool:
        """Sends a packet without waiting, if nothing is queued before it. False: the caller queues it."""
        # Pings are queued: the writer closes the socket when it gets nothing for a long time.
        if packet is None or packet.packet_type != MESSAGE or self._is_writing:
            return False
        message = packet.encode()
        if not (self._is_short(message) and self._eio_socket.upgraded and self._connection.connected):
            return False
        frame = text_frame(message)
        try:
            sent_bytes = self._connection.sock.send_some(frame)
        except OSError:  # nothing was sent: the writer waits, or notices that the connection is broken
            return False
        if sent_bytes < len(frame):
            self._sent_bytes = sent_bytes
        return bool(sent_bytes == len(frame))

    def _is_short(self, message: Any) -> bool:
        return isinstance(message, str) and len(message) <= MAX_SHORT_MESSAGE_CHARS

    def __getattr__(self, name: str) -> Any:
        return getattr(self._websocket, name)


@lru_cache(maxsize=1)
def text_frame(message: str) -> bytes:
    """The frame of a short message (RFC 6455, 5.2), without compression, which is optional (RFC 7692, 6)."""
    payload = message.encode()
    size = len(payload)
    header = struct.pack(">BB", 0x81, size) if size < 126 else struct.pack(">BBH", 0x81, 126, size)
    return header + payload
