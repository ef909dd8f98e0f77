"""PostgreSQL: creates SQLAlchemy engines whose every wait has a timeout, and translates connection errors.

libpq has no read timeout, so that a frozen server would block a greenlet for ever: the kernel
(tcp_user_timeout), the server (statement_timeout) and the pool have timeouts instead.
"""

import logging
import select
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psycopg2
from gevent import monkey
from sqlalchemy import URL, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from app.clients import circuit_breaker
from app.clients.gevent_setup import BUDGET_EXHAUSTED, charge_pool_wait
from app.domain.errors import Unavailable

STATEMENT_TIMEOUT_MS = 1_800
WORKER_STATEMENT_TIMEOUT_MS = 30_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 15_000
"""How long a process that is frozen in a transaction keeps its locks, at most; the statement timeout if that
is less. Longer than ten thousand events take between two statements."""
POOL_TIMEOUT_SECONDS = 1.8
POOL_SIZE, CRITICAL_POOL_SIZE = 10, 4
PING_TIMEOUT_SECONDS = 1
UNAVAILABLE_SQLSTATES = ("57P01", "57P02", "57P03", "08000", "08003", "08006")
"""SQLSTATEs of a server that stops, stopped or starts. Cancelled statements, lock timeouts and a full disk
are OperationalErrors too, but the server is available."""


class BudgetChargingPool(QueuePool):
    """Charges the wait for a connection to the timeout budget (app/clients/request_deadline.py).

    `_do_get` is the method that pool classes of SQLAlchemy override. `connect` would be too late: it replaces
    a dead connection with the budget from before the wait.
    """

    def _do_get(self) -> ConnectionPoolEntry:
        with charge_pool_wait():
            return super()._do_get()


# SQLAlchemy's pools log under the name of their class, which here is not below "sqlalchemy": at INFO it would
# log each recycled connection with its DSN.
logging.getLogger(f"{BudgetChargingPool.__module__}.{BudgetChargingPool.__name__}").setLevel(logging.WARNING)


def psycopg2_url(url: str) -> URL:
    """The URL with the driver psycopg2; SQLAlchemy 2.1 would use psycopg 3, which blocks gevent."""
    return make_url(url).set(drivername="postgresql+psycopg2")


def libpq_dsn(url: str) -> str:
    """The URL without the driver's name, as psycopg2 expects it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def create_pg_engine(
    url: str,
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
    application: str = "web",
    pool_size: int = POOL_SIZE,
) -> Engine:
    """An engine that connects when it needs to, with at most `pool_size` connections, which it keeps: those
    beyond the size of a pool are closed after each use, and a new one costs as much as ten statements."""
    idle_in_transaction_timeout_ms = min(statement_timeout_ms, IDLE_IN_TRANSACTION_TIMEOUT_MS)
    engine = create_engine(
        psycopg2_url(url),
        poolclass=BudgetChargingPool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        pool_recycle=300,
        hide_parameters=True,  # data errors would put passwords into the log
        connect_args={
            "connect_timeout": 2,
            "application_name": f"notifications-{application}",
            "tcp_user_timeout": 2000,
            "keepalives_idle": 5,
            "options": (
                f"-c statement_timeout={statement_timeout_ms} -c lock_timeout={statement_timeout_ms} "
                f"-c idle_in_transaction_session_timeout={idle_in_transaction_timeout_ms} "
                "-c timezone=UTC"
            ),
        },
    )
    event.listen(engine, "checkout", _reject_connection_closed_by_server)
    return engine


def _reject_connection_closed_by_server(connection: psycopg2.extensions.connection, *_: object) -> None:
    """The pool replaces a rejected connection, else a request would respond with 503. One that rests has
    nothing to read unless the server closed it; pool_pre_ping would ask the server, which takes a round trip
    per use (measured: 7 % of the CPU of a feed)."""
    readable = monkey.get_original("select", "poll")()
    readable.register(connection.fileno(), select.POLLIN)
    if readable.poll(0):
        raise DisconnectionError("closed by the server")


def autocommit_engine(engine: Engine) -> Engine:
    """The same engine with each statement in a transaction of its own: a process that is frozen between two
    of them holds no locks, and there are no round trips for commits."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def array_literal(values: Iterable[object]) -> str:
    """Ids, numbers, booleans or None as one constant, to be cast to an array. psycopg2 writes a list as an
    expression that the server parses element by element."""
    return f"{{{','.join('NULL' if value is None else str(value) for value in values)}}}"


@contextmanager
def translate_errors(operation: str) -> Iterator[None]:
    """Turns connection errors of PostgreSQL into Unavailable, also at once while its breaker is open. Data
    errors are raised unchanged. `operation` completes the message "could not ..."."""
    try:
        with circuit_breaker.POSTGRES.guard_call(_is_unavailable):
            yield
    except (OperationalError, InterfaceError, PoolTimeout) as exc:
        raise Unavailable(
            f"PostgreSQL is unavailable: could not {operation}", "postgres_unavailable"
        ) from exc
    except DBAPIError as exc:
        if exc.connection_invalidated:
            raise Unavailable(
                f"The connection to PostgreSQL was lost: could not {operation}", "postgres_unavailable"
            ) from exc
        raise


def _is_unavailable(exc: BaseException) -> bool:
    if not isinstance(exc, DBAPIError):
        return False
    sqlstate = getattr(exc.orig, "pgcode", None)
    if sqlstate is not None or BUDGET_EXHAUSTED in str(exc.orig):
        return sqlstate in UNAVAILABLE_SQLSTATES
    return exc.connection_invalidated or isinstance(exc, OperationalError)


def ping_or_raise(url: str) -> None:
    """The probe of the breaker, on a connection of its own. Raises psycopg2's errors."""
    options = f"-c statement_timeout={PING_TIMEOUT_SECONDS * 1000}"
    connection = psycopg2.connect(libpq_dsn(url), connect_timeout=PING_TIMEOUT_SECONDS + 1, options=options)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    finally:
        connection.close()
