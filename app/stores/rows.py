"""Batch writes: many rows, one statement; from RETURNING comes what really changed.

`where stored.seq < new.seq` makes every write safe to repeat, late or beside a newer one. A row
whose post or user is gone is left out by the join, so that one deleted account cannot refuse a
batch. Rows are sorted, so that two writers lock in the same order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, TextClause, text

from app.domain.errors import Poisoned
from app.domain.events import COMMENT_KINDS, Event, Kind, checked_uuid, occurred_at

ROW_KINDS = COMMENT_KINDS | {Kind.LIKE, Kind.FOLLOW}
"""Kinds whose events are rows; a row that was written proves that its actor exists."""


@dataclass(frozen=True, slots=True)
class Written:
    """The events that changed a row, and those left out because what they are about is gone.
    `retracted`: of those that took something back before its row was written, the last ones."""

    changed: tuple[Event, ...]
    expired: tuple[Event, ...]
    retracted: tuple[Event, ...] = ()


_LIKES = text("""
    insert into likes (post_id, user_id, seq, active, created_at, updated_at)
    select n.post_id, n.user_id, n.seq, n.active, n.at, n.at
    from unnest(cast(:posts as uuid[]), cast(:users as uuid[]), cast(:seqs as bigint[]),
                cast(:actives as boolean[]), cast(:times as timestamptz[]))
         as n (post_id, user_id, seq, active, at)
    join posts p on p.id = n.post_id join users u on u.id = n.user_id
    order by n.post_id, n.user_id
    on conflict (post_id, user_id) do update
        set seq = excluded.seq, active = excluded.active, updated_at = excluded.updated_at
        where likes.seq < excluded.seq
    returning new.post_id::text, new.user_id::text, coalesce(old.active, false), new.active
""")
_FOLLOWS = text("""
    insert into follows (following_id, follower_id, seq, active, created_at, updated_at)
    select n.following_id, n.follower_id, n.seq, n.active, n.at, n.at
    from unnest(cast(:posts as uuid[]), cast(:users as uuid[]), cast(:seqs as bigint[]),
                cast(:actives as boolean[]), cast(:times as timestamptz[]))
         as n (following_id, follower_id, seq, active, at)
    join users f on f.id = n.following_id join users u on u.id = n.follower_id
    order by n.following_id, n.follower_id
    on conflict (follower_id, following_id) do update
        set seq = excluded.seq, active = excluded.active, updated_at = excluded.updated_at,
            created_at = case when follows.active then follows.created_at
                else excluded.created_at end
        where follows.seq < excluded.seq
    returning new.following_id::text, new.follower_id::text, coalesce(old.active, false), new.active
""")
_COMMENTS = text("""
    insert into comments
        (id, post_id, user_id, content, parent_id, seq, active, created_at, updated_at)
    select n.id, n.post_id, n.user_id, n.content, n.parent_id, n.seq, n.active, n.at, n.at
    from unnest(cast(:ids as uuid[]), cast(:posts as uuid[]), cast(:users as uuid[]),
                cast(:contents as text[]), cast(:parents as uuid[]), cast(:seqs as bigint[]),
                cast(:actives as boolean[]), cast(:times as timestamptz[]))
         as n (id, post_id, user_id, content, parent_id, seq, active, at)
    join posts p on p.id = n.post_id join users u on u.id = n.user_id
    order by n.id
    on conflict (id) do update
        set seq = excluded.seq, active = excluded.active, updated_at = excluded.updated_at,
            content = case when excluded.active then comments.content else '' end
        where comments.seq < excluded.seq
    returning new.id::text, '', coalesce(old.active, false), new.active
""")
_EXISTING = {
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
_POSTS = text(
    "select id::text from posts where id = any(cast(:ids as uuid[])) order by id for key share"
)
_DELTAS = (
    "(select id, delta from unnest(cast(:ids as uuid[]), cast(:deltas as int[])) as n (id, delta) "
    "order by id) n"
)


def _counter(table: str, column: str) -> TextClause:
    """Adds the deltas to a counter; below zero would mean a lie, so it stops there."""
    return text(
        f"update {table} set {column} = greatest(0, {column} + n.delta) "  # noqa: S608 - constants only
        f"from {_DELTAS} where {table}.id = n.id"
    )


_COUNTERS = {
    Kind.LIKE: _counter("posts", "like_count"),
    Kind.COMMENT: _counter("posts", "comment_count"),
    Kind.FOLLOW: _counter("users", "follower_count"),
}


def write_rows(sql: Connection, events: Iterable[Event]) -> Written:
    """Writes likes, follows and comments; other kinds have no row of their own and pass through."""
    by_kind: dict[Kind, list[Event]] = {}
    for event in events:
        kind = Kind.COMMENT if event.kind in COMMENT_KINDS else event.kind
        by_kind.setdefault(kind, []).append(event)
    changed: list[Event] = []
    expired: list[Event] = []
    retracted: list[Event] = []
    for kind in sorted(by_kind):
        if kind in (Kind.LIKE, Kind.FOLLOW, Kind.COMMENT):
            written = _write(sql, kind, _newest(by_kind[kind]))
            changed += written.changed
            expired += written.expired
            retracted += written.retracted
        else:
            here, gone = _with_post(sql, by_kind[kind])
            changed += here
            expired += gone
    return Written(tuple(changed), tuple(expired), tuple(retracted))


def _with_post(sql: Connection, events: Sequence[Event]) -> tuple[list[Event], list[Event]]:
    """Those whose post is there, or that have none; and those whose post is gone. The lock makes a
    deletion wait until what is told of the post can be found."""
    named = {one.event_id: _post_of(one) for one in events}
    posts = sorted({post for post in named.values() if post})
    found = set(sql.execute(_POSTS, {"ids": posts}).scalars()) if posts else set()
    gone = set(posts) - found
    here = [one for one in events if named[one.event_id] not in gone]
    return here, [one for one in events if named[one.event_id] in gone]


def _post_of(event: Event) -> str | None:
    """The post that our own events name; a stranger's metadata may say anything."""
    try:
        return checked_uuid(event.metadata.get("postId"), "postId")
    except Poisoned:
        return None


def _identity(event: Event) -> tuple[str, str]:
    if event.kind in COMMENT_KINDS:
        return event.member, ""
    return event.group_object, str(event.actor_id)


def _newest(events: Sequence[Event]) -> dict[tuple[str, str], Event]:
    """One event per row: a statement may touch a row once, and only the last word counts."""
    newest: dict[tuple[str, str], Event] = {}
    for event in events:
        held = newest.get(_identity(event))
        if held is None or held.seq < event.seq:
            newest[_identity(event)] = event
    return newest


def _write(sql: Connection, kind: Kind, newest: dict[tuple[str, str], Event]) -> Written:
    rows = [newest[one] for one in sorted(newest)]
    values = _comment_values(rows) if kind is Kind.COMMENT else _pair_values(rows)
    statement = {Kind.LIKE: _LIKES, Kind.FOLLOW: _FOLLOWS, Kind.COMMENT: _COMMENTS}[kind]
    returned = sql.execute(statement, values).all()
    changed = [newest[(row[0], row[1])] for row in returned if row[2] != row[3]]
    expired = _left_out(sql, kind, newest, returned) if len(returned) < len(newest) else []
    _count(sql, kind, changed)
    retracted = [newest[(row[0], row[1])] for row in returned if not row[2] and not row[3]]
    return Written(tuple(changed), tuple(expired), tuple(retracted))


def _pair_values(rows: Sequence[Event]) -> dict[str, object]:
    return {
        "posts": [event.group_object for event in rows],
        "users": [event.actor_id for event in rows],
        "seqs": [event.seq for event in rows],
        "actives": [event.active for event in rows],
        "times": [occurred_at(event.seq) for event in rows],
    }


def _comment_values(rows: Sequence[Event]) -> dict[str, object]:
    return _pair_values(rows) | {
        "ids": [event.member for event in rows],
        "posts": [event.metadata["postId"] for event in rows],
        "contents": [event.metadata["content"] for event in rows],
        "parents": [event.metadata.get("parentId") for event in rows],
    }


def _left_out(
    sql: Connection,
    kind: Kind,
    newest: dict[tuple[str, str], Event],
    returned: Sequence[object],
) -> list[Event]:
    """Which of the rows that did not change are missing their post or user (the others are
    repeats).
    """
    done = {(row[0], row[1]) for row in returned}  # type: ignore[index]
    quiet = [event for one, event in newest.items() if one not in done]
    values = _comment_values(quiet) if kind is Kind.COMMENT else _pair_values(quiet)
    existing = _EXISTING[Kind.FOLLOW if kind is Kind.FOLLOW else Kind.LIKE]
    wanted = {"posts": values["posts"], "users": values["users"]}
    found = {(row[0], row[1]) for row in sql.execute(existing, wanted)}
    pairs = zip(quiet, zip(values["posts"], values["users"], strict=True), strict=True)  # type: ignore[call-overload]
    return [event for event, pair in pairs if pair not in found]


def _count(sql: Connection, kind: Kind, changed: Sequence[Event]) -> None:
    """The counters in the same transaction, by what really changed."""
    deltas: dict[str, int] = {}
    for event in changed:
        on = str(event.metadata["postId"]) if kind is Kind.COMMENT else event.group_object
        deltas[on] = deltas.get(on, 0) + (1 if event.active else -1)
    deltas = {on: delta for on, delta in deltas.items() if delta}
    if deltas:
        ids = sorted(deltas)
        sql.execute(_COUNTERS[kind], {"ids": ids, "deltas": [deltas[one] for one in ids]})
