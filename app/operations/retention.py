"""Retention: deletes rows past their retention, in batches, so that no lock is held for long.

Used by python -m app.admin purge. A tombstone (a withdrawn like or follow) is kept longer than Kafka keeps
records (seven days), so that no older event can restore it. The newest outbox rows of each user are kept,
because clients resume from them.
"""

from collections.abc import Iterator

from sqlalchemy import Engine, text

from app.clients.postgres import translate_errors
from app.domain.resume import MAX_MISSED_EVENTS

BATCH_SIZE = 5_000
TOMBSTONE_RETENTION_DAYS, SETTLED_RETENTION_DAYS = 8, 2


class RetentionPurge:
    def __init__(self, engine: Engine, batch_size: int = BATCH_SIZE) -> None:
        self._engine = engine
        self._batch_size = batch_size

    def purge_by_category(self) -> Iterator[tuple[str, int]]:
        """Category and number of deleted rows. May be stopped and restarted at any time."""
        for category, statement in _PURGE_STATEMENTS.items():
            deleted_total = 0
            while deleted := self._purge_batch(category, statement):
                deleted_total += deleted
            yield category, deleted_total

    def _purge_batch(self, category: str, statement: str) -> int:
        params = {
            "batch": self._batch_size,
            "tombstone_days": TOMBSTONE_RETENTION_DAYS,
            "settled_days": SETTLED_RETENTION_DAYS,
            "min_events": MAX_MISSED_EVENTS,
        }
        with translate_errors(f"purge {category}"), self._engine.begin() as conn:
            return conn.execute(text(statement), params).rowcount


def _delete_batch_sql(table: str, row_condition: str) -> str:
    return (
        f"delete from {table} where ctid = any(array(select ctid from {table} t "  # noqa: S608 - constants only
        f"where {row_condition} limit :batch))"
    )


_TOMBSTONE_CUTOFF = "now() - make_interval(days => :tombstone_days)"
_SETTLED_CUTOFF = "now() - make_interval(days => :settled_days)"
_PURGE_STATEMENTS = {
    "withdrawn likes": _delete_batch_sql("likes", f"not active and updated_at < {_TOMBSTONE_CUTOFF}"),
    "withdrawn follows": _delete_batch_sql("follows", f"not active and updated_at < {_TOMBSTONE_CUTOFF}"),
    "deleted comments": _delete_batch_sql("comments", f"not active and updated_at < {_TOMBSTONE_CUTOFF}"),
    "removed notifications": _delete_batch_sql("notifications", f"removed_at < {_TOMBSTONE_CUTOFF}"),
    "published client events": _delete_batch_sql(
        "outbox",
        f"published_at < {_SETTLED_CUTOFF} and (client_seq is null or client_seq <= "  # noqa: S608
        "(select client_seq from users u where u.id = t.user_id) - :min_events) "
        # A message that may still be sent takes its text from its outbox row.
        "and not exists (select from outgoing_messages m where m.user_id = t.user_id "
        "and m.client_seq = t.client_seq and m.status in ('waiting', 'failed'))",
    ),
    "sent messages": _delete_batch_sql(
        "outgoing_messages",
        f"ended_at < {_SETTLED_CUTOFF} and not exists (select from dead_letters d "
        "where d.origin = 'outgoing_messages' and d.position = t.id::text "
        "and d.status = 'waiting')",
    ),
    "rows of the fallback queue": _delete_batch_sql(
        "kafka_fallback_queue", f"processed and processed_at < {_SETTLED_CUTOFF}"
    ),
    "resolved dead letters": _delete_batch_sql(
        "dead_letters", f"status <> 'waiting' and resolved_at < {_SETTLED_CUTOFF}"
    ),
    "one-time tokens": _delete_batch_sql(
        "one_time_tokens", f"expires_at < {_SETTLED_CUTOFF} or used_at < {_SETTLED_CUTOFF}"
    ),
    # A session with any valid token keeps all its tokens, so that a stolen old one is recognized.
    "sessions": _delete_batch_sql(
        "sessions",
        f"revoked_at < {_SETTLED_CUTOFF} or (created_at < {_SETTLED_CUTOFF} and exists "  # noqa: S608
        "(select from refresh_tokens r where r.session_id = t.id) "
        "and not exists (select from refresh_tokens r "
        f"where r.session_id = t.id and r.expires_at > {_SETTLED_CUTOFF}))",
    ),
    "idempotency keys": _delete_batch_sql("idempotency_keys", "expires_at < now()"),
    "removed accounts": _delete_batch_sql("removed_accounts", f"removed_at < {_TOMBSTONE_CUTOFF}"),
}
