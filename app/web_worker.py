"""The gunicorn worker of a web process: how it says goodbye.

In    gunicorn.conf.py; SIGTERM
Out   accepted requests are answered, sockets told to connect elsewhere, idle connections let go

gunicorn cuts off who asks in its last moment, in three ways. It closes the door in a later turn of
its loop, and the kernel resets whom it let in meanwhile: here the last are taken in right before.
It asks a closed door for its name and then drops who was let in last. And it waits for kept
connections on which nobody asks anything until the grace is over: here they are shut for reading,
once all have had time to ask what they connected for (the answer says `Connection: close`).
"""

import socket
import time
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import gevent
from gevent.monkey import get_original
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventWorker

LOOK_SECONDS = 0.1
ASKING_SECONDS = 1.2
"""From letting nobody in any more: who has asked nothing by then, asks nothing."""


class Sign(NamedTuple):
    """What gunicorn asks a listening socket about, and may when that one is closed."""

    name: Any

    def getsockname(self) -> Any:
        return self.name


class WebLogger(Logger):  # type: ignore[misc]
    """gunicorn's own lines go the way of all others (app/logs.py): they may hold a query."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class WebWorker(GeventWorker):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connected: set[Any] = set()
        self._busy: set[Any] = set()

    def run(self) -> None:
        guests = Pool(self.worker_connections)
        doors = [self._opened(one, guests) for one in self.sockets]
        while self.alive:
            self.notify()
            gevent.sleep(LOOK_SECONDS)
        for door in doors:
            serve, last = door.handle, last_guests(door)
            for client, addr in last:
                guests.spawn(serve, client, addr)
        self._say_goodbye(guests)

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

    def _opened(self, listener: Any, guests: Pool) -> StreamServer:
        listener.setblocking(1)
        serve = partial(self.handle, Sign(listener.getsockname()))
        door = StreamServer(listener, handle=serve, spawn=guests)
        door.start()
        return door

    def _say_goodbye(self, guests: Pool) -> None:
        told = gevent.spawn(self.wsgi.extensions["sockets"].stop)
        began = time.monotonic()
        while len(guests) or not told.ready():
            gone = time.monotonic() - began
            if gone > self.cfg.graceful_timeout:
                self.log.warning("Worker graceful timeout (pid:%s)", self.pid)
                return
            if gone > ASKING_SECONDS:
                self._let_go()
            self.notify()
            gevent.sleep(LOOK_SECONDS)

    def _let_go(self) -> None:
        for resting in self._connected - self._busy:
            with suppress(OSError):
                resting.shutdown(socket.SHUT_RD)


def last_guests(door: StreamServer) -> list[tuple[Any, Any]]:
    """Closes the door, and whom the kernel had let in by then. Between the two nothing else runs:
    gevent would close in its next turn."""
    door.stop_accepting()
    plain = get_original("socket", "socket")(fileno=door.socket.detach())
    plain.setblocking(False)
    came = []
    with suppress(OSError):  # nobody else
        while True:
            came.append(plain.accept())
    plain.close()
    door.close()
    return [(socket.socket(fileno=one.detach()), addr) for one, addr in came]
