"""PostgreSQL: the engine, with every wait bounded.

libpq has no read time-out: a frozen server would hold a greenlet for ever, so the kernel
(tcp_user_timeout), the server (statement_timeout) and the pool each have their own end.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.domain.errors import Unavailable

STATEMENT_MS = 1_800
WORKER_STATEMENT_MS = 30_000
POOL_SIZE = 5


def driver_url(url: str) -> URL:
    """The URL with psycopg2 named: SQLAlchemy 2.1 would take psycopg 3, which gevent cannot wait
    for.
    """
    return make_url(url).set(drivername="postgresql+psycopg2")


def engine(url: str, statement_ms: int = STATEMENT_MS, name: str = "web") -> Engine:
    """An engine that connects when first used."""
    return create_engine(
        driver_url(url),
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        pool_timeout=2,
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
                "-c idle_in_transaction_session_timeout=60000 -c timezone=UTC"
            ),
        },
    )


@contextmanager
def speaking(what: str) -> Iterator[None]:
    """Turns PostgreSQL's connection faults into Unavailable; faults of the data pass through."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as fault:
        raise Unavailable(f"PostgreSQL did not {what} in time", "postgres_unavailable") from fault
    except DBAPIError as fault:
        if fault.connection_invalidated:
            raise Unavailable(f"PostgreSQL went away: {what}", "postgres_unavailable") from fault
        raise
