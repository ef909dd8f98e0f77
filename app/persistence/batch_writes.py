"""Batch writes: one upsert per kind for likes, follows and comments; RETURNING tells which rows changed.

In: events of a batch. Out: RowWriteResult, and counters of posts and users in the same transaction.

`where stored.seq < new.seq` makes every write safe to repeat, to arrive late or to run beside a newer one.
The join leaves out rows whose post or user was deleted, so that one deleted account does not fail the
batch. The statements sort the rows, so that two writers lock them in the same order.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, TextClause, text

from app.clients.postgres import array_literal
from app.domain.errors import Poisoned
from app.domain.events import COMMENT_KINDS, Event, Kind, canonical_uuid
from app.persistence.written_memberships import MembershipRow

KINDS_WITH_ROWS = COMMENT_KINDS | {Kind.LIKE, Kind.FOLLOW}
"""Kinds whose events are stored as rows. A written row proves that its actor exists."""


@dataclass(frozen=True, slots=True)
class RowWriteResult:
    """The events that changed a row, and those left out because their post or user no longer exists.
    `retracted_events`: the latest retractions that were written before the event that they retract.
    `was_active_by_row`: of each row of likes and follows that was written, its state before."""

    changed_events: tuple[Event, ...]
    expired_events: tuple[Event, ...]
    retracted_events: tuple[Event, ...] = ()
    was_active_by_row: Mapping[MembershipRow, bool] = field(default_factory=dict)


_AT = "timestamptz 'epoch' + (n.seq / 1024) * interval '1 millisecond'"
"""When the event `n` was accepted, as occurred_at_from_seq() of app/domain/events.py computes it."""
_UPSERT_LIKES = text(f"""
    insert into likes (post_id, user_id, seq, active, created_at, updated_at)
    select n.post_id, n.user_id, n.seq, n.active, {_AT}, {_AT}
    from unnest(cast(:posts as uuid[]), cast(:users as uuid[]), cast(:seqs as bigint[]),
                cast(:actives as boolean[])) as n (post_id, user_id, seq, active)
    join posts p on p.id = n.post_id join users u on u.id = n.user_id
    order by n.post_id, n.user_id
    on conflict (post_id, user_id) do update
        set seq = excluded.seq, active = excluded.active, updated_at = excluded.updated_at
        where likes.seq < excluded.seq
    returning new.post_id::text, new.user_id::text, coalesce(old.active, false), new.active
""")  # noqa: S608 - constants only
_UPSERT_FOLLOWS = text(f"""
    insert into follows (following_id, follower_id, seq, active, created_at, updated_at)
    select n.following_id, n.follower_id, n.seq, n.active, {_AT}, {_AT}
    from unnest(cast(:posts as uuid[]), cast(:users as uuid[]), cast(:seqs as bigint[]),
                cast(:actives as boolean[])) as n (following_id, follower_id, seq, active)
    join users f on f.id = n.following_id join users u on u.id = n.follower_id
    order by n.following_id, n.follower_id
    on conflict (follower_id, following_id) do update
        set seq = excluded.seq, active = excluded.active, updated_at = excluded.updated_at,
            created_at = case when follows.active then follows.created_at
                else excluded.created_at end
        where follows.seq < excluded.seq
    returning new.following_id::text, new.follower_id::text, coalesce(old.active, false), new.active
""")  # noqa: S608 - constants only
_UPSERT_COMMENTS = text(f"""
    insert into comments
        (id, post_id, user_id, content, parent_id, seq, active, created_at, updated_at)
    select n.id, n.post_id, n.user_id, n.content, n.parent_id, n.seq, n.active, {_AT}, {_AT}
    from unnest(cast(:ids as uuid[]), cast(:posts as uuid[]), cast(:users as uuid[]),
                cast(:contents as text[]), cast(:parents as uuid[]), cast(:seqs as bigint[]),
                cast(:actives as boolean[]))
         as n (id, post_id, user_id, content, parent_id, seq, active)
    join posts p on p.id = n.post_id join users u on u.id = n.user_id
    order by n.id
    on conflict (id) do update
        set seq = excluded.seq, active = excluded.active, updated_at = excluded.updated_at,
            content = case when excluded.active then comments.content else '' end
        where comments.seq < excluded.seq
    returning new.id::text, '', coalesce(old.active, false), new.active
""")  # noqa: S608 - constants only
_EXISTING_PARENTS = {
    Kind.LIKE: text(
        "select p.id::text, u.id::text from unnest(cast(:posts as uuid[]), cast(:users as uuid[])) "
        "as n (post_id, user_id) join posts p on p.id = n.post_id join users u on u.id = n.user_id"
    ),
    Kind.FOLLOW: text(
        "select p.id::text, u.id::text from unnest(cast(:posts as uuid[]), cast(:users as uuid[])) "
        "as n (following_id, follower_id) join users p on p.id = n.following_id "
        "join users u on u.id = n.follower_id"
    ),
}
_LOCK_POSTS = text(
    "select id::text from posts where id = any(cast(:ids as uuid[])) order by id for key share"
)
_DELTA_ROWS = (
    "(select id, delta from unnest(cast(:ids as uuid[]), cast(:deltas as int[])) as n (id, delta) "
    "order by id) n"
)


def _counter_update_sql(table: str, column: str) -> TextClause:
    """Adds the deltas to a counter, which never falls below zero."""
    return text(
        f"update {table} set {column} = greatest(0, {column} + n.delta) "  # noqa: S608 - constants only
        f"from {_DELTA_ROWS} where {table}.id = n.id"
    )


_COUNTER_UPDATES = {
    Kind.LIKE: _counter_update_sql("posts", "like_count"),
    Kind.COMMENT: _counter_update_sql("posts", "comment_count"),
    Kind.FOLLOW: _counter_update_sql("users", "follower_count"),
}


def write_event_rows(conn: Connection, events: Iterable[Event]) -> RowWriteResult:
    """Writes likes, follows and comments. Events of other kinds have no row and count as changed, unless
    their post no longer exists."""
    by_kind: dict[Kind, list[Event]] = {}
    for event in events:
        kind = Kind.COMMENT if event.kind in COMMENT_KINDS else event.kind
        by_kind.setdefault(kind, []).append(event)
    changed: list[Event] = []
    expired: list[Event] = []
    retracted: list[Event] = []
    was_active_by_row: dict[MembershipRow, bool] = {}
    for kind in sorted(by_kind):
        if kind in (Kind.LIKE, Kind.FOLLOW, Kind.COMMENT):
            row_changes = _write_rows_of_kind(conn, kind, _latest_event_per_row(by_kind[kind]))
            changed += row_changes.changed_events
            expired += row_changes.expired_events
            retracted += row_changes.retracted_events
            was_active_by_row |= row_changes.was_active_by_row
        else:
            with_post, without_post = _lock_posts_and_split_events(conn, by_kind[kind])
            changed += with_post
            expired += without_post
    return RowWriteResult(tuple(changed), tuple(expired), tuple(retracted), was_active_by_row)


def _lock_posts_and_split_events(
    conn: Connection, events: Sequence[Event]
) -> tuple[list[Event], list[Event]]:
    """(events whose post exists or that have none, events whose post no longer exists). The lock delays
    the deletion of a post until the notifications about it are written and can be found."""
    post_id_by_event = {event.event_id: _post_id_of(event) for event in events}
    post_ids = sorted({post_id for post_id in post_id_by_event.values() if post_id})
    existing_post_ids = set(conn.execute(_LOCK_POSTS, {"ids": post_ids}).scalars()) if post_ids else set()
    missing_post_ids = set(post_ids) - existing_post_ids
    with_post = [event for event in events if post_id_by_event[event.event_id] not in missing_post_ids]
    return with_post, [event for event in events if post_id_by_event[event.event_id] in missing_post_ids]


def _post_id_of(event: Event) -> str | None:
    """The post id of an event of this application. Metadata of events from other services may be invalid."""
    try:
        return canonical_uuid(event.metadata.get("postId"), "postId")
    except Poisoned:
        return None


def _row_key(event: Event) -> tuple[str, str]:
    if event.kind in COMMENT_KINDS:
        return event.window_entry_key, ""
    return event.group_object_id, str(event.actor_id)


def _latest_event_per_row(events: Sequence[Event]) -> dict[tuple[str, str], Event]:
    """The newest event of each row. A statement may change a row only once, and older events are obsolete."""
    latest: dict[tuple[str, str], Event] = {}
    for event in events:
        row_key = _row_key(event)
        current = latest.get(row_key)
        if current is None or current.seq < event.seq:
            latest[row_key] = event
    return latest


def _write_rows_of_kind(conn: Connection, kind: Kind, latest: dict[tuple[str, str], Event]) -> RowWriteResult:
    statement = {
        Kind.LIKE: _UPSERT_LIKES,
        Kind.FOLLOW: _UPSERT_FOLLOWS,
        Kind.COMMENT: _UPSERT_COMMENTS,
    }[kind]
    written_rows = conn.execute(statement, _row_params(kind, list(latest.values()))).all()
    changed: list[Event] = []
    retracted: list[Event] = []
    was_active_by_row: dict[MembershipRow, bool] = {}
    for object_id, actor_id, was_active, is_active in written_rows:
        if was_active != is_active:
            changed.append(latest[object_id, actor_id])
        elif not is_active:
            retracted.append(latest[object_id, actor_id])
        if kind is not Kind.COMMENT:
            was_active_by_row[kind, object_id, actor_id] = was_active
    expired = (
        _events_without_parents(conn, kind, latest, written_rows) if len(written_rows) < len(latest) else []
    )
    _update_post_and_user_counters(conn, kind, changed)
    return RowWriteResult(tuple(changed), tuple(expired), tuple(retracted), was_active_by_row)


def _parent_ids_of(event: Event) -> tuple[object, str | None]:
    """The post or followed user, and the actor."""
    post_id = event.metadata["postId"] if event.kind in COMMENT_KINDS else event.group_object_id
    return post_id, event.actor_id


def _row_params(kind: Kind, events: Sequence[Event]) -> dict[str, object]:
    params: dict[str, object] = {
        "posts": array_literal(_parent_ids_of(event)[0] for event in events),
        "users": array_literal(event.actor_id for event in events),
        "seqs": array_literal(event.seq for event in events),
        "actives": array_literal(event.active for event in events),
    }
    if kind is Kind.COMMENT:
        params["ids"] = array_literal(event.window_entry_key for event in events)
        params["parents"] = array_literal(event.metadata.get("parentId") for event in events)
        params["contents"] = [event.metadata["content"] for event in events]
    return params


def _events_without_parents(
    conn: Connection,
    kind: Kind,
    latest: dict[tuple[str, str], Event],
    written_rows: Sequence[object],
) -> list[Event]:
    """The events without a written row whose post or user no longer exists. The others are repeats."""
    written_keys = {(row[0], row[1]) for row in written_rows}  # type: ignore[index]
    unchanged_events = [event for row_key, event in latest.items() if row_key not in written_keys]
    existing_query = _EXISTING_PARENTS[Kind.FOLLOW if kind is Kind.FOLLOW else Kind.LIKE]
    params = _row_params(kind, unchanged_events)
    parent_ids = {"posts": params["posts"], "users": params["users"]}
    existing_pairs = {(row[0], row[1]) for row in conn.execute(existing_query, parent_ids)}
    return [event for event in unchanged_events if _parent_ids_of(event) not in existing_pairs]


def _update_post_and_user_counters(conn: Connection, kind: Kind, changed: Sequence[Event]) -> None:
    """Updates counters by the rows that really changed."""
    deltas: dict[str, int] = {}
    for event in changed:
        counted_id = str(event.metadata["postId"]) if kind is Kind.COMMENT else event.group_object_id
        deltas[counted_id] = deltas.get(counted_id, 0) + (1 if event.active else -1)
    deltas = {counted_id: delta for counted_id, delta in deltas.items() if delta}
    if deltas:
        ids = sorted(deltas)
        conn.execute(
            _COUNTER_UPDATES[kind],
            {"ids": ids, "deltas": [deltas[counted_id] for counted_id in ids]},
        )
