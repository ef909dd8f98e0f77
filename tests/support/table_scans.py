"""Records how connections read tables, also for foreign keys and triggers."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event

_BEFORE_USE = "set enable_seqscan = off; select pg_stat_force_next_flush()"
_AFTER_USE = """
    select coalesce(i.indrelid, c.oid)::regclass::text,
        sum(case when c.relkind = 'r' then pg_stat_get_xact_numscans(c.oid) else 0 end)::int,
        sum(pg_stat_get_xact_tuples_returned(c.oid))::int
    from pg_class c left join pg_index i on i.indexrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'i')
    group by 1 having sum(pg_stat_get_xact_numscans(c.oid)) > 0
"""


@dataclass
class TableReads:
    """By table, since the last reset."""

    sequential_scans: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    """Entries read from indexes, and rows of sequential scans."""

    def reset(self) -> None:
        self.sequential_scans.clear()
        self.rows.clear()


@contextmanager
def record_table_reads(*engines: Engine) -> Iterator[TableReads]:
    """Meanwhile PostgreSQL scans a table sequentially only where no index can be used; a small one it would
    always scan. Counted at the end of each use of a pooled connection, before its backend reports."""
    reads = TableReads()

    def prepare(connection: Any, *_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_BEFORE_USE)
        connection.commit()  # reports what was counted before

    def add_counters(connection: Any, *_: object) -> None:
        if connection is None or connection.closed:
            return
        with connection.cursor() as cursor:
            cursor.execute(_AFTER_USE)
            for table, scan_count, row_count in cursor.fetchall():
                reads.sequential_scans[table] += scan_count
                reads.rows[table] += row_count
            cursor.execute("set enable_seqscan = on")
        connection.commit()

    for engine in engines:
        event.listen(engine.pool, "checkout", prepare)
        event.listen(engine.pool, "checkin", add_counters)
    try:
        yield reads
    finally:
        for engine in engines:
            event.remove(engine.pool, "checkout", prepare)
            event.remove(engine.pool, "checkin", add_counters)
