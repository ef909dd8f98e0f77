"""Fixtures of all tests: the real services, started once per run and emptied for each test.

Without TEST_DATA_DIR a run starts its own services on free ports, without flushing to disk, and stops
them at its end. TEST_DATA_DIR names services that run already (`DATA_DIR=... python -m infra start`).
A service that does not start fails the tests that need it; nothing is skipped.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, create_engine
from xdist.scheduler import LoadScopeScheduling

from app.clients import circuit_breaker
from app.clients.postgres import psycopg2_url
from app.failover.redis_failover import INGRESS_ENABLED_KEY
from app.kafka_settings import KafkaConnection
from harness.waiting import WaitTimeoutError
from infra.services import NON_DURABLE_SERVICES, EmbeddedServices
from tests.support.pipeline_idle import wait_until_pipeline_is_idle
from tests.support.processes import ProcessGroup

ROOT = Path(__file__).resolve().parent.parent
FOLDER_ORDER = ("unit", "integration", "drills", "e2e", "browser")
UNDIVIDED_FOLDERS = ("integration", "drills")
"""The tests of such a folder run in one process of pytest-xdist. Of e2e and browser each module does: any
process that has begun with them has started workers. Each process has services of its own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cheap tests run first, and tests that share running workers last.

    Workers consume what any test writes to the shared services, so they must not run beside other tests.
    """
    folder_ranks = {ROOT / "tests" / folder: rank for rank, folder in enumerate(FOLDER_ORDER)}

    def sort_key(item: pytest.Item) -> tuple[bool, int]:
        uses_shared_processes = "shared_processes" in getattr(item, "fixturenames", ())
        rank = next((rank for folder, rank in folder_ranks.items() if folder in item.path.parents), 0)
        return uses_shared_processes, rank

    items.sort(key=sort_key)
    if os.environ.get("CI") == "true":
        for item in items:
            if item.get_closest_marker("time_limit"):
                item.add_marker(pytest.mark.flaky(reruns=1))


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Assigns whole groups of tests to the processes of pytest-xdist. (Its own `loadgroup` does not work with
    pytest 9, which ignores changes of a node id.)"""

    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.split("/")[1]
        if folder == "unit":
            return nodeid  # needs no services, so each test is a group
        return folder if folder in UNDIVIDED_FOLDERS else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    return GroupScheduling(config, log)


@pytest.fixture(autouse=True)
def reset_breakers() -> None:
    """Closes the circuit breakers that the previous test opened; they are global to the process."""
    circuit_breaker.configure_all_breakers(failure_threshold=5, reset_seconds=10)


@pytest.fixture(scope="session")
def services() -> Iterator[EmbeddedServices]:
    """PostgreSQL, Valkey, Kafka and DynamoDB, migrated. Tests that need durability start their own."""
    existing_data_dir = os.environ.get("TEST_DATA_DIR")
    if existing_data_dir:
        if "PYTEST_XDIST_WORKER" in os.environ:
            raise RuntimeError("TEST_DATA_DIR is for one process of pytest: use -n 0")
        running = EmbeddedServices(existing_data_dir)
        running.start()
        migrate(running.env())
        yield running
        return
    with start_services() as running:
        migrate(running.env())
        yield running


@contextmanager
def start_services(*names: str) -> Iterator[EmbeddedServices]:
    """Starts services in a temporary folder, all or the named ones, without flushing to disk."""
    with tempfile.TemporaryDirectory(prefix="notifications-test-", ignore_cleanup_errors=True) as data_dir:
        Path(data_dir).chmod(0o755)  # as root, PostgreSQL runs as another user
        running = EmbeddedServices(data_dir, services_by_name=NON_DURABLE_SERVICES)
        try:
            running.start(*names)
            yield running
        finally:
            running.stop(*names)


def migrate(service_urls: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=ROOT,
        env=os.environ | service_urls,
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="session")
def environment(services: EmbeddedServices) -> dict[str, str]:
    """Environment variables for processes of the product."""
    return services.env() | {
        "APP_MODE": "testing",
        "DATA_DIR": str(services.paths.data_dir),
        "JWT_SECRET_KEY": "a test's secret that is long enough for HS256",
        "SECRET_KEY": "another test's secret that is long enough too",
        "RATE_LIMIT_ENABLED": "false",
    }


@pytest.fixture(scope="session")
def shared_engine(environment: dict[str, str]) -> Iterator[Engine]:
    engine = create_engine(psycopg2_url(environment["DATABASE_URL"]), pool_size=10, max_overflow=20)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """PostgreSQL with empty tables."""
    empty_tables(shared_engine)
    return shared_engine


@pytest.fixture(scope="session")
def short_windows(environment: dict[str, str]) -> dict[str, str]:
    """Environment variables for processes whose windows close soon."""
    return environment | {
        "AGGREGATION_WINDOW_SECONDS": "1.5",
        "AGGREGATION_JITTER_SECONDS": "0.5",
        "BREAKER_RESET_SECONDS": "1",
        "LOG_FORMAT": "text",
    }


@pytest.fixture(scope="session")
def shared_processes(
    short_windows: dict[str, str], shared_engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProcessGroup]:
    """The workers, one set for all end-to-end and browser tests of a run.

    A test that stops or reconfigures a worker starts the usual one again at its end.
    """
    with redis.Redis.from_url(short_windows["REDIS_URL"]) as connection:
        processes = ProcessGroup(short_windows, tmp_path_factory.mktemp("processes"), connection)
        try:
            _start_on_empty_stores(processes, shared_engine)
            yield processes
        finally:
            processes.stop_all()


@pytest.fixture(scope="module")
def module_processes(
    shared_processes: ProcessGroup, shared_engine: Engine, environment: dict[str, str]
) -> ProcessGroup:
    """The shared workers when all events of the previous module are processed, with empty tables."""
    kafka_connection = KafkaConnection(tuple(environment["KAFKA_BOOTSTRAP_SERVERS"].split(",")))
    shared_processes.start_missing()
    shared_engine.dispose()  # the previous module may have restarted PostgreSQL
    try:
        wait_until_pipeline_is_idle(shared_engine, shared_processes.redis, kafka_connection)
        empty_tables_of_running_workers(shared_engine)
    except WaitTimeoutError:  # a failed test has left something behind
        shared_processes.stop_all()
        _start_on_empty_stores(shared_processes, shared_engine)
    return shared_processes


def _start_on_empty_stores(processes: ProcessGroup, engine: Engine) -> None:
    empty_tables(engine)
    processes.redis.flushall()
    processes.start_missing()
    processes.wait_until_redis_enabled()


@pytest.fixture
def real_redis(environment: dict[str, str]) -> Iterator[redis.Redis]:
    """An emptied Redis that accepts writes."""
    connection = redis.Redis.from_url(environment["REDIS_URL"], decode_responses=True)
    empty_redis(connection)
    yield connection
    connection.close()


def empty_redis(connection: redis.Redis) -> None:
    """Deletes all keys and enables the ingress, as workers/redis_failback.py leaves it."""
    connection.flushall()
    connection.set(INGRESS_ENABLED_KEY, "instance-of-a-test")


DELETE_ROWS_STATEMENT = """
do $$
declare name text;
begin
    set local session_replication_role = replica;
    for name in select quote_ident(tablename) from pg_tables
        where schemaname = 'public' and tablename <> all (array[{kept_tables}])
    loop
        execute 'delete from ' || name;
    end loop;
end
$$
"""
"""`replica` disables foreign keys and triggers. This takes about 3 ms; TRUNCATE of all tables takes over
100 ms, since it creates a new file for each table and index."""
RESTART_SEQUENCES_STATEMENT = """
select setval(oid::regclass, 1, false) from pg_class
where relkind = 'S' and relnamespace = 'public'::regnamespace
"""
SCHEMA_TABLES = ("alembic_version", "epochs")
REDIS_STATE_TABLES = ("redis_failover_state", "clear_watermarks")


def empty_tables(engine: Engine) -> None:
    """Deletes all rows and restarts all sequences."""
    with engine.begin() as conn:
        conn.exec_driver_sql(_delete_rows_statement(*SCHEMA_TABLES))
        conn.exec_driver_sql(RESTART_SEQUENCES_STATEMENT)


def empty_tables_of_running_workers(engine: Engine) -> None:
    """Deletes all rows but those about the state of Redis. Keeps the sequences, which workers remember."""
    with engine.begin() as conn:
        conn.exec_driver_sql(_delete_rows_statement(*SCHEMA_TABLES, *REDIS_STATE_TABLES))


def _delete_rows_statement(*kept_tables: str) -> str:
    return DELETE_ROWS_STATEMENT.format(kept_tables=", ".join(f"'{name}'" for name in kept_tables))
