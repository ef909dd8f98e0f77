"""What gets into a log: our own lines, warnings of libraries, and no address with a password."""

import io
import logging
import time
from collections.abc import Iterator

import gevent
import pytest
from sqlalchemy import text

from app import logs
from app.logs import Redacted, redacted
from app.stores import postgres

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
    "app.stores.postgres.Queue",
    "gunicorn.error",
    "gunicorn.access",
    "redis",
    "limits",
    "alembic.runtime.migration",
    "asyncio",
    "flask_cors",
)


@pytest.fixture(autouse=True)
def _() -> Iterator[None]:
    """Afterwards all loggers are as they were."""
    root, levels = logging.getLogger(), {}
    handlers, level = root.handlers[:], root.level
    for name in (*logs.OURS, *logs.NOISY):
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
    logs.set_up(level, "text")

    for name in LIBRARIES:
        logging.getLogger(name).debug("noise")
        logging.getLogger(name).info("noise")

    assert capsys.readouterr().err == ""


def test_our_own_lines_obey_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "text")
    logging.getLogger("workers.bridge").debug("unseen")
    logging.getLogger("workers.bridge").info("seen")
    logging.getLogger("__main__").info("seen too")
    logs.set_up("error", "text")
    logging.getLogger("app.web").warning("unseen")

    said = [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()]
    assert said == ["seen", "seen too"]


@pytest.mark.service
def test_a_pool_that_replaces_connections_logs_nothing(
    capsys: pytest.CaptureFixture[str], environment: dict[str, str]
) -> None:
    logs.set_up("debug", "text")
    engine = postgres.engine(environment["DATABASE_URL"])
    engine.pool._recycle = 0  # each connection is too old at its next use
    try:
        for _ in range(3):
            with engine.connect() as sql:
                sql.execute(text("select 1"))
    finally:
        engine.dispose()

    assert capsys.readouterr().err == ""


SECRET = "hunter 2@x/y?"
PATTERNS = [
    "postgresql://app:hunter2@db:5432/x is away",
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
]


@pytest.mark.parametrize("said", PATTERNS)
def test_a_secret_is_withheld(said: str) -> None:
    assert "hunter2" not in redacted(said)
    assert logs.WITHHELD in redacted(said)
    assert redacted(redacted(said)) == redacted(said)


@pytest.mark.parametrize(
    "said",
    [
        "https://site.example/@ann and mail@example.org",
        "The topics are made: 3",
        "bypass: none",
        "PostgreSQL did not read a token in time",
    ],
)
def test_what_is_no_secret_stays(said: str) -> None:
    assert redacted(said) == said


def test_what_follows_a_quoted_secret_stays() -> None:
    said = '{"password": "hunter2", "name": "Ann"}'

    assert redacted(said) == f'{{"password": "{logs.WITHHELD}", "name": "Ann"}}'


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
def test_no_line_takes_long(part: str) -> None:
    began = time.process_time()

    redacted(part * 100_000)

    assert time.process_time() - began < 5


def test_a_traceback_of_a_greenlet_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(gevent.get_hub(), "exception_stream", Redacted(written))

    def fails() -> None:
        raise RuntimeError("postgresql://app:hunter2@db/x")

    gevent.spawn(fails).join()

    assert "RuntimeError: postgresql://" in written.getvalue()
    assert "hunter2" not in written.getvalue()
