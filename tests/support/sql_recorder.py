"""Records the SQL statements and transactions of an engine."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event


@dataclass
class SqlRecord:
    statements: list[str] = field(default_factory=list)
    """One per round trip, which may have several statements. Without renewals of leases: one a second."""
    transaction_count: int = 0


@contextmanager
def record_sql(engine: Engine) -> Iterator[SqlRecord]:
    record = SqlRecord()

    def record_statement(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("insert into leases"):
            record.statements.append(statement)

    def count_transaction(_conn: Any) -> None:
        record.transaction_count += 1

    listeners = (("before_cursor_execute", record_statement), ("begin", count_transaction))
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield record
    finally:
        for name, listener in listeners:
            event.remove(engine, name, listener)
