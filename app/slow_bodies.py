"""Slow bodies: who sends one byte now and then holds a greenlet no longer than this.

In    app/web.py, around every request that has a body
Out   408, and the connection is not read any further

gunicorn bounds the wait for a request's head (keepalive), and leaves its body to us.
"""

import socket
import time
from contextlib import suppress
from typing import Any

import gevent
from werkzeug.exceptions import RequestTimeout

SECONDS = 15.0


class Body:
    """wsgi.input with an end."""

    def __init__(self, inner: Any, raw: Any) -> None:
        self._inner, self._raw = inner, raw
        self._until = time.monotonic() + SECONDS

    def read(self, *size: int) -> bytes:
        return self._timed(self._inner.read, *size)

    def readline(self, *size: int) -> bytes:
        return self._timed(self._inner.readline, *size)

    def readlines(self, *hint: int) -> list[bytes]:
        return self._timed(self._inner.readlines, *hint)  # type: ignore[return-value]

    def __iter__(self) -> "Body":
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def _timed(self, read: Any, *size: int) -> bytes:
        ends = gevent.Timeout(max(0.001, self._until - time.monotonic()))
        try:
            with ends:
                return read(*size)  # type: ignore[no-any-return]
        except gevent.Timeout as late:
            if late is not ends:
                raise
            if self._raw is not None:
                with suppress(OSError):
                    self._raw.shutdown(socket.SHUT_RD)  # the rest would be waited for as well
            raise RequestTimeout from late


def bound(environ: dict[str, Any]) -> None:
    """Gives the body of this request an end; requests without one pay nothing."""
    if environ.get("CONTENT_LENGTH", "0") not in ("", "0") or "HTTP_TRANSFER_ENCODING" in environ:
        environ["wsgi.input"] = Body(environ["wsgi.input"], environ.get("gunicorn.socket"))
