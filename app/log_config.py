"""Configures logging: readable text at a terminal, JSON lines elsewhere (python-json-logger).

Every line has an event name, and the lines of a request its correlation id and trace id. Whatever looks like
a secret is redacted. Libraries log warnings and errors only, at any LOG_LEVEL: their other lines contain
addresses, statements and bodies.
"""

import logging
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import gevent
from flask import has_request_context, request
from pythonjsonlogger.json import JsonFormatter

from app.clients import circuit_breaker
from app.clients.outage_log import Outage
from app.domain.errors import Unavailable

TEXT_FORMAT = "%(asctime)s %(levelname)-7s %(source)s: %(message)s"
JSON_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
OWN_LOGGERS = ("app", "blueprints", "workers", "__main__")
QUIETED_LOGGERS = ("kafka", "botocore", "urllib3", "engineio", "socketio")
"""Libraries whose warnings repeat what the outage lines report once."""
OUTAGE_CODE_BY_LIBRARY = {
    "kafka": "kafka_unavailable",
    "botocore": "dynamodb_unavailable",
    "urllib3": "dynamodb_unavailable",
    "sqlalchemy": "postgres_unavailable",
}
"""The error code of the service that a library's warnings are about. Libraries log each attempt, which makes
hundreds of lines in an outage (see OutageFilter)."""
CORRELATION_ID_KEY, TRACEPARENT_KEY = "notifications.correlation", "notifications.trace"
"""Keys of the WSGI environment, set by app/trace_context.py."""
REDACTED_MARKER = "[withheld]"
MAX_LINE_LENGTH = 50_000
"""Maximum characters of a line that are kept; the patterns below take milliseconds for that many."""
_PLACEHOLDER = re.compile(r"%[-+ #\d.]*[a-z]")
"""Stands for an argument in the text of a log call."""
_SENSITIVE_KEYS = (
    r"(?:password|passwd|\bpass\b|\bpwd\b|secret|token|api_?key|api-key|authorization|cookie)"
    r"[\w-]{0,20}"
)
_QUOTED_VALUE = r"(?P<quote>\\?[\"'])(?:(?!(?P=quote))(?:\\.|[^\\\n]))*"
_SECRET_PATTERNS = (
    (re.compile(r"\beyJ[\w-]{1,2000}\.[\w-]*\.[\w-]*"), REDACTED_MARKER),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {REDACTED_MARKER}"),
    # scheme://user:password@host, up to the last @ before the path
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://)[^\s/\"']+@"), rf"\1{REDACTED_MARKER}@"),
    # the repr of a psycopg2 connection
    (re.compile(r"(?i)\b(dsn\s*[:=]\s*)([\"']).*\2"), rf"\1{REDACTED_MARKER}"),
    # "password": "a phrase, with \"quotes\""
    (
        re.compile(rf"(?i)({_SENSITIVE_KEYS}\\?[\"']?\s*[:=]\s*)(?!\\?[\"']?\[withheld){_QUOTED_VALUE}"),
        rf"\1\g<quote>{REDACTED_MARKER}",
    ),
    # password=word
    (
        re.compile(rf"(?i)({_SENSITIVE_KEYS}\\?[\"']?\s*[:=]\s*)(?![\\\"'\[])[^\s\"',;&}}\\]+"),
        rf"\1{REDACTED_MARKER}",
    ),
    (
        re.compile(r"(?i)\b((?:code|otp)\W{0,3}(?:\sis\s)?\W{0,3})\d{4,8}\b"),
        rf"\1{REDACTED_MARKER}",
    ),
)


_secret_values: list[str] = []
"""Withheld wherever they occur. The patterns above do not find a password in the text of every error."""
MIN_SECRET_LENGTH = 6
"""Shorter values occur in words and numbers."""


def withhold_values(values: Iterable[str]) -> None:
    """Adds values that no line of this process may contain."""
    _secret_values.extend(value for value in values if len(value) >= MIN_SECRET_LENGTH)


def redact_and_truncate(line: str) -> str:
    if len(line) > MAX_LINE_LENGTH:
        line = f"{line[:MAX_LINE_LENGTH]} ... ({len(line)} characters)"
    for value in _secret_values:
        line = line.replace(value, REDACTED_MARKER)
    for pattern, replacement in _SECRET_PATTERNS:
        line = pattern.sub(replacement, line)
    return line


def default_event_name(logger_name: str) -> str:
    """The event name of a record that was logged without one."""
    return logger_name.replace(".", "_")


class _RedactingTextFormatter(logging.Formatter):
    """The event name follows the logger's name, in brackets: `app.clients.kafka [kafka_unavailable]: ...`"""

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", None)
        record.source = f"{record.name} [{event}]" if event else record.name
        return redact_and_truncate(super().format(record))


class _RedactingJsonFormatter(JsonFormatter):
    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        super().add_fields(log_data, record, message_dict)
        log_data.setdefault("event", default_event_name(record.name))

    def format(self, record: logging.LogRecord) -> str:
        return redact_and_truncate(super().format(record))


class RequestIdFilter(logging.Filter):
    """Adds correlation_id and trace_id to the records of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        if has_request_context():
            environ = request.environ
            correlation_id, traceparent = (
                environ.get(CORRELATION_ID_KEY),
                environ.get(TRACEPARENT_KEY),
            )
            if correlation_id and not hasattr(record, "correlation_id"):
                record.correlation_id = correlation_id
            if traceparent:
                record.trace_id = traceparent.split("-")[1]
        return True


class OutageFilter(logging.Filter):
    """Drops records that report an unavailable service and counts them in the outage of that service, which
    has lines of its own (app/clients/outage_log.py). At level DEBUG the records are logged as well."""

    def filter(self, record: logging.LogRecord) -> bool:
        outage = _find_outage(record)
        if outage is None:
            return True
        failure_kind = f"{record.name}: {_PLACEHOLDER.sub('...', str(record.msg))}"[:120]
        outage.record_failure(
            f"{record.name}: {record.getMessage()}", failure_kind, _unexpected_traceback(record)
        )
        return logging.getLogger(OWN_LOGGERS[0]).isEnabledFor(logging.DEBUG)


def _find_outage(record: logging.LogRecord) -> Outage | None:
    code = OUTAGE_CODE_BY_LIBRARY.get(record.name.partition(".")[0])
    if code is not None and record.levelno >= logging.WARNING:
        return circuit_breaker.outage_for_error_code(code)
    args = record.args if isinstance(record.args, tuple) else ()
    exc = next((arg for arg in args if isinstance(arg, Unavailable)), None)
    return None if exc is None else circuit_breaker.outage_for_error_code(exc.code)


def _unexpected_traceback(record: logging.LogRecord) -> object:
    """The traceback of an error that comes neither from the network nor from a client library."""
    exc = record.exc_info[1] if record.exc_info else None
    if exc is None or isinstance(exc, OSError):
        return None
    expected_packages = {*OUTAGE_CODE_BY_LIBRARY, "psycopg2", "redis"}
    return None if type(exc).__module__.partition(".")[0] in expected_packages else record.exc_info


def create_log_handler(as_text: bool) -> logging.Handler:
    log_handler = logging.StreamHandler()
    log_handler.setFormatter(
        _RedactingTextFormatter(TEXT_FORMAT) if as_text else _RedactingJsonFormatter(JSON_FORMAT)
    )
    log_handler.addFilter(OutageFilter())
    log_handler.addFilter(RequestIdFilter())
    return log_handler


class RedactingStream:
    """A stream that redacts what looks like a secret."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(redact_and_truncate(text))

    def flush(self) -> None:
        self._stream.flush()


def configure_logging(level: str, log_format: str) -> None:
    """`log_format` is auto, text or json; auto is text on a terminal and JSON elsewhere."""
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    logging.basicConfig(level=logging.WARNING, handlers=[create_log_handler(as_text)], force=True)
    logging.captureWarnings(True)
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(level.upper())
    for name in QUIETED_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)


def redact_greenlet_tracebacks() -> None:
    """gevent writes the tracebacks of greenlets to stderr, not to a logger. Creates gevent's hub, so it must
    not run before a fork."""
    gevent.get_hub().exception_stream = RedactingStream(sys.stderr)  # type: ignore[assignment]
