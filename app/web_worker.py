"""The gunicorn worker of a web process: how it says goodbye.

In    gunicorn.conf.py; SIGTERM
Out   accepted requests are answered, sockets told to connect elsewhere, idle connections let go

gunicorn waits for all connections to end, and kept ones, on which nobody asks anything, do so only
after `keepalive`: each stop would take its whole grace and then cut off who asks in its last
moment. So connections that rest are shut for reading once new ones go elsewhere.
"""

import socket
from contextlib import suppress
from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventWorker

LISTENING_SECONDS = 1.2
"""gunicorn looks once a second whether it should still accept connections."""


class WebWorker(GeventWorker):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connected: set[Any] = set()
        self._busy: set[Any] = set()

    def run(self) -> None:
        gevent.spawn(self._goodbye)
        super().run()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        self._connected.add(client)
        try:
            super().handle(listener, client, addr)
        finally:
            self._connected.discard(client)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        self._busy.add(sock)
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            self._busy.discard(sock)

    def _goodbye(self) -> None:
        while self.alive:
            gevent.sleep(0.1)
        gevent.spawn(self.wsgi.extensions["sockets"].stop)
        gevent.sleep(LISTENING_SECONDS)
        while True:
            for resting in self._connected - self._busy:
                with suppress(OSError):
                    resting.shutdown(socket.SHUT_RD)
            gevent.sleep(0.1)
