"""Retention: what nobody needs any more goes, a batch at a time, so that no lock is held for long.

In    python -m app.admin purge
Out   deletes only

A tombstone (a withdrawn like or follow) outlives Kafka's seven days: no older word can return after
it. Of the outbox each person keeps the newest frames, from which a client may catch up.
"""

from collections.abc import Iterator

from sqlalchemy import Engine, text

from app.stores.history import MOST
from app.stores.postgres import speaking

BATCH = 5_000
TOMBSTONE_DAYS, DONE_DAYS = 8, 2


class Retention:
    def __init__(self, engine: Engine, batch: int = BATCH) -> None:
        self._engine = engine
        self._batch = batch

    def purge(self) -> Iterator[tuple[str, int]]:
        """What was purged and how many rows. May be stopped and begun again at any time."""
        for what, statement in _WHAT.items():
            total = 0
            while gone := self._once(what, statement):
                total += gone
            yield what, total

    def _once(self, what: str, statement: str) -> int:
        values = {
            "batch": self._batch,
            "tombstone": TOMBSTONE_DAYS,
            "done": DONE_DAYS,
            "kept": MOST,
        }
        with speaking(f"purge {what}"), self._engine.begin() as sql:
            return sql.execute(text(statement), values).rowcount


def _old(table: str, condition: str) -> str:
    return (
        f"delete from {table} where ctid = any(array(select ctid from {table} t "  # noqa: S608 - constants only
        f"where {condition} limit :batch))"
    )


_TOMBSTONE = "now() - make_interval(days => :tombstone)"
_DONE = "now() - make_interval(days => :done)"
_WHAT = {
    "withdrawn likes": _old("likes", f"not active and updated_at < {_TOMBSTONE}"),
    "withdrawn follows": _old("follows", f"not active and updated_at < {_TOMBSTONE}"),
    "deleted comments": _old("comments", f"not active and updated_at < {_TOMBSTONE}"),
    "removed notifications": _old("notifications", f"removed_at < {_TOMBSTONE}"),
    "told frames": _old(
        "outbox",
        f"published_at < {_DONE} and (seq is null or seq <= "  # noqa: S608
        "(select frame_seq from users u where u.id = t.user_id) - :kept) "
        # What a message says that may still be sent stands in its frame.
        "and not exists (select from outgoing_messages m where m.user_id = t.user_id "
        "and m.seq = t.seq and m.status in ('waiting', 'failed'))",
    ),
    "sent messages": _old(
        "outgoing_messages",
        f"ended_at < {_DONE} and not exists (select from dead_letters d "
        "where d.origin = 'outgoing_messages' and d.position = t.id::text "
        "and d.status = 'waiting')",
    ),
    "rows of the fallback queue": _old(
        "kafka_fallback_queue", f"processed and processed_at < {_DONE}"
    ),
    "settled dead letters": _old("dead_letters", f"status <> 'waiting' and settled_at < {_DONE}"),
    "one-time secrets": _old("one_time_secrets", f"expires_at < {_DONE} or used_at < {_DONE}"),
    # A family in which any token still lives is kept whole: a stolen old one must be known again.
    "sessions": _old(
        "sessions",
        f"revoked_at < {_DONE} or (created_at < {_DONE} and exists (select from refresh_tokens r "  # noqa: S608
        "where r.session_id = t.id) and not exists (select from refresh_tokens r "
        f"where r.session_id = t.id and r.expires_at > {_DONE}))",
    ),
    "kept keys": _old("kept_keys", "until < now()"),
    "removed accounts": _old("removed_accounts", f"removed_at < {_TOMBSTONE}"),
}
