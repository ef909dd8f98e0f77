"""Correlation id and W3C trace context of the current request.

Both are read from the request's headers or generated, and kept in its WSGI environment, where the
log formatter (app/log_config.py) finds them.
"""

import re

from flask import request
from uuid_utils import uuid4  # without a system call each

from app.domain.events import CANONICAL_UUID
from app.log_config import CORRELATION_ID_KEY, TRACEPARENT_KEY

_CORRELATION_ID_PATTERN = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT_PATTERN = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def get_or_create_correlation_id() -> str:
    """The id from the X-Correlation-Id header if it is well formed, else a new one. Stays the same
    for the whole request."""
    environ = request.environ
    current: str | None = environ.get(CORRELATION_ID_KEY)
    if current is None:
        header = environ.get("HTTP_X_CORRELATION_ID")
        current = header if header and _CORRELATION_ID_PATTERN.fullmatch(header) else str(uuid4())
        environ[CORRELATION_ID_KEY] = current
    return current


def get_or_create_traceparent() -> str:
    """W3C trace context of this request. The trace id of a new trace is the correlation id, so that
    logs can be searched by either."""
    environ = request.environ
    current: str | None = environ.get(TRACEPARENT_KEY)
    if current is None:
        header: str | None = environ.get("HTTP_TRACEPARENT")
        current = environ[TRACEPARENT_KEY] = (
            header if header and _TRACEPARENT_PATTERN.fullmatch(header) else _new_traceparent()
        )
    return current


def _new_traceparent() -> str:
    request_id = get_or_create_correlation_id()
    trace_id = request_id.replace("-", "") if CANONICAL_UUID.fullmatch(request_id) else uuid4().hex
    return f"00-{trace_id}-{uuid4().hex[16:]}-01"
