"""What health reads from PostgreSQL: the migration, the failover state, backlogs and the last retention."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from app.clients.postgres import translate_errors
from app.domain.errors import Unavailable
from app.operations.retention_progress import CategoryProgress, select_progress_by_category
from app.persistence.fan_outs import FAN_OUT_BACKLOG, list_recent_fan_outs

MIGRATIONS_DIR = Path(__file__).resolve().parents[3] / "migrations"


@dataclass(frozen=True, slots=True)
class Migration:
    current_revision: str | None
    """None: there are no tables yet."""
    head_revision: str | None


@dataclass(frozen=True, slots=True)
class FailoverFigures:
    status: str | None
    """Of the table redis_failover_state. None: Redis was never enabled."""
    seconds: float
    reason: str
    data_loss: dict[str, Any] | None
    """What an emptied Redis lost last."""


@dataclass(frozen=True, slots=True)
class FallbackFigures:
    received: int
    published: int
    discarded: int
    pending: int
    failed: int
    """Those that exceeded their retries."""
    oldest_seconds: float | None
    """Of the pending ones."""


@dataclass(frozen=True, slots=True)
class MailFigures:
    waiting: int
    oldest_seconds: float | None
    overdue_seconds: float
    """How long one that is not blocked by an earlier one of its recipient has been due."""
    deferred: int
    oldest_error: str | None
    """Of the oldest deferred message."""


@dataclass(frozen=True, slots=True)
class TableFigures:
    fallback: FallbackFigures
    unpublished: int
    """Rows of the outbox."""
    oldest_unpublished_seconds: float | None
    mail: MailFigures
    unfinished_fan_outs: int
    remaining_recipients: int
    oldest_fan_out_seconds: float | None
    dead_letters: int
    newest_dead_letter_reason: str | None
    retention: Mapping[str, CategoryProgress]


def read_migration(engine: Engine) -> Migration:
    """Raises Unavailable."""
    from alembic.script import ScriptDirectory  # a web process does not need it

    head_revision = ScriptDirectory(str(MIGRATIONS_DIR)).get_current_head()
    with translate_errors("show its migration"), engine.connect() as conn:
        if conn.execute(text("select to_regclass('alembic_version')")).scalar() is None:
            return Migration(None, head_revision)
        return Migration(
            conn.execute(text("select version_num from alembic_version")).scalar(), head_revision
        )


def read_failover(engine: Engine) -> FailoverFigures:
    """Raises Unavailable."""
    with translate_errors("show the failover state"), engine.connect() as conn:
        row = conn.execute(_FAILOVER_STATE).one_or_none() or (None, 0.0, "", None)
    return FailoverFigures(*row)


def read_fan_outs(engine: Engine) -> list[dict[str, object]]:
    """The unfinished fan-outs and the newest finished ones, at most 20. Raises Unavailable."""
    with translate_errors("list fan-outs"), engine.connect() as conn:
        return list_recent_fan_outs(conn)


def read_table_figures(engine: Engine, max_retries: int) -> TableFigures:
    """Raises Unavailable."""
    try:
        with translate_errors("count what waits"), engine.connect() as conn:
            return _select_table_figures(conn, max_retries)
    except ProgrammingError as exc:
        raise Unavailable("PostgreSQL has no tables of this version", "no_tables") from exc


def _select_table_figures(conn: Connection, max_retries: int) -> TableFigures:
    fallback = conn.execute(_FALLBACK, {"retries": max_retries}).one()
    outbox = conn.execute(_OUTBOX).one()
    mail = conn.execute(_MAIL).one()
    fan_outs = conn.execute(FAN_OUT_BACKLOG).one()
    dead_letters = conn.execute(_DEAD_LETTERS).one_or_none() or (0, None)
    return TableFigures(
        FallbackFigures(*fallback),
        outbox[0],
        outbox[1],
        MailFigures(*mail),
        fan_outs[0],
        fan_outs[1],
        None if fan_outs[2] is None else float(fan_outs[2]),
        dead_letters[0],
        dead_letters[1],
        select_progress_by_category(conn),
    )


_FAILOVER_STATE = text(
    "select state, extract(epoch from now() - changed_at)::float8, reason, data_loss "
    "from redis_failover_state where name = 'ingress'"
)
_FALLBACK = text("""
    select count(*), count(*) filter (where processed and last_error is distinct from 'discarded'),
        count(*) filter (where processed and last_error = 'discarded'),
        count(*) filter (where not processed and retry_count <= :retries),
        count(*) filter (where not processed and retry_count > :retries),
        extract(epoch from now() - min(created_at)
            filter (where not processed and retry_count <= :retries))::float8
    from kafka_fallback_queue
""")
_OUTBOX = text(
    "select count(*), extract(epoch from now() - min(created_at))::float8 from outbox "
    "where published_at is null"
)
# Only the oldest message of each recipient is due: later ones are sent after it.
_MAIL = text("""
    select count(*), extract(epoch from now() - min(m.created_at))::float8,
        greatest(0, coalesce(extract(epoch from now() - min(h.due_at)), 0))::float8,
        count(*) filter (where m.last_error is not null),
        (array_agg(m.last_error order by m.id) filter (where m.last_error is not null))[1]
    from outgoing_messages m left join (
        select distinct on (user_id, channel, critical) id, due_at from outgoing_messages
        where status = 'waiting' order by user_id, channel, critical, id
    ) h on h.id = m.id
    where m.status = 'waiting'
""")
_DEAD_LETTERS = text(
    "select count(*) over (), reason from dead_letters where status = 'waiting' "
    "order by created_at desc limit 1"
)
