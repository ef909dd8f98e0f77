"""What a storm reads from PostgreSQL: counters before and after, and sessions that wait for a lock."""

import contextlib
import threading
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from app.clients.postgres import autocommit_engine, translate_errors
from app.domain.errors import Unavailable

LOCK_SAMPLE_INTERVAL_SECONDS = 0.1
STATISTICS_DELAY_SECONDS = 10.5
"""A session reports its statistics at the end of a transaction, at most once a second. What it did since
then it reports when it has been idle for ten seconds (PGSTAT_IDLE_INTERVAL): a flusher that has written all
rows in one transaction, or the connections of a pool that nobody uses any more."""


@dataclass(frozen=True, slots=True)
class PostgresCounters:
    """Of the whole database, so of everybody who uses it meanwhile: also the reader of the storm and workers
    that look for work."""

    commits: int
    rows: int
    """Inserted, updated and deleted."""
    wal_bytes: int
    write_transactions: int
    """Those that took a transaction id."""
    server_started_at: str

    def since(self, earlier: "PostgresCounters", sampled_count: int) -> dict[str, int | None]:
        """The first two are unknown after a crash of the server, which resets them. `sampled_count`:
        transactions of LockWaitSampler, which are left out."""
        is_same_server = self.server_started_at == earlier.server_started_at
        return {
            "transactions": self.commits - earlier.commits - sampled_count if is_same_server else None,
            "rowsWritten": self.rows - earlier.rows if is_same_server else None,
            "writeTransactions": self.write_transactions - earlier.write_transactions,
            "walBytes": self.wal_bytes - earlier.wal_bytes,
        }


def read_counters(engine: Engine) -> PostgresCounters:
    """Raises Unavailable."""
    with translate_errors("read its counters"), engine.connect() as conn:
        return PostgresCounters(*conn.execute(_SELECT_COUNTERS).one())


def write_checkpoint(engine: Engine) -> None:
    """Both ways begin after a checkpoint: the first change of a page after one writes the whole page to WAL.
    Does nothing without the right to."""
    with (
        contextlib.suppress(DBAPIError, Unavailable),
        translate_errors("write a checkpoint"),
        autocommit_engine(engine).connect() as conn,
    ):
        conn.execute(text("checkpoint"))


class LockWaitSampler:
    """Counts the sessions that wait for a lock, ten times a second. While PostgreSQL is unavailable nothing
    is counted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = autocommit_engine(engine)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.waiting_now = 0
        self.waiting_max = 0
        self.waited_seconds = 0.0
        """Of all sessions together."""
        self.transaction_count = 0
        """Of this sampler: each statement is one."""
        self._thread.start()

    def stop(self) -> dict[str, Any]:
        self._stopped.set()
        self._thread.join(LOCK_SAMPLE_INTERVAL_SECONDS + 5)
        return {"lockWaitSeconds": round(self.waited_seconds, 2), "lockWaitersMax": self.waiting_max}

    def _run(self) -> None:
        while not self._stopped.wait(LOCK_SAMPLE_INTERVAL_SECONDS):
            try:
                with translate_errors("count lock waits"), self._engine.connect() as conn:
                    self.waiting_now = int(conn.execute(_COUNT_LOCK_WAITS).scalar_one())
                self.transaction_count += 1
            except (Unavailable, DBAPIError):
                self.waiting_now = 0
            self.waiting_max = max(self.waiting_max, self.waiting_now)
            self.waited_seconds += self.waiting_now * LOCK_SAMPLE_INTERVAL_SECONDS


_SELECT_COUNTERS = text("""
    select xact_commit, tup_inserted + tup_updated + tup_deleted,
        pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,
        pg_snapshot_xmax(pg_current_snapshot())::text::bigint, pg_postmaster_start_time()::text
    from pg_stat_database where datname = current_database()
""")
_COUNT_LOCK_WAITS = text(
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)
