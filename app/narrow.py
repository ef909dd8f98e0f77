"""Narrow: what a socket's reader leaves waiting, and what it says in a second, has an end.

In    app/sockets.py, once per server
Out   disconnected sockets: their clients come back and ask for what they missed by seq

python-engineio keeps what a client does not read in a queue without a limit, and starts a greenlet
for each message it sends. Its own disconnect waits until the queue is empty, which of a slow reader
it never is: so the connection itself is shut.
"""

import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.queue import JoinableQueue

from app.packets import Reader

log = logging.getLogger(__name__)
MOST_PACKETS = 1_000
MOST_BYTES = 4_000_000
"""Above what a client may have missed at most (300 frames). As much again may be on its way out."""
BURST, PER_SECOND = 600, 60.0
"""A client that comes back acknowledges up to 300 frames at once."""
LOOK_SECONDS = 0.5
FAREWELL_SECONDS = 0.5


class Outbox(JoinableQueue):  # type: ignore[type-arg]
    """A socket's queue. When it is full, it takes nothing but the end."""

    def __init__(self) -> None:
        super().__init__()
        self.full_since: float | None = None
        self._bytes = 0

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        size = _size(item)
        if item is not None and (
            self.qsize() >= MOST_PACKETS or (self.qsize() and self._bytes + size > MOST_BYTES)
        ):
            self.full_since = self.full_since or time.monotonic()
            return
        self._bytes += size
        super().put(item, block, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        item = super().get(block, timeout)
        self._bytes -= _size(item)
        return item


@dataclass(slots=True)
class Talk:
    """How much a socket may still say: a bucket that fills again."""

    left: float = BURST
    at: float = field(default_factory=time.monotonic)

    def takes(self, now: float) -> bool:
        self.left = min(BURST, self.left + (now - self.at) * PER_SECOND) - 1
        self.at = now
        return self.left >= 0


class Pipe:
    """A connection whose send() sends all: simple-websocket takes a part sent for the whole, and a
    reader that is a little slow would get half a frame."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self.send = raw.sendall

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class Narrow:
    """Around an engineio server."""

    def __init__(self, eio: Any) -> None:
        self._eio = eio
        self._raw: dict[str, Any] = {}
        self._talks: dict[str, Talk] = {}
        self._hear = eio.handlers["message"]
        eio.handlers["message"] = self._message
        eio.create_queue = Outbox
        eio._async = eio._async | {"websocket": self._websocket(eio._async["websocket"])}

    def run(self) -> None:
        """For ever: sockets whose queue was full are ended."""
        while True:
            gevent.sleep(LOOK_SECONDS)
            try:
                self.look()
            except Exception:  # one broken socket must not keep all others open
                log.exception("A look at the sockets failed")

    def look(self) -> int:
        """How many were ended."""
        known = dict(self._eio.sockets)
        for gone in self._talks.keys() - known.keys():
            del self._talks[gone]
        slow = [sid for sid, one in known.items() if one.queue.full_since is not None]
        for sid in slow:
            self.drop(sid, "reads too slowly")
        return len(slow)

    def drop(self, sid: str, why: str) -> None:
        one = self._eio.sockets.get(sid)
        if one is None:
            return
        log.warning("A socket %s and is closed", why)
        one.close(wait=False, abort=True)
        raw = self._raw.pop(sid, None)
        if raw is not None:
            _shut(raw)

    def end_all(self) -> None:
        """Everybody is told, and shortly after let go, whether they have read it or not."""
        for sid, one in dict(self._eio.sockets).items():
            with suppress(Exception):  # whatever one handler met: the others are told as well
                one.close(wait=False)
            raw = self._raw.get(sid)
            if raw is not None:
                gevent.spawn_later(FAREWELL_SECONDS, _shut, raw)

    def _message(self, sid: str, data: Any) -> Any:
        if self._talks.setdefault(sid, Talk()).takes(time.monotonic()):
            return self._hear(sid, data)
        self.drop(sid, "says too much")
        return None

    def _websocket(self, make: Callable[..., Any]) -> Callable[..., Any]:
        def narrowed(handler: Any, server: Any) -> Any:
            sid = handler.__self__.sid
            serve = make(lambda wire: handler(Reader(wire)), server)

            def application(environ: dict[str, Any], start: Any) -> Any:
                raw = environ.get("gunicorn.socket")
                if raw is None:
                    return serve(environ, start)
                self._raw[sid] = raw
                try:
                    return serve(environ | {"gunicorn.socket": Pipe(raw)}, start)
                finally:
                    self._raw.pop(sid, None)

            return application

        return narrowed


def _shut(raw: Any) -> None:
    """Wakes who waits to send to it, or to hear it."""
    with suppress(OSError):
        raw.shutdown(socket.SHUT_RDWR)


def _size(item: Any) -> int:
    data = getattr(item, "data", None)
    return len(data) if isinstance(data, (str, bytes)) else 0
