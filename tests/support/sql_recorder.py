"""Records the SQL statements and transactions of engines."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event

TIMED_STATEMENTS = ("insert into leases", "select id, topic, payload from kafka_fallback_queue")
"""Repeated after a fixed time, whatever else is done."""


@dataclass
class SqlRecord:
    statements: list[str] = field(default_factory=list)
    """One per round trip, which may have several statements. Without those repeated after a fixed time."""
    transaction_count: int = 0
    """Those with a recorded statement: the driver begins a transaction with its first statement."""


@contextmanager
def record_sql(*engines: Engine) -> Iterator[SqlRecord]:
    record = SqlRecord()
    begun: set[Any] = set()
    """Connections with a transaction and no recorded statement."""

    def record_statement(conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().startswith(TIMED_STATEMENTS):
            return
        record.statements.append(statement)
        if conn in begun:
            begun.remove(conn)
            record.transaction_count += 1

    def record_begin(conn: Any) -> None:
        begun.add(conn)

    listeners = [
        listener
        for engine in engines
        for listener in ((engine, "before_cursor_execute", record_statement), (engine, "begin", record_begin))
    ]
    for listener in listeners:
        event.listen(*listener)
    try:
        yield record
    finally:
        for listener in listeners:
            event.remove(*listener)
