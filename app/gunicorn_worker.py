"""The gunicorn worker of a web process, which loses no accepted request when it stops.

After SIGTERM, all accepted requests are answered, sockets are asked to reconnect elsewhere and idle
connections are closed. gunicorn's own worker fails requests during a stop in three ways, avoided here:

- It closes the listening socket in a later iteration of its loop, and the kernel resets the connections that
  it accepted meanwhile. Here, they are accepted immediately before the close.
- It reads the name of the closed listening socket for each request, which raises. Here, the name is kept.
- It waits for idle keep-alive connections until the grace period ends. Here, they are shut down for reading
  as soon as each client had time to send its request (responses have `Connection: close`).
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

CHECK_INTERVAL_SECONDS = 0.1
IDLE_CLOSE_DELAY_SECONDS = 1.2
"""After the close of the listening socket: connections without a request by then are closed."""


class ListeningSocketName(NamedTuple):
    """Has the name of a listening socket for gunicorn, also after that is closed."""

    name: Any

    def getsockname(self) -> Any:
        return self.name


class PropagatingLogger(Logger):  # type: ignore[misc]
    """Passes gunicorn's log lines to app/log_config.py, because they may contain a query string."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class GracefulGeventWorker(GeventWorker):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections: set[Any] = set()
        self._busy_connections: set[Any] = set()

    def run(self) -> None:
        greenlet_pool = Pool(self.worker_connections)
        servers = [self._start_server(listener, greenlet_pool) for listener in self.sockets]
        while self.alive:
            self.notify()
            gevent.sleep(CHECK_INTERVAL_SECONDS)
        for server in servers:
            handle, pending = server.handle, close_and_accept_pending(server)
            for client, addr in pending:
                greenlet_pool.spawn(handle, client, addr)
        self._drain_until_graceful_timeout(greenlet_pool)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        self._connections.add(client)
        try:
            super().handle(listener, client, addr)
        finally:
            self._connections.discard(client)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        self._busy_connections.add(sock)
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            self._busy_connections.discard(sock)

    def _start_server(self, listener: Any, greenlet_pool: Pool) -> StreamServer:
        listener.setblocking(1)
        handle = partial(self.handle, ListeningSocketName(listener.getsockname()))
        server = StreamServer(listener, handle=handle, spawn=greenlet_pool)
        server.start()
        return server

    def _drain_until_graceful_timeout(self, greenlet_pool: Pool) -> None:
        sockets_stopped = gevent.spawn(self.wsgi.extensions["sockets"].stop)
        started_at = time.monotonic()
        while len(greenlet_pool) or not sockets_stopped.ready():
            elapsed_seconds = time.monotonic() - started_at
            if elapsed_seconds > self.cfg.graceful_timeout:
                self.log.warning(
                    "The graceful timeout ended before all requests (pid %s)",
                    self.pid,
                    extra={"event": "graceful_timeout"},
                )
                return
            if elapsed_seconds > IDLE_CLOSE_DELAY_SECONDS:
                self._shut_down_idle_connections()
            self.notify()
            gevent.sleep(CHECK_INTERVAL_SECONDS)

    def _shut_down_idle_connections(self) -> None:
        for idle_connection in self._connections - self._busy_connections:
            with suppress(OSError):
                idle_connection.shutdown(socket.SHUT_RD)


def close_and_accept_pending(server: StreamServer) -> list[tuple[Any, Any]]:
    """Closes the listening socket and returns the connections that the kernel had accepted by then. No other
    greenlet runs in between; gevent's server would close only in its next iteration."""
    server.stop_accepting()
    blocking_socket = get_original("socket", "socket")(fileno=server.socket.detach())
    blocking_socket.setblocking(False)
    accepted = []
    with suppress(OSError):  # no more connections
        while True:
            accepted.append(blocking_socket.accept())
    blocking_socket.close()
    server.close()
    return [(socket.socket(fileno=client.detach()), addr) for client, addr in accepted]
