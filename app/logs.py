"""Logging: sentences for people at a terminal, JSON for machines (python-json-logger).

Each line of a request carries its correlation id and its trace id, so that one leads to the other
from the click to the toast. What looks like a secret is withheld, whoever let it into a line.
"""

import logging
import re
import sys

from flask import has_request_context, request
from pythonjsonlogger.json import JsonFormatter

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
NOISY = ("kafka", "botocore", "urllib3", "engineio", "socketio")
CORRELATION, TRACE = "notifications.correlation", "notifications.trace"
"""Where a request's environment keeps its ids (blueprints/identity.py)."""
WITHHELD = "[withheld]"
_NAMES = (
    r"pass(?:word|wd)?|current_?password|new_?password|secret|token|refresh_?token|access_?token"
    r"|api_?key|x-api-key|authorization|cookie"
)
_SECRETS = (
    (re.compile(r"\beyJ[\w-]+\.[\w-]*\.[\w-]*"), WITHHELD),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {WITHHELD}"),
    # scheme://user:password@host
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@\"']+@"), rf"\1{WITHHELD}@"),
    (
        re.compile(
            rf"(?i)\b({_NAMES})(\\?[\"']?\s*[:=]\s*\\?[\"']?)(?!\[withheld)[^\s\"',;&}}\\]+"
        ),
        rf"\1\2{WITHHELD}",
    ),
    (re.compile(r"(?i)\b((?:code|otp)\W{0,3}(?:\sis\s)?\W{0,3})\d{4,8}\b"), rf"\1{WITHHELD}"),
)


def redacted(line: str) -> str:
    for pattern, instead in _SECRETS:
        line = pattern.sub(instead, line)
    return line


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


class _Json(JsonFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


class RequestIds(logging.Filter):
    """Adds correlation_id and trace_id to what is said while a request is served."""

    def filter(self, record: logging.LogRecord) -> bool:
        if has_request_context():
            environ = request.environ
            correlation, trace = environ.get(CORRELATION), environ.get(TRACE)
            if correlation and not hasattr(record, "correlation_id"):
                record.correlation_id = correlation
            if trace:
                record.trace_id = trace.split("-")[1]
        return True


def handler(as_text: bool) -> logging.Handler:
    made = logging.StreamHandler()
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    made.setFormatter(_Text(TEXT) if as_text else _Json(form))
    made.addFilter(RequestIds())
    return made


def set_up(level: str, style: str) -> None:
    """`style` is auto, text or json; auto means text on a terminal."""
    as_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    logging.basicConfig(level=level.upper(), handlers=[handler(as_text)], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
