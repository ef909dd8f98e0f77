"""What health reads from PostgreSQL: the migration, the failover state, backlogs and the last retention."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from app.clients.postgres import translate_errors
from app.domain.errors import Unavailable
from app.operations.retention import CategoryProgress, select_progress
from app.persistence.fan_outs import list_recent_fan_outs

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
class FinishedFallbackFigures:
    """Rows of the fallback queue that are done, until retention deletes them."""

    published: int
    discarded: int


@dataclass(frozen=True, slots=True)
class TableFigures:
    """Rows by table that are not done, and how many seconds the oldest of them has waited. Their number is
    what it costs to read them."""

    fallback_pending: int
    fallback_failed: int
    """Those that exceeded their retries."""
    fallback_oldest_seconds: float | None
    """Of the pending ones."""
    outbox_unpublished: int
    outbox_oldest_seconds: float | None
    mail_waiting: int
    mail_oldest_seconds: float | None
    mail_overdue_seconds: float
    """How long one that is not blocked by an earlier one of its recipient has been due."""
    mail_deferred: int
    mail_oldest_error: str | None
    """Of the oldest deferred message."""
    fan_outs_unfinished: int
    fan_out_recipients_remaining: int
    fan_outs_oldest_seconds: float | None
    """Since the fan-out that waits longest moved."""
    dead_letters_waiting: int
    dead_letters_newest_reason: str | None
    retention: Mapping[str, CategoryProgress]
    """By category."""


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


def read_finished_fallback_figures(engine: Engine) -> FinishedFallbackFigures:
    """Reads every finished row, which are many after an outage of Kafka. Raises Unavailable."""
    try:
        with translate_errors("count what left the fallback queue"), engine.connect() as conn:
            return FinishedFallbackFigures(*conn.execute(_COUNT_FINISHED_FALLBACK).one())
    except ProgrammingError as exc:
        raise _no_tables() from exc


def read_table_figures(engine: Engine, max_retries: int) -> TableFigures:
    """Raises Unavailable."""
    try:
        with translate_errors("count what waits"), engine.connect() as conn:
            rows = [conn.execute(query, {"retries": max_retries}).one() for query in _TABLE_QUERIES]
            retention = select_progress(conn)
    except ProgrammingError as exc:
        raise _no_tables() from exc
    return TableFigures(
        **{name: value for row in rows for name, value in row._mapping.items()}, retention=retention
    )


def _no_tables() -> Unavailable:
    return Unavailable("PostgreSQL has no tables of this version", "no_tables")


_FAILOVER_STATE = text(
    "select state, extract(epoch from now() - changed_at)::float8, reason, data_loss "
    "from redis_failover_state where name = 'ingress'"
)
_COUNT_FINISHED_FALLBACK = text("""
    select count(*) filter (where last_error is distinct from 'discarded'),
        count(*) filter (where last_error = 'discarded')
    from kafka_fallback_queue where processed
""")
_TABLE_QUERIES = (
    text("""
        select count(*) filter (where retry_count <= :retries) as fallback_pending,
            count(*) filter (where retry_count > :retries) as fallback_failed,
            extract(epoch from now() - min(created_at)
                filter (where retry_count <= :retries))::float8 as fallback_oldest_seconds
        from kafka_fallback_queue where not processed
    """),
    text("""
        select count(*) as outbox_unpublished,
            extract(epoch from now() - min(created_at))::float8 as outbox_oldest_seconds
        from outbox where published_at is null
    """),
    # Only the oldest message of each recipient is due: later ones are sent after it.
    text("""
        select count(*) as mail_waiting,
            extract(epoch from now() - min(m.created_at))::float8 as mail_oldest_seconds,
            greatest(0, coalesce(extract(epoch from now() - min(h.due_at)), 0))::float8
                as mail_overdue_seconds,
            count(*) filter (where m.last_error is not null) as mail_deferred,
            (array_agg(m.last_error order by m.id) filter (where m.last_error is not null))[1]
                as mail_oldest_error
        from outgoing_messages m left join (
            select distinct on (user_id, channel, critical) id, due_at from outgoing_messages
            where status = 'waiting' order by user_id, channel, critical, id
        ) h on h.id = m.id
        where m.status = 'waiting'
    """),
    text("""
        select count(*) as fan_outs_unfinished,
            coalesce(sum(greatest(recipient_count - processed_count, 0)), 0)::int
                as fan_out_recipients_remaining,
            extract(epoch from now() - min(updated_at))::float8 as fan_outs_oldest_seconds
        from fan_outs where finished_at is null
    """),
    text("""
        select count(*) as dead_letters_waiting,
            (array_agg(reason order by created_at desc))[1] as dead_letters_newest_reason
        from dead_letters where status = 'waiting'
    """),
)
