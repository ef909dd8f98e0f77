"""Retention: deletes rows past their retention, one bounded batch per transaction.

Used by workers/retention.py and by python -m app.admin purge. In: the categories of
app/operations/retention_categories.py. Out: deleted rows, and the progress in table retention_progress, in
the same transaction. May be stopped and restarted at any time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, text

from app.clients.postgres import translate_errors
from app.domain.resume import MAX_MISSED_EVENTS
from app.operations.retention_categories import (
    RETENTION_CATEGORIES,
    SETTLED_RETENTION_DAYS,
    TOMBSTONE_RETENTION_DAYS,
    BatchResult,
    RetentionCategory,
)

BATCH_TIMEOUT_MS = 5_000
"""A batch takes milliseconds. A longer one is given up, and nothing of it is deleted."""
IDLE_IN_TRANSACTION_TIMEOUT_MS = 1_000
"""How long a frozen process keeps the locks of a batch: critical messages need those on recipients."""


@dataclass(frozen=True, slots=True)
class CategoryProgress:
    deleted_count: int
    """Rows deleted so far."""
    completed_at: datetime | None
    """When nothing past its retention was left. None: not yet."""
    completed_seconds_ago: float | None
    """By the clock of PostgreSQL."""


class RetentionPurge:
    def __init__(
        self, engine: Engine, read_notification_days: int, max_batch_rows: int | None = None
    ) -> None:
        """`max_batch_rows`: a limit below the batch sizes of the categories."""
        self._engine = engine
        self._read_notification_days = read_notification_days
        self._max_batch_rows = max_batch_rows

    def purge_by_category(self) -> Iterator[tuple[str, int]]:
        """Category and number of deleted rows, until nothing is past its retention. Raises Unavailable."""
        for category in RETENTION_CATEGORIES.values():
            deleted_total, has_more = 0, True
            while has_more:
                result = self.purge_batch(category)
                deleted_total += result.deleted_count
                has_more = result.has_more
            yield category.name, deleted_total

    def purge_batch(self, category: RetentionCategory) -> BatchResult:
        """Deletes at most one batch. Raises Unavailable; nothing is deleted then."""
        with translate_errors(f"purge {category.name}"), self._engine.begin() as conn:
            conn.execute(_SET_TIMEOUTS)
            result = category.delete_batch(conn, category, self._batch_params(category))
            conn.execute(
                _RECORD_PROGRESS,
                {
                    "name": category.name,
                    "deleted": result.deleted_count,
                    "completed": not result.has_more,
                },
            )
        return result

    def read_progress(self) -> dict[str, CategoryProgress]:
        """By category, without those that were never purged. Raises Unavailable."""
        with translate_errors("read the progress of the retention"), self._engine.connect() as conn:
            return select_progress(conn)

    def _batch_params(self, category: RetentionCategory) -> dict[str, int]:
        return {
            "batch": min(category.batch_size, self._max_batch_rows or category.batch_size),
            "tombstone_days": TOMBSTONE_RETENTION_DAYS,
            "settled_days": SETTLED_RETENTION_DAYS,
            "read_days": self._read_notification_days,
            "min_events": MAX_MISSED_EVENTS,
        }


def select_progress(conn: Connection) -> dict[str, CategoryProgress]:
    """By category, without those that were never purged."""
    return {row[0]: CategoryProgress(*row[1:]) for row in conn.execute(_SELECT_PROGRESS)}


_SET_TIMEOUTS = text(
    f"set local statement_timeout = {BATCH_TIMEOUT_MS}; "
    f"set local idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_TIMEOUT_MS}"
)
_SELECT_PROGRESS = text(
    "select name, deleted_count, completed_at, extract(epoch from now() - completed_at)::float8 "
    "from retention_progress order by name"
)
_RECORD_PROGRESS = text("""
    insert into retention_progress as p (name, deleted_count, completed_at)
    values (:name, :deleted, case when :completed then now() end)
    on conflict (name) do update set deleted_count = p.deleted_count + excluded.deleted_count,
        completed_at = coalesce(excluded.completed_at, p.completed_at)
""")
