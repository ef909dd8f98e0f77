"""Validation of Socket.IO packets before the libraries handle them.

Input: POST requests below /socket.io/ (app/delivery/sockets.py) and WebSocket messages
(app/delivery/client_websocket.py). Output: 400, 408 or 413 for a request, and its session goes on; an
invalid WebSocket message closes the socket.

python-engineio accepts 16 packets per POST, answers 200 to a body it cannot decode, and drops all of it with
a traceback. python-socketio lets clients send its own events, connect and disconnect.
"""

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

MAX_PACKETS = 320
"""A reconnecting client acknowledges up to 300 messages at once."""
SEPARATOR = b"\x1e"
CLIENT_PACKET_TYPES = {CLOSE, MESSAGE, PONG, UPGRADE}
DECODE_ERRORS = (ValueError, TypeError, LookupError, RecursionError)
"""What the decoders of both libraries raise."""
RESERVED_EVENTS = {"connect", "disconnect"}


class ClientPacket(Packet):  # type: ignore[misc]
    """A Socket.IO packet; decoding raises one of DECODE_ERRORS for types that clients do not send."""

    def decode(self, encoded_packet: Any) -> Any:
        attachments = super().decode(encoded_packet)
        if self.packet_type not in (CONNECT, DISCONNECT, EVENT, ACK):
            raise ValueError("Clients send no packets of this type")
        if self.packet_type == EVENT and not _is_valid_client_event(self.data):
            raise ValueError("An event is a name and at most one value")
        return attachments


def _is_valid_client_event(data: Any) -> bool:
    if not isinstance(data, list) or not 1 <= len(data) <= 2:
        return False
    return isinstance(data[0], str) and data[0] not in RESERVED_EVENTS


def validate_socketio_message(packet: EnginePacket) -> None:
    """Raises one of DECODE_ERRORS for a message that is not a Socket.IO packet."""
    if packet.packet_type == MESSAGE:
        if not packet.data:
            raise ValueError("The message is empty")
        ClientPacket(encoded_packet=packet.data)


def wrap_with_request_validation(socketio_app: "WSGIApplication", max_bytes: int) -> "WSGIApplication":
    """Wraps `socketio_app`, which then gets only requests that it can decode completely."""
    Payload.max_decode_packets = MAX_PACKETS  # as documented by python-engineio

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            try:
                _validate_and_restore_body(environ, max_bytes)
            except HTTPException as exc:
                return _json_error_response(exc)(environ, start_response)
        return socketio_app(environ, start_response)

    return application


def _validate_and_restore_body(environ: "WSGIEnvironment", max_bytes: int) -> None:
    """Raises BadRequest, RequestTimeout or RequestEntityTooLarge. Afterwards the body can be read again,
    and has a length even if it was chunked."""
    body = environ["wsgi.input"].read(max_bytes + 1)
    if len(body) > max_bytes:
        raise RequestEntityTooLarge(f"At most {max_bytes} bytes may be sent at once")
    if body.count(SEPARATOR) >= MAX_PACKETS:
        raise BadRequest(f"At most {MAX_PACKETS} packets may be sent at once")
    try:
        packets = Payload(encoded_payload=body.decode()).packets
        for packet in packets:
            if packet.packet_type not in CLIENT_PACKET_TYPES:
                raise BadRequest("Clients send no packets of this type")
            validate_socketio_message(packet)
    except DECODE_ERRORS as exc:
        raise BadRequest("The packets cannot be decoded") from exc
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))


def _json_error_response(error: HTTPException) -> Response:
    code = error.name.lower().replace(" ", "_")
    body = {"success": False, "error": error.description, "code": code}
    return Response(orjson.dumps(body), error.code, content_type="application/json")
