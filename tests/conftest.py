"""The stage: real services once per run, an empty one per test.

TEST_DATA_DIR names a set of services that runs already (`DATA_DIR=... python -m infra start`):
tests then start in no time. Without it the run starts its own on free ports and stops them at its
end. A service that does not come up fails the tests that need it; nothing is skipped.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, create_engine, text

from app import breakers
from app.stores.gate import OPEN
from app.stores.postgres import driver_url
from infra.services import Services

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def trust() -> None:
    """What one test broke, the next one's breakers know nothing of."""
    breakers.configure(failures=5, reset_seconds=10)


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """All four, with their tables made. Tests of outages start their own instead."""
    kept = os.environ.get("TEST_DATA_DIR")
    if kept:
        running = Services(kept)
        running.start()
        migrate(running.env())
        yield running
        return
    with tempfile.TemporaryDirectory(prefix="notifications-test-", ignore_cleanup_errors=True) as d:
        Path(d).chmod(0o755)  # PostgreSQL runs as a user of its own when we are root
        running = Services(d)
        try:
            running.start()
            migrate(running.env())
            yield running
        finally:
            running.stop()


def migrate(addresses: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=ROOT,
        env=os.environ | addresses,
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="session")
def environment(services: Services) -> dict[str, str]:
    """What a process of ours needs in its environment."""
    return services.env() | {
        "APP_MODE": "testing",
        "DATA_DIR": str(services.layout.data_dir),
        "JWT_SECRET_KEY": "a test's secret that is long enough for HS256",
        "SECRET_KEY": "another test's secret that is long enough too",
        "RATE_LIMIT_ENABLED": "false",
    }


@pytest.fixture(scope="session")
def _engine(environment: dict[str, str]) -> Iterator[Engine]:
    engine = create_engine(driver_url(environment["DATABASE_URL"]), pool_size=10, max_overflow=20)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(_engine: Engine) -> Engine:
    """PostgreSQL with empty tables."""
    empty_tables(_engine)
    return _engine


@pytest.fixture
def real_redis(environment: dict[str, str]) -> Iterator[redis.Redis]:
    """Redis, emptied; words may go by way of it."""
    connection = redis.Redis.from_url(environment["REDIS_URL"], decode_responses=True)
    empty_redis(connection)
    yield connection
    connection.close()


def empty_redis(connection: redis.Redis) -> None:
    """And its gate open, as a keeper leaves it."""
    connection.flushall()
    connection.set(OPEN, "a test's gate")


def empty_tables(engine: Engine) -> None:
    with engine.begin() as sql:
        names = sql.execute(
            text(
                "select string_agg(quote_ident(tablename), ', ') from pg_tables "
                "where schemaname = 'public' and tablename not in ('alembic_version', 'epochs')"
            )
        ).scalar()
        sql.execute(text(f"truncate {names} restart identity cascade"))
