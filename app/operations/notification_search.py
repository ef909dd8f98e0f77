"""Searches notifications by person, post, kind and time, newest first.

In: a filter and the id of the last row of the page before. Out: rows of the table notifications, with
current names. Ids are UUIDv7, so the primary key gives the order and the period; people and posts have
indexes of their own. A search that takes too long is refused.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from app.clients.postgres import translate_errors
from app.domain.errors import Unavailable, define_rejection
from app.domain.events import CRITICAL_KINDS, UNGROUPED_KINDS, Kind
from app.domain.redaction import REDACTED
from app.operations.activity_filter import ActivityFilter, list_object_ids_of_post
from app.persistence.serializer import message_text

SEARCH_TIMEOUT_MS = 1_500
QUERY_CANCELED = "57014"
NOTIFICATION_STATES = ("listed", "archived", "snoozed", "held", "not announced", "removed")
TOO_BROAD = define_rejection(
    "The search took too long; add a person, a post or a shorter time", "search_too_broad", 400
)


class NotificationSearch:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, wanted: ActivityFilter, limit: int, before_id: str | None = None) -> list[dict[str, Any]]:
        """`before_id`: the id of the last row of the page before. Raises Rejected (400) and Unavailable."""
        try:
            with translate_errors("search notifications"), self._engine.begin() as conn:
                conn.execute(text(f"set local statement_timeout = {SEARCH_TIMEOUT_MS}"))
                ids = _find_ids(conn, wanted, limit, before_id)
                params = {"ids": ids, "critical_kinds": sorted(CRITICAL_KINDS)}
                rows = conn.execute(_SELECT_ROWS, params).mappings().all() if ids else []
        except Unavailable as exc:
            if getattr(getattr(exc.__cause__, "orig", None), "pgcode", None) == QUERY_CANCELED:
                raise TOO_BROAD from exc
            raise
        return [_to_dict(dict(row)) for row in rows]


def _find_ids(conn: Connection, wanted: ActivityFilter, limit: int, before_id: str | None) -> Sequence[str]:
    conditions = ["true"]
    params: dict[str, Any] = {"limit": limit, "person": wanted.person_id}
    if before_id is not None:
        conditions.append("n.id < cast(:before as uuid)")
        params["before"] = before_id
    if wanted.since is not None:
        conditions.append("n.id >= cast(:since as uuid)")
        params["since"] = first_id_of(wanted.since)
    if wanted.until is not None:
        conditions.append("n.id < cast(:until as uuid)")
        params["until"] = first_id_of(wanted.until)
    if wanted.kind is not None:
        conditions.append("n.type = :kind")
        params["kind"] = wanted.kind.value
    if wanted.post_id is not None:
        conditions.append(_IS_ABOUT_POST)
        params["objects"] = list_object_ids_of_post(conn, wanted.post_id)
        params["post_url"] = f"/posts/{wanted.post_id}"
    condition = " and ".join(conditions)
    statement = _FIND_ANY if wanted.person_id is None else _FIND_OF_PERSON
    actor_condition = condition.replace("n.id", "a.notification_id")
    statement = statement.format(condition=condition, actor_condition=actor_condition)
    return list(conn.execute(text(statement), params).scalars())


def first_id_of(moment: datetime) -> str:
    """The smallest UUIDv7 of a moment: its first 48 bits are Unix milliseconds."""
    return str(UUID(int=max(0, int(moment.timestamp() * 1000)) << 80))


def _to_dict(row: dict[str, Any]) -> dict[str, Any]:
    """The row as JSON. Codes and reset tokens are shown to their owner only."""
    kind, message = Kind(row["type"]), row["message"]
    if kind in CRITICAL_KINDS:
        message = REDACTED
    elif kind not in UNGROUPED_KINDS:
        message = message_text(kind, row["actor_name"], row["actor_count"], row["quote"])
    post = None if row["post_id"] is None else {"id": row["post_id"], "caption": row["caption"]}
    return {
        "id": row["id"],
        "type": row["type"],
        "state": row["state"],
        "message": message,
        "recipient": {"id": row["user_id"], "username": row["username"], "name": row["name"]},
        "post": post,
        "actorCount": row["actor_count"],
        "isRead": row["is_read"],
        "eventId": row["event_id"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
    }


# A mention or reply may be announced before its comment has a row, so it is also found by its URL.
_IS_ABOUT_POST = (
    "(n.object_id = any(cast(:objects as uuid[])) "
    "or (n.type in ('MENTION', 'COMMENT_REPLY') and n.metadata->>'postUrl' = :post_url))"
)
_FIND_ANY = """
    select n.id::text from notifications n where {condition} order by n.id desc limit :limit
"""
# The index of the actors is in the order of the notifications.
_FIND_OF_PERSON = """
    select id::text from (
        (select n.id from notifications n where n.user_id = :person and {condition}
            order by n.id desc limit :limit)
        union
        (select n.id from notification_actors a join notifications n on n.id = a.notification_id
            where a.actor_id = :person and {actor_condition}
            order by a.notification_id desc limit :limit)
    ) found order by found.id desc limit :limit
"""
# A critical notification has the id of its event as its object.
_SELECT_ROWS = text("""
    select n.id::text as id, n.user_id::text as user_id, r.username, r.name, n.type,
        coalesce(nullif(a.name, ''), a.username) as actor_name, n.actor_count,
        p.id::text as post_id, left(p.caption, 80) as caption, n.message, n.quote, n.is_read,
        case when n.removed_at is not null then 'removed'
            when n.version = 0 then 'not announced'
            when n.snoozed_until is not null then 'snoozed'
            when n.deferred_until is not null then 'held'
            when n.archived_at is not null then 'archived'
            else 'listed' end as state,
        case when n.type = any(:critical_kinds) then n.object_id::text else (
            select x.event_id::text from notification_actors x
            where x.notification_id = n.id and x.active
            order by x.is_follower desc, x.seq desc limit 1) end as event_id,
        n.created_at, n.updated_at
    from notifications n join users r on r.id = n.user_id
    left join users a on a.id = n.actor_id
    left join posts p on p.id = case
        when n.metadata->>'postUrl' ~ '^/posts/[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
        then cast(substr(n.metadata->>'postUrl', 8) as uuid) else n.object_id end
    where n.id = any(cast(:ids as uuid[])) order by n.id desc
""")
