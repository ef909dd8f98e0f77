"""Reads what a user was not told: suppressed events, and notifications that wait for the end of quiet hours
or of a snooze.

In: requests of blueprints/api/suppressed.py and of the page /notifications/not-told. Out: rows that
app/persistence/suppressed_events.py wrote, which are kept as long as read notifications, and rows of
notifications.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, RowMapping, exists, or_, select, text

from app.clients.postgres import autocommit_engine, translate_errors
from app.domain.events import Kind
from app.domain.preferences import SuppressionReason
from app.persistence.pages import AnyRow
from app.persistence.suppressed_events import outcome_of_status
from app.persistence.tables import notification_actors, notifications

MAX_SCANNED_ROWS = 5_000
"""A page with a filter is searched among so many rows; the next page continues after them."""
MAX_WAITING = 50
_COLUMNS = notifications.c


@dataclass(frozen=True, slots=True)
class SuppressedFilter:
    """Only what one person did, and only about one post."""

    actor_id: str | None = None
    post_id: str | None = None


@dataclass(frozen=True, slots=True)
class SuppressedEntry:
    """`event_count` events of one kind about one object, which ended with the same outcome. `actor_ids`: the
    first of their actors.

    An entry about a block has only the actors whom the recipient blocked. Nobody is shown that somebody else
    blocked them."""

    id: int
    kind: Kind
    outcome: str
    occurred_at: datetime
    event_count: int
    post_id: str | None
    actor_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SuppressedPage:
    """Newest first. `next_before_id`: of the row after which the next page continues, also of a page that has
    fewer entries than asked for; None if nothing older is left."""

    entries: Sequence[SuppressedEntry]
    next_before_id: int | None


class SuppressedEventStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = autocommit_engine(engine)

    def list_newest(
        self, user_id: str, filters: SuppressedFilter, limit: int, before_id: int | None = None
    ) -> SuppressedPage:
        """Rows before `before_id`. Raises Unavailable."""
        is_filtered = filters != SuppressedFilter()
        params = {
            "user": user_id,
            "actor": filters.actor_id,
            "post": filters.post_id,
            "limit": limit + 1,
            "before": before_id,
            "max_scanned": MAX_SCANNED_ROWS if is_filtered else limit + 1,
        }
        with translate_errors("read suppressed events"), self._engine.connect() as conn:
            rows = conn.execute(_LIST_SUPPRESSED, params).all()
        entries = [_to_entry(row) for row in rows if row.id is not None]
        if len(entries) > limit:
            return SuppressedPage(entries[:limit], entries[limit - 1].id)
        return SuppressedPage(entries, rows[0].last_scanned_id if rows[0].has_older else None)

    def list_held(self, user_id: str, filters: SuppressedFilter) -> list[RowMapping]:
        """Rows of notifications that quiet hours hold, the first to be announced first."""
        is_held = _COLUMNS.is_visible & ~_COLUMNS.is_read & _COLUMNS.deferred_until.is_not(None)
        return self._list_waiting(user_id, filters, is_held, _COLUMNS.deferred_until)

    def list_snoozed(self, user_id: str, filters: SuppressedFilter) -> list[RowMapping]:
        """Rows of notifications that the user snoozed, the first to return first."""
        is_snoozed = _COLUMNS.snoozed_until.is_not(None) & _COLUMNS.removed_at.is_(None)
        return self._list_waiting(user_id, filters, is_snoozed, _COLUMNS.snoozed_until)

    def _list_waiting(
        self,
        user_id: str,
        filters: SuppressedFilter,
        condition: ColumnElement[bool],
        until: ColumnElement[datetime],
    ) -> list[RowMapping]:
        actors = notification_actors.c
        query = select(notifications).where(_COLUMNS.user_id == user_id, condition)
        if filters.post_id is not None:
            is_about_post = _COLUMNS.metadata["postId"].astext == filters.post_id
            query = query.where(or_(is_about_post, _COLUMNS.object_id == filters.post_id))
        if filters.actor_id is not None:
            query = query.where(
                exists().where(
                    actors.notification_id == _COLUMNS.id, actors.actor_id == filters.actor_id, actors.active
                )
            )
        query = query.order_by(until, _COLUMNS.id).limit(MAX_WAITING)
        with translate_errors("read waiting notifications"), self._engine.connect() as conn:
            return list(conn.execute(query).mappings())


def _to_entry(row: AnyRow) -> SuppressedEntry:
    payload, actor_ids = row.payload, tuple(row.actor_ids)
    outcome = outcome_of_status(payload["status"])
    hides_actors = outcome == SuppressionReason.BLOCKED and len(actor_ids) < len(payload.get("actorIds", ()))
    return SuppressedEntry(
        row.id,
        Kind(payload["type"]),
        outcome,
        datetime.fromisoformat(payload["at"]),
        len(actor_ids) if hides_actors else payload["count"],
        payload.get("postId"),
        actor_ids,
    )


# An entry with more events than actors named also has the likers of its post.
_LIST_SUPPRESSED = text("""
    with scanned as materialized (
        select id, payload from outbox
        where user_id = :user and client_event = 'ended'
            and (cast(:before as bigint) is null or id < :before)
        order by id desc limit :max_scanned
    ), found as (
        select s.id, s.payload, shown.actor_ids
        from scanned s cross join lateral (
            select case when s.payload->>'status' = 'BLOCKED' then (
                    select coalesce(jsonb_agg(b.blocked_user_id), '[]') from blocks b
                    where b.user_id = :user and s.payload->'actorIds' @> to_jsonb(b.blocked_user_id))
                else coalesce(s.payload->'actorIds', '[]') end as actor_ids) shown
        where (s.payload->>'status' <> 'BLOCKED' or shown.actor_ids <> '[]')
            and (cast(:post as text) is null or s.payload->>'postId' = :post)
            and (cast(:actor as text) is null or shown.actor_ids @> to_jsonb(cast(:actor as text))
                or (s.payload->>'type' = 'LIKE' and s.payload->>'status' <> 'BLOCKED'
                    and cast(s.payload->>'count' as int) > jsonb_array_length(shown.actor_ids)
                    and exists (select from likes l where l.post_id = cast(s.payload->>'postId' as uuid)
                        and l.user_id = cast(:actor as uuid))))
        order by s.id desc limit :limit
    )
    select found.*, page.last_scanned_id, exists (select from outbox where user_id = :user
        and client_event = 'ended' and id < page.last_scanned_id) as has_older
    from (select min(id) as last_scanned_id from scanned) page left join found on true
    order by found.id desc
""")
