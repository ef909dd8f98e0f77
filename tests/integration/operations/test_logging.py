"""Logs contain own lines with event names and warnings of libraries, and no secrets."""

import io
import json
import logging
import re
import sys
import time
from collections.abc import Iterator

import gevent
import pytest
from sqlalchemy import text

from app import log_config
from app.clients import postgres
from app.clients.postgres import BudgetChargingPool
from app.log_config import RedactingStream, redact_and_truncate

LIBRARIES = (
    "kafka",
    "kafka.coordinator",
    "boto3",
    "botocore.auth",
    "urllib3.connectionpool",
    "engineio.server",
    "socketio.server",
    "werkzeug",
    "sqlalchemy.engine.Engine",
    "sqlalchemy.pool",
    f"{BudgetChargingPool.__module__}.{BudgetChargingPool.__qualname__}",
    "gunicorn.error",
    "gunicorn.access",
    "redis",
    "limits",
    "alembic.runtime.migration",
    "asyncio",
    "flask_cors",
)


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Afterwards all loggers are as they were."""
    root, levels = logging.getLogger(), {}
    handlers, level = root.handlers[:], root.level
    for name in (*log_config.OWN_LOGGERS, *log_config.QUIETED_LOGGERS):
        levels[name] = logging.getLogger(name).level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_libraries_log_nothing_below_a_warning_at_any_level(
    capsys: pytest.CaptureFixture[str], level: str
) -> None:
    log_config.configure_logging(level, "text")

    for name in LIBRARIES:
        logging.getLogger(name).debug("noise")
        logging.getLogger(name).info("noise")

    assert capsys.readouterr().err == ""


def test_own_log_lines_obey_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    log_config.configure_logging("info", "text")
    logging.getLogger("workers.bridge").debug("unseen")
    logging.getLogger("workers.bridge").info("seen")
    logging.getLogger("__main__").info("seen too")
    log_config.configure_logging("error", "text")
    logging.getLogger("app.web").warning("unseen")

    messages = [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()]
    assert messages == ["seen", "seen too"]


def test_json_line_contains_the_event(capsys: pytest.CaptureFixture[str]) -> None:
    log_config.configure_logging("info", "json")
    logging.getLogger("app.clients.kafka").warning(
        "Kafka is unavailable: %s", "timed out", extra={"event": "kafka_unavailable"}
    )

    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["message"]) == ("kafka_unavailable", "Kafka is unavailable: timed out")


def test_json_line_without_an_event_is_named_after_its_logger(capsys: pytest.CaptureFixture[str]) -> None:
    log_config.configure_logging("info", "json")
    logging.getLogger("gunicorn.error").error("Worker timeout")

    assert json.loads(capsys.readouterr().err)["event"] == "gunicorn_error"


def test_text_line_has_the_event_after_the_logger(capsys: pytest.CaptureFixture[str]) -> None:
    log_config.configure_logging("info", "text")
    logging.getLogger("workers.relay").warning("Kafka is unavailable", extra={"event": "kafka_unavailable"})
    logging.getLogger("workers.relay").warning("No event")

    with_event, without_event = capsys.readouterr().err.splitlines()
    assert with_event.endswith("WARNING workers.relay [kafka_unavailable]: Kafka is unavailable")
    assert without_event.endswith("WARNING workers.relay: No event")


@pytest.mark.parametrize(
    ("log_format", "is_terminal", "is_json"),
    [("auto", True, False), ("auto", False, True), ("text", False, False), ("json", True, True)],
)
def test_automatic_format_is_text_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    log_format: str,
    is_terminal: bool,
    is_json: bool,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    log_config.configure_logging("info", log_format)
    logging.getLogger("app").info("seen")

    assert capsys.readouterr().err.startswith("{") is is_json


@pytest.mark.service
def test_pool_that_replaces_connections_logs_nothing(
    capsys: pytest.CaptureFixture[str], environment: dict[str, str]
) -> None:
    log_config.configure_logging("debug", "text")
    engine = postgres.create_pg_engine(environment["DATABASE_URL"])
    engine.pool._recycle = 0  # each connection is too old at its next use
    try:
        for _ in range(3):
            with engine.connect() as sql:
                sql.execute(text("select 1"))
    finally:
        engine.dispose()

    assert capsys.readouterr().err == ""


LINES_WITH_A_SECRET = [
    "postgresql://app:hunter2@db:5432/x is unavailable",
    "postgresql+psycopg2://app:hun@ter2@db/x",
    "rediss://:hunter2@host:6380/0",
    "smtp://me:hunter2@mail.example.org:587?from=us@example.org",
    "<connection object at 0x7f; dsn: 'user=hunter2 password=xxx options='-c a=b'', closed: 0>",
    "user=app password=hunter2 host=db",
    "user=app password='hunter2 and more' host=db",
    "POSTGRES_PASSWORD=hunter2",
    "JWT_SECRET_KEY: hunter2",
    "AWS_SECRET_ACCESS_KEY=hunter2",
    "METRICS_TOKEN='hunter2'",
    'sasl_plain_password="hunter2"',
    "{'sasl.password': 'hunter2'}",
    '{"password": "a phrase with hunter2"}',
    r'{"password": "a \"quoted\" hunter2"}',
    r'"{\"currentPassword\": \"a phrase with hunter2\"}"',
    "GET /password/reset?token=hunter2&x=1",
    "X-Api-Key: hunter2",
    "Cookie: session=hunter2",
    "Authorization: Bearer abchunter2.ijkl",
    "got eyJhbGciOi.hunter2.c2ln here",
    "a reset: token=hunter2-def_1 It is",
    "Your code is 123456. It",
    '{"code": "123456"}',
]


@pytest.mark.parametrize("line", LINES_WITH_A_SECRET)
def test_secret_is_redacted(line: str) -> None:
    assert not re.search("hunter2|123456", redact_and_truncate(line))
    assert log_config.REDACTED_MARKER in redact_and_truncate(line)
    assert redact_and_truncate(redact_and_truncate(line)) == redact_and_truncate(line)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_each_format_is_redacted(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    log_config.configure_logging("info", log_format)
    logging.getLogger("app").info("{'newPassword': '%s'}", "hunter2")

    line = capsys.readouterr().err
    assert "hunter2" not in line
    assert log_config.REDACTED_MARKER in line


def test_known_password_is_withheld_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_config, "_secret_values", [])
    log_config.withhold_values(["swordfish", "short"])

    line = redact_and_truncate("unknown command 'HELLO', beginning with: '3' 'AUTH' 'me' 'swordfish', short")

    assert line == "unknown command 'HELLO', beginning with: '3' 'AUTH' 'me' '[withheld]', short"


@pytest.mark.parametrize(
    "line",
    [
        "https://site.example/@ann and mail@example.org",
        "The topics are made: 3",
        "bypass: none",
        "PostgreSQL did not read a token in time",
        "status code: 200, offset 123456, dead letter from a/0:12",
    ],
)
def test_text_without_secret_is_not_redacted(line: str) -> None:
    assert redact_and_truncate(line) == line


def test_text_after_a_quoted_secret_is_kept() -> None:
    line = '{"password": "hunter2", "name": "Ann"}'

    assert redact_and_truncate(line) == f'{{"password": "{log_config.REDACTED_MARKER}", "name": "Ann"}}'


@pytest.mark.parametrize(
    "part",
    [
        "a-",
        "a.",
        "token",
        "token ",
        "eyJ-",
        "eyJa.",
        "://",
        "x:",
        "'",
        '\\"',
        "dsn:'",
        "basic ",
        " ",
    ],
)
def test_redaction_of_a_long_line_is_fast(part: str) -> None:
    began = time.process_time()

    redact_and_truncate(part * 100_000)

    assert time.process_time() - began < 5


def test_traceback_of_a_greenlet_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(gevent.get_hub(), "exception_stream", RedactingStream(written))

    def fail() -> None:
        raise RuntimeError("postgresql://app:hunter2@db/x")

    gevent.spawn(fail).join()

    assert "RuntimeError: postgresql://" in written.getvalue()
    assert "hunter2" not in written.getvalue()
