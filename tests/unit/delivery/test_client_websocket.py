"""Sending to a WebSocket, with the real Engine.IO server and a pair of connected sockets."""

import socket
from types import SimpleNamespace
from typing import Any

import engineio
import gevent
import pytest
from engineio.packet import MESSAGE, PING, Packet
from engineio.socket import Socket
from gevent import socket as gevent_socket

from app.delivery.client_websocket import MAX_SHORT_MESSAGE_CHARS, ClientWebSocket, text_frame
from app.delivery.socket_backpressure import BackpressureGuard, NoPartialSendSocket
from bench.socket_clients import decode_frame


class OpenWebSocket:
    """A WebSocket after the handshake. `sent` has what the library was given."""

    def __init__(self, connection: Any) -> None:
        self.ws = SimpleNamespace(sock=NoPartialSendSocket(connection), connected=True)
        self.sent: list[str] = []

    def send(self, message: str) -> None:
        self.sent.append(message)


@pytest.fixture
def server() -> engineio.Server:
    server = engineio.Server(async_mode="gevent")
    server.on("message", lambda *_: None)
    BackpressureGuard(server)
    return server


@pytest.fixture
def connections() -> Any:
    """The server's and the client's end."""
    server_end, client_end = gevent_socket.socketpair()
    server_end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    yield server_end, client_end
    server_end.close()
    client_end.close()


def connect(server: engineio.Server, connection: Any) -> tuple[Socket, OpenWebSocket]:
    eio_socket, websocket = Socket(server, "sid"), OpenWebSocket(connection)
    eio_socket.upgraded = True
    eio_socket.queue.try_send = ClientWebSocket(websocket, eio_socket).try_send
    return eio_socket, websocket


def read_message(connection: Any) -> str:
    raw = connection.recv(65_536)
    decoded = decode_frame(raw)
    assert decoded is not None
    assert not decoded[1]
    return decoded[0].decode()


@pytest.mark.parametrize("text", ["short", "é" * 200])
def test_message_for_an_empty_queue_is_sent_at_once(
    server: engineio.Server, connections: Any, text: str
) -> None:
    eio_socket, _ = connect(server, connections[0])

    eio_socket.send(Packet(MESSAGE, text))

    assert read_message(connections[1]) == f"4{text}"
    assert eio_socket.queue.empty()


@pytest.mark.parametrize(
    ("packet", "upgraded"),
    [
        (Packet(PING), True),
        (Packet(MESSAGE, "x" * MAX_SHORT_MESSAGE_CHARS), True),
        (Packet(MESSAGE, b"binary"), True),
        (Packet(MESSAGE, "before the upgrade"), False),
    ],
    ids=["ping", "long", "binary", "upgrading"],
)
def test_other_packets_are_queued(
    server: engineio.Server, connections: Any, packet: Packet, upgraded: bool
) -> None:
    eio_socket, _ = connect(server, connections[0])
    eio_socket.upgraded = upgraded

    eio_socket.send(packet)

    assert eio_socket.queue.get_nowait() is packet


def test_long_message_is_sent_by_the_library(server: engineio.Server, connections: Any) -> None:
    eio_socket, websocket = connect(server, connections[0])
    long_message = "x" * (MAX_SHORT_MESSAGE_CHARS + 1)

    ClientWebSocket(websocket, eio_socket).send(long_message)

    assert websocket.sent == [long_message]


def test_slow_reader_gets_every_message_whole_and_in_order(server: engineio.Server, connections: Any) -> None:
    """Its connection takes a part of a frame, then nothing."""
    server_end, client_end = connections
    eio_socket = Socket(server, "sid")
    eio_socket.upgraded = True
    websocket = ClientWebSocket(OpenWebSocket(server_end), eio_socket)
    eio_socket.queue.try_send = websocket.try_send
    messages = [f"{number} {'x' * 1_000}" for number in range(100)]

    def write_queued() -> None:
        while True:
            websocket.send(eio_socket.queue.get().encode())

    writer = gevent.spawn(write_queued)
    for message in messages:
        eio_socket.send(Packet(MESSAGE, message))
    queued_count = eio_socket.queue.qsize()
    expected = b"".join(text_frame(f"4{message}") for message in messages)
    received = b""
    with gevent.Timeout(5):
        while len(received) < len(expected):
            received += client_end.recv(1_000)
    writer.kill()

    assert 0 < queued_count < len(messages)
    assert received == expected
