"""Closing sockets, with the real Engine.IO server and no network."""

import engineio
import gevent
from engineio.packet import MESSAGE, Packet
from engineio.socket import Socket

from app.delivery.socket_backpressure import BackpressureGuard


def test_socket_whose_client_went_away_is_closed_without_waiting_for_it() -> None:
    server = engineio.Server(async_mode="gevent")
    server.on("message", lambda *_: None)
    guard = BackpressureGuard(server)
    eio_socket = server.sockets["sid"] = Socket(server, "sid")
    eio_socket.send(Packet(MESSAGE, "never read"))

    with gevent.Timeout(1):
        guard.close_gracefully("sid")
        guard.close_gracefully("unknown")

    assert eio_socket.closed
