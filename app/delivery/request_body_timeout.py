"""Time limit for reading a request body, so that a slow client does not occupy a greenlet for long.

Installed around every request with a body (app/delivery/sockets.py); responds 408 and stops reading from the
connection. gunicorn limits only the wait for the head of a request.
"""

import socket
import time
from contextlib import suppress
from typing import Any

import gevent
from werkzeug.exceptions import RequestTimeout

BODY_TIMEOUT_SECONDS = 15.0


class RequestBodyWithDeadline:
    """wsgi.input with a deadline."""

    def __init__(self, input_stream: Any, raw_socket: Any) -> None:
        self._input_stream, self._raw_socket = input_stream, raw_socket
        self._deadline = time.monotonic() + BODY_TIMEOUT_SECONDS

    def read(self, *size: int) -> bytes:
        return self._read_before_deadline(self._input_stream.read, *size)

    def readline(self, *size: int) -> bytes:
        return self._read_before_deadline(self._input_stream.readline, *size)

    def readlines(self, *hint: int) -> list[bytes]:
        return self._read_before_deadline(self._input_stream.readlines, *hint)  # type: ignore[return-value]

    def __iter__(self) -> "RequestBodyWithDeadline":
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def _read_before_deadline(self, read: Any, *size: int) -> bytes:
        timeout = gevent.Timeout(max(0.001, self._deadline - time.monotonic()))
        try:
            with timeout:
                return read(*size)  # type: ignore[no-any-return]
        except gevent.Timeout as exc:
            if exc is not timeout:
                raise
            if self._raw_socket is not None:
                with suppress(OSError):
                    self._raw_socket.shutdown(socket.SHUT_RD)  # otherwise gunicorn would wait for the rest
            raise RequestTimeout from exc


def install_body_deadline(environ: dict[str, Any]) -> None:
    """Wraps the body of this request; requests without a body cost nothing."""
    if environ.get("CONTENT_LENGTH", "0") not in ("", "0") or "HTTP_TRANSFER_ENCODING" in environ:
        environ["wsgi.input"] = RequestBodyWithDeadline(environ["wsgi.input"], environ.get("gunicorn.socket"))
