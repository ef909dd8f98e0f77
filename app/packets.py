"""Packets: what clients send over Socket.IO is decoded before any of it is handled.

In    app/sockets.py: POST requests below /socket.io/; app/narrow.py: each message of a WebSocket
Out   400, 408 or 413 with a sentence, and the session goes on; a WebSocket is closed

python-engineio takes 16 packets per POST, answers 200 to a body that it cannot decode, and drops
all of it with a traceback. python-socketio lets clients send its own events, connect and
disconnect, whose handlers are ours.
"""

import logging
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any

import orjson
from engineio.packet import CLOSE, MESSAGE, PONG, UPGRADE
from engineio.packet import Packet as EnginePacket
from engineio.payload import Payload
from socketio.packet import ACK, CONNECT, DISCONNECT, EVENT, Packet
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)
MAX_PACKETS = 320
"""A client that comes back acknowledges up to 300 messages at once."""
SEPARATOR = b"\x1e"
FROM_CLIENTS = {CLOSE, MESSAGE, PONG, UPGRADE}
UNDECODABLE = (ValueError, TypeError, LookupError, RecursionError)
"""What the decoders of both libraries raise, by what is wrong."""
RESERVED = {"connect", "disconnect"}


class ClientPacket(Packet):  # type: ignore[misc]
    """A Socket.IO packet; decoding raises one of UNDECODABLE for what no client of ours sends."""

    def decode(self, encoded_packet: Any) -> Any:
        attachments = super().decode(encoded_packet)
        if self.packet_type not in (CONNECT, DISCONNECT, EVENT, ACK):
            raise ValueError("Clients send no packets of this type")
        if self.packet_type == EVENT and not _is_event(self.data):
            raise ValueError("An event is a name and at most one value")
        return attachments


def _is_event(data: Any) -> bool:
    if not isinstance(data, list) or not 1 <= len(data) <= 2:
        return False
    return isinstance(data[0], str) and data[0] not in RESERVED


def check(packet: EnginePacket) -> None:
    """Raises one of UNDECODABLE for a message that is no packet of Socket.IO."""
    if packet.packet_type == MESSAGE:
        if not packet.data:
            raise ValueError("A message says something")
        ClientPacket(encoded_packet=packet.data)


class Reader:
    """A WebSocket that ends with the first frame that cannot be decoded: python-engineio would
    leave its session open."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def wait(self) -> Any:
        frame = self._inner.wait()
        if frame is not None:
            try:
                check(EnginePacket(encoded_packet=frame))
            except UNDECODABLE:
                log.warning("A socket sent what is no packet and is closed")
                return None
        return frame

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def checked(sockets: "WSGIApplication", max_bytes: int) -> "WSGIApplication":
    """`sockets`, which gets only requests that it can decode as a whole."""
    Payload.max_decode_packets = MAX_PACKETS  # the way that python-engineio documents

    def application(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            try:
                _check(environ, max_bytes)
            except HTTPException as fault:
                return _refusal(fault)(environ, start)
        return sockets(environ, start)

    return application


def _check(environ: "WSGIEnvironment", max_bytes: int) -> None:
    """Raises BadRequest, RequestTimeout or RequestEntityTooLarge; else the body can be read again,
    and has a length even if it came in chunks."""
    body = environ["wsgi.input"].read(max_bytes + 1)
    if len(body) > max_bytes:
        raise RequestEntityTooLarge(f"At most {max_bytes} bytes may be sent at once")
    if body.count(SEPARATOR) >= MAX_PACKETS:
        raise BadRequest(f"At most {MAX_PACKETS} packets may be sent at once")
    try:
        packets = Payload(encoded_payload=body.decode()).packets
        for one in packets:
            if one.packet_type not in FROM_CLIENTS:
                raise BadRequest("Clients send no packets of this type")
            check(one)
    except UNDECODABLE as fault:
        raise BadRequest("The packets cannot be decoded") from fault
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))


def _refusal(fault: HTTPException) -> Response:
    code = fault.name.lower().replace(" ", "_")
    body = {"success": False, "error": fault.description, "code": code}
    return Response(orjson.dumps(body), fault.code, content_type="application/json")
