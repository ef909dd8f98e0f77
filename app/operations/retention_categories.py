"""The categories of the retention: which rows are past their retention, and how a batch is deleted.

Used by app/operations/retention.py. A tombstone (a withdrawn like or follow) is kept longer than Kafka keeps
records (seven days), so that no older event can restore it. Read notifications are kept longer still
(READ_NOTIFICATION_RETENTION_DAYS) and since their last change: no event that is already part of one can be
delivered again. Each condition has an index, so that a round does not read the rows that stay.

Not here, because they stay: the audit log; dead letters and messages that wait for an administrator; known
devices and service keys, of which each user or administrator has a few. Traces and heartbeats expire in
Redis, the delivery log in DynamoDB.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

BATCH_SIZE = 1_000
CASCADING_BATCH_SIZE = 200
"""For rows with dependent rows, which are deleted with them."""
MAX_ACTORS_PER_BATCH = 2_000
TOMBSTONE_RETENTION_DAYS, SETTLED_RETENTION_DAYS = 8, 2


@dataclass(frozen=True, slots=True)
class BatchResult:
    deleted_count: int
    has_more: bool
    """Whether further rows may be past their retention."""


BatchParams = Mapping[str, int]


def _delete_rows(conn: Connection, category: "RetentionCategory", params: BatchParams) -> BatchResult:
    """Rows that a writer has locked are left to the next round, so that the two never wait for each other
    in a circle."""
    statement = (
        f"delete from {category.table} where ctid = any(array("  # noqa: S608 - constants only
        f"select ctid from {category.table} t where {category.condition} limit :batch "
        "for update skip locked))"
    )
    deleted_count = conn.execute(text(statement), params).rowcount
    return BatchResult(deleted_count, deleted_count >= params["batch"])


def _delete_notifications(
    conn: Connection, category: "RetentionCategory", params: BatchParams
) -> BatchResult:
    """Locks the recipients as the event writer does: it may be about to change an actor of such a row.
    Recipients that a writer has locked are left to the next round. A row with more actors than a batch may
    delete is deleted once its actors are."""
    candidates = conn.execute(text(category.selection("id::text, user_id::text")), params).all()
    recipient_ids = sorted({row[1] for row in candidates})
    locked_ids = list(conn.execute(_LOCK_FREE_RECIPIENTS, {"ids": recipient_ids}).scalars())
    row_params = {**params, "ids": [row[0] for row in candidates], "recipients": locked_ids}
    # The rows as they are now that their recipients are locked.
    is_past_retention = (
        "t.id = any(cast(:ids as uuid[])) and t.user_id = any(cast(:recipients as uuid[])) "
        f"and ({category.condition})"
    )
    actor_count = conn.execute(
        text(_DELETE_ACTORS.format(condition=is_past_retention)),
        row_params | {"max_actors": MAX_ACTORS_PER_BATCH},
    ).rowcount
    if actor_count >= MAX_ACTORS_PER_BATCH:
        return BatchResult(0, has_more=True)
    deleted_count = conn.execute(
        text(f"delete from notifications t where {is_past_retention}"),  # noqa: S608 - constants only
        row_params,
    ).rowcount
    return BatchResult(deleted_count, deleted_count > 0 and len(candidates) >= params["batch"])


def _delete_superseded_client_events(
    conn: Connection, category: "RetentionCategory", params: BatchParams
) -> BatchResult:
    """Reads each settled row once, in the order of publishing, from a stored position. Its recipient's rows
    that newer ones push out of the kept history are deleted; the newest stay and are not read again."""
    position = conn.execute(_SELECT_POSITION, {"name": category.name}).one_or_none() or ("-infinity", 0)
    page_params = {**params, "at": position[0], "id": position[1]}
    page = conn.execute(text(category.selection(_SETTLED_COLUMNS)), page_params).all()
    superseded_count = conn.execute(
        _DELETE_SUPERSEDED, {**params, "users": sorted({row[1] for row in page})}
    ).rowcount
    if superseded_count >= params["batch"]:
        return BatchResult(superseded_count, has_more=True)
    unnumbered_ids = [row[0] for row in page if row[2]]
    unnumbered_count = conn.execute(_DELETE_UNNUMBERED, {"ids": unnumbered_ids}).rowcount
    if page:
        conn.execute(_RECORD_POSITION, {"name": category.name, "at": page[-1][3], "id": page[-1][0]})
    return BatchResult(superseded_count + unnumbered_count, len(page) >= params["batch"])


DeleteBatch = Callable[[Connection, "RetentionCategory", BatchParams], BatchResult]


@dataclass(frozen=True, slots=True)
class RetentionCategory:
    name: str
    table: str
    condition: str
    """SQL: whether row `t` of the table is past its retention."""
    batch_size: int = BATCH_SIZE
    delete_batch: DeleteBatch = _delete_rows
    order: str = ""

    def selection(self, columns: str) -> str:
        order = f"order by {self.order} " if self.order else ""
        return f"select {columns} from {self.table} t where {self.condition} {order}limit :batch"  # noqa: S608 - constants only


_TOMBSTONE_CUTOFF = "now() - make_interval(days => :tombstone_days)"
_SETTLED_CUTOFF = "now() - make_interval(days => :settled_days)"
_READ_CUTOFF = "now() - make_interval(days => :read_days)"
_IS_OLD_TOMBSTONE = f"not t.active and t.updated_at < {_TOMBSTONE_CUTOFF}"
# A message that may still be sent takes its text from its outbox row.
_NO_MESSAGE_NEEDS_IT = (
    "not exists (select from outgoing_messages m where m.user_id = t.user_id "
    "and m.client_seq = t.client_seq and m.status in ('waiting', 'failed'))"
)
# A user can see for longer what they were not told.
_SETTLED_COLUMNS = "id, user_id::text, client_seq is null and client_event <> 'ended', published_at::text"
_LOCK_FREE_RECIPIENTS = text(
    "select id::text from users where id = any(cast(:ids as uuid[])) order by id "
    "for no key update skip locked"
)
_DELETE_ACTORS = (
    "delete from notification_actors where ctid = any(array(select a.ctid from notifications t "
    "join notification_actors a on a.notification_id = t.id where {condition} limit :max_actors))"
)
# The inner limit makes PostgreSQL look up each user in the index. A join might read the whole table.
SELECT_SUPERSEDED_IDS = (
    "select superseded.id from users u cross join lateral (select t.id from outbox t "  # noqa: S608 - constants only
    "where t.user_id = u.id and t.client_seq <= u.client_seq - :min_events "
    f"and t.published_at < {_SETTLED_CUTOFF} and {_NO_MESSAGE_NEEDS_IT} limit :batch) superseded "
    "where u.id = any(cast(:users as uuid[])) limit :batch"
)
_DELETE_SUPERSEDED = text(f"delete from outbox where id = any(array({SELECT_SUPERSEDED_IDS}))")  # noqa: S608 - constants only
_SELECT_POSITION = text(
    "select coalesce(position_at, '-infinity')::text, coalesce(position_id, 0) "
    "from retention_progress where name = :name"
)
_RECORD_POSITION = text("""
    insert into retention_progress (name, position_at, position_id)
    values (:name, cast(:at as timestamptz), :id)
    on conflict (name) do update set position_at = excluded.position_at, position_id = excluded.position_id
""")
_DELETE_UNNUMBERED = text("delete from outbox where id = any(cast(:ids as bigint[]))")


def _of_notifications(name: str, condition: str) -> RetentionCategory:
    return RetentionCategory(name, "notifications", condition, CASCADING_BATCH_SIZE, _delete_notifications)


def _settled(name: str, table: str, column: str, condition: str = "true") -> RetentionCategory:
    """Rows that ended at the time in `column` and that nothing needs any more."""
    return RetentionCategory(name, table, f"t.{column} < {_SETTLED_CUTOFF} and {condition}")


_ALL_CATEGORIES = (
    RetentionCategory("withdrawn likes", "likes", _IS_OLD_TOMBSTONE),
    RetentionCategory("withdrawn follows", "follows", _IS_OLD_TOMBSTONE),
    RetentionCategory("deleted comments", "comments", _IS_OLD_TOMBSTONE),
    # Before the notifications: a client that resumes does not receive the announcement of a deleted one.
    RetentionCategory(
        "old client events", "outbox", f"t.published_at < {_READ_CUTOFF} and {_NO_MESSAGE_NEEDS_IT}"
    ),
    RetentionCategory(
        "published client events",
        "outbox",
        f"(t.published_at, t.id) > (cast(:at as timestamptz), :id) and t.published_at < {_SETTLED_CUTOFF}",
        delete_batch=_delete_superseded_client_events,
        order="t.published_at, t.id",
    ),
    _of_notifications(
        "removed notifications", f"t.removed_at < {_TOMBSTONE_CUTOFF} and t.updated_at < {_TOMBSTONE_CUTOFF}"
    ),
    _of_notifications(
        "read notifications",
        f"t.is_read and t.read_at < {_READ_CUTOFF} and t.updated_at < {_READ_CUTOFF} "
        "and t.snoozed_until is null",
    ),
    # In no list and no badge, read or not.
    _of_notifications(
        "archived notifications", f"t.archived_at < {_READ_CUTOFF} and t.updated_at < {_READ_CUTOFF}"
    ),
    _settled(
        "sent messages",
        "outgoing_messages",
        "ended_at",
        "not exists (select from dead_letters d where d.origin = 'outgoing_messages' "
        "and d.position = t.id::text and d.status = 'waiting')",
    ),
    _settled("rows of the fallback queue", "kafka_fallback_queue", "processed_at", "t.processed"),
    _settled("finished fan-outs", "fan_outs", "finished_at"),
    _settled("resolved dead letters", "dead_letters", "resolved_at", "t.status <> 'waiting'"),
    _settled("one-time tokens", "one_time_tokens", "expires_at"),
    RetentionCategory(
        "revoked sessions", "sessions", f"t.revoked_at < {_SETTLED_CUTOFF}", CASCADING_BATCH_SIZE
    ),
    # A used token is kept until it expires, so that one that was stolen is recognized. An expired one is
    # refused, known or not.
    _settled("used refresh tokens", "refresh_tokens", "expires_at", "t.used_at is not null"),
    # The newest token of a session is its only unused one.
    RetentionCategory(
        "expired sessions",
        "sessions",
        "t.id in (select r.session_id from refresh_tokens r "  # noqa: S608 - constants only
        f"where r.expires_at < {_SETTLED_CUTOFF} and r.used_at is null) "
        "and not exists (select from refresh_tokens r "
        f"where r.session_id = t.id and r.expires_at >= {_SETTLED_CUTOFF})",
        CASCADING_BATCH_SIZE,
    ),
    RetentionCategory("idempotency keys", "idempotency_keys", "t.expires_at < now()"),
    RetentionCategory("removed accounts", "removed_accounts", f"t.removed_at < {_TOMBSTONE_CUTOFF}"),
)
RETENTION_CATEGORIES = {category.name: category for category in _ALL_CATEGORIES}
"""By name, in the order of a round."""
