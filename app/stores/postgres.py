"""PostgreSQL: the engine, with every wait bounded.

libpq has no read time-out: a frozen server would hold a greenlet for ever, so the kernel
(tcp_user_timeout), the server (statement_timeout) and the pool each have their own end.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from sqlalchemy import URL, Engine, QueuePool, create_engine, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from app import breakers
from app.domain.errors import Unavailable
from app.green import SPENT, waiting

STATEMENT_MS = 1_800
WORKER_STATEMENT_MS = 30_000
IDLE_MS = 15_000
"""Who is frozen in the middle of a transaction holds its locks no longer; a request's statement
time-out if that is less. Above what ten thousand events take between two statements."""
POOL_SECONDS = 1.8
POOL_SIZE, URGENT_POOL_SIZE = 5, 2
KNOCK_SECONDS = 1
ENDINGS = ("57P01", "57P02", "57P03", "08000", "08003", "08006")
"""SQLSTATEs of a server that goes, went or comes up. A cancelled statement, a lock that was waited
for or a full disk are OperationalErrors too, of a server that is there."""


class Queue(QueuePool):
    """Who waits for a connection has the less patience with it afterwards (app/patience.py).

    The hook is SQLAlchemy's own for kinds of pools. Its `connect` would come too late: a dead
    connection is replaced in there, by the patience that was left before the queue.
    """

    def _do_get(self) -> ConnectionPoolEntry:
        with waiting():
            return super()._do_get()


# SQLAlchemy logs what a pool does under the name of its class, and ours is outside of its own
# names: at INFO each connection that is replaced would be a line with its DSN.
logging.getLogger(f"{Queue.__module__}.{Queue.__name__}").setLevel(logging.WARNING)


def driver_url(url: str) -> URL:
    """The URL with psycopg2 named: SQLAlchemy 2.1 would take psycopg 3, which gevent cannot wait
    for.
    """
    return make_url(url).set(drivername="postgresql+psycopg2")


def dsn(url: str) -> str:
    """As psycopg2 itself takes it: without the driver's name."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def engine(
    url: str, statement_ms: int = STATEMENT_MS, name: str = "web", size: int = POOL_SIZE
) -> Engine:
    """An engine that connects when first used; at most twice `size` connections."""
    return create_engine(
        driver_url(url),
        poolclass=Queue,
        pool_size=size,
        max_overflow=size,
        pool_timeout=POOL_SECONDS,
        # A worker repeats a step that met a dead connection; a request would have to answer 503.
        pool_pre_ping=name == "web",
        pool_recycle=300,
        hide_parameters=True,  # a fault of the data must not put passwords into the log
        connect_args={
            "connect_timeout": 2,
            "application_name": f"notifications-{name}",
            "tcp_user_timeout": 2000,
            "keepalives_idle": 5,
            "options": (
                f"-c statement_timeout={statement_ms} -c lock_timeout={statement_ms} "
                f"-c idle_in_transaction_session_timeout={min(statement_ms, IDLE_MS)} "
                "-c timezone=UTC"
            ),
        },
    )


def at_once(engine: Engine) -> Engine:
    """The same engine, where each statement is a transaction of its own: whoever is frozen between
    two of them holds no lock, and commits cost no round trip."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def speaking(what: str) -> Iterator[None]:
    """Turns PostgreSQL's connection faults into Unavailable, and asks it only while its breaker
    trusts it; faults of the data pass through."""
    try:
        with breakers.POSTGRES.passage(_is_away):
            yield
    except (OperationalError, InterfaceError, PoolTimeout) as fault:
        raise Unavailable(f"PostgreSQL did not {what} in time", "postgres_unavailable") from fault
    except DBAPIError as fault:
        if fault.connection_invalidated:
            raise Unavailable(f"PostgreSQL went away: {what}", "postgres_unavailable") from fault
        raise


def _is_away(fault: BaseException) -> bool:
    if not isinstance(fault, DBAPIError):
        return False
    said = getattr(fault.orig, "pgcode", None)
    if said is not None or SPENT in str(fault.orig):
        return said in ENDINGS
    return fault.connection_invalidated or isinstance(fault, OperationalError)


def knock(url: str) -> None:
    """The breaker's question, by a connection of its own. Raises whatever psycopg2 raises."""
    options = f"-c statement_timeout={KNOCK_SECONDS * 1000}"
    connection = psycopg2.connect(dsn(url), connect_timeout=KNOCK_SECONDS + 1, options=options)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    finally:
        connection.close()
