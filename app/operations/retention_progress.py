"""Progress of the retention: table retention_progress, one row per category.

Written by app/operations/retention.py. Read by workers/retention.py, which purges the categories that are
due, and by app/operations/health.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, text

from app.clients.postgres import translate_errors


@dataclass(frozen=True, slots=True)
class CategoryProgress:
    deleted_count: int
    """Rows deleted so far."""
    completed_at: datetime | None
    """When nothing past its retention was left. None: not yet."""
    completed_seconds_ago: float | None
    """By the clock of PostgreSQL."""


class RetentionProgress:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read_by_category(self) -> dict[str, CategoryProgress]:
        """Without the categories that were never purged. Raises Unavailable."""
        with translate_errors("read the progress of the retention"), self._engine.connect() as conn:
            return select_progress_by_category(conn)


def select_progress_by_category(conn: Connection) -> dict[str, CategoryProgress]:
    """Without the categories that were never purged."""
    return {
        row[0]: CategoryProgress(row[1], row[2], None if row[3] is None else float(row[3]))
        for row in conn.execute(_SELECT_PROGRESS)
    }


_SELECT_PROGRESS = text(
    "select name, deleted_count, completed_at, extract(epoch from now() - completed_at) "
    "from retention_progress order by name"
)
RECORD_PROGRESS = text("""
    insert into retention_progress as p (name, deleted_count, completed_at)
    values (:name, :deleted, case when :completed then now() end)
    on conflict (name) do update set deleted_count = p.deleted_count + excluded.deleted_count,
        completed_at = coalesce(excluded.completed_at, p.completed_at)
""")
SELECT_POSITION = text(
    "select coalesce(position_at, '-infinity')::text, coalesce(position_id, 0) "
    "from retention_progress where name = :name"
)
RECORD_POSITION = text("""
    insert into retention_progress (name, position_at, position_id)
    values (:name, cast(:at as timestamptz), :id)
    on conflict (name) do update set position_at = excluded.position_at, position_id = excluded.position_id
""")
