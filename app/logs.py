"""Logging: sentences for people at a terminal, JSON for machines (python-json-logger).

Each line of a request carries its correlation id and its trace id, so that one leads to the other
from the click to the toast. What looks like a secret is withheld, whoever let it into a line.
Libraries log warnings and errors only, at any LOG_LEVEL: their other lines contain addresses,
statements and bodies.
"""

import logging
import re
import sys
from typing import TextIO

import gevent
from flask import has_request_context, request
from pythonjsonlogger.json import JsonFormatter

from app import breakers
from app.domain.errors import Unavailable
from app.outages import Outage

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
OURS = ("app", "blueprints", "workers", "__main__")
NOISY = ("kafka", "botocore", "urllib3", "engineio", "socketio")
"""Libraries that warn of what our own lines say once."""
ABOUT = {
    "kafka": "kafka_unavailable",
    "botocore": "dynamodb_unavailable",
    "urllib3": "dynamodb_unavailable",
    "sqlalchemy": "postgres_unavailable",
}
"""Libraries whose errors are about one service. Each logs every attempt: hundreds of lines."""
CORRELATION, TRACE = "notifications.correlation", "notifications.trace"
"""Where a request's environment keeps its ids (blueprints/identity.py)."""
WITHHELD = "[withheld]"
MAX_LINE = 50_000
"""The patterns below take some milliseconds for as many characters, whatever they are."""
_NAMES = (
    r"(?:password|passwd|\bpass\b|\bpwd\b|secret|token|api_?key|api-key|authorization|cookie)"
    r"[\w-]{0,20}"
)
_QUOTED = r"(?P<quote>\\?[\"'])(?:(?!(?P=quote))(?:\\.|[^\\\n]))*"
_SECRETS = (
    (re.compile(r"\beyJ[\w-]{1,2000}\.[\w-]*\.[\w-]*"), WITHHELD),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {WITHHELD}"),
    # scheme://user:password@host, up to the last @ before the path
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://)[^\s/\"']+@"), rf"\1{WITHHELD}@"),
    # what psycopg2 shows of a connection
    (re.compile(r"(?i)\b(dsn\s*[:=]\s*)([\"']).*\2"), rf"\1{WITHHELD}"),
    # "password": "a phrase, with \"quotes\""
    (
        re.compile(rf"(?i)({_NAMES}\\?[\"']?\s*[:=]\s*)(?!\\?[\"']?\[withheld){_QUOTED}"),
        rf"\1\g<quote>{WITHHELD}",
    ),
    # password=word
    (
        re.compile(rf"(?i)({_NAMES}\\?[\"']?\s*[:=]\s*)(?![\\\"'\[])[^\s\"',;&}}\\]+"),
        rf"\1{WITHHELD}",
    ),
    (re.compile(r"(?i)\b((?:code|otp)\W{0,3}(?:\sis\s)?\W{0,3})\d{4,8}\b"), rf"\1{WITHHELD}"),
)


def redacted(line: str) -> str:
    if len(line) > MAX_LINE:
        line = f"{line[:MAX_LINE]} ... ({len(line)} characters)"
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


class Outages(logging.Filter):
    """Counts a record that says that a service is unavailable to the outage of that service, whose
    lines (app/outages.py) take its place. At level DEBUG the record itself is logged as well."""

    def filter(self, record: logging.LogRecord) -> bool:
        outage = _outage(record)
        if outage is None:
            return True
        kind = f"{record.name}: {record.msg}"[:120]
        outage.failed(f"{record.name}: {record.getMessage()}", kind, _unforeseen(record))
        return logging.getLogger(OURS[0]).isEnabledFor(logging.DEBUG)


def _outage(record: logging.LogRecord) -> Outage | None:
    code = ABOUT.get(record.name.partition(".")[0])
    if code is not None and record.levelno >= logging.WARNING:
        return breakers.outage_of(code)
    args = record.args if isinstance(record.args, tuple) else ()
    fault = next((one for one in args if isinstance(one, Unavailable)), None)
    return None if fault is None else breakers.outage_of(fault.code)


def _unforeseen(record: logging.LogRecord) -> object:
    """The traceback of a fault that is none of the network's or of the client library's own."""
    fault = record.exc_info[1] if record.exc_info else None
    if fault is None or isinstance(fault, OSError):
        return None
    known = {*ABOUT, "psycopg2", "redis"}
    return None if type(fault).__module__.partition(".")[0] in known else record.exc_info


def handler(as_text: bool) -> logging.Handler:
    made = logging.StreamHandler()
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    made.setFormatter(_Text(TEXT) if as_text else _Json(form))
    made.addFilter(Outages())
    made.addFilter(RequestIds())
    return made


class Redacted:
    """A stream that withholds what looks like a secret."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(redacted(text))

    def flush(self) -> None:
        self._stream.flush()


def set_up(level: str, style: str) -> None:
    """`style` is auto, text or json; auto means text on a terminal."""
    as_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    logging.basicConfig(level=logging.WARNING, handlers=[handler(as_text)], force=True)
    logging.captureWarnings(True)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)


def redact_tracebacks() -> None:
    """Of greenlets, which gevent writes past logging. Makes gevent's hub: not before a fork."""
    gevent.get_hub().exception_stream = Redacted(sys.stderr)  # type: ignore[assignment] # enough
