"""Reads what a user was not told: suppressed events, and notifications that wait for the end of quiet hours
or of a snooze.

In: requests of blueprints/api/suppressed.py and of the page /notifications/not-told. Out: rows that
app/persistence/suppressed_events.py wrote, which are kept as long as read notifications, and rows of
notifications.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, RowMapping, exists, or_, select, text

from app.clients.postgres import translate_errors
from app.domain.events import Kind
from app.persistence.suppressed_events import outcome_of_status
from app.persistence.tables import notification_actors, notifications

MAX_SCANNED_ROWS = 5_000
"""A page with a filter is searched among so many rows."""
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
    first of their actors."""

    id: int
    kind: Kind
    outcome: str
    occurred_at: datetime
    event_count: int
    post_id: str | None
    actor_ids: tuple[str, ...]


class SuppressedEventStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_newest(
        self, user_id: str, filters: SuppressedFilter, limit: int, before_id: int | None = None
    ) -> list[SuppressedEntry]:
        params = {
            "user": user_id,
            "actor": filters.actor_id,
            "post": filters.post_id,
            "limit": limit,
            "before": before_id,
            "max_scanned": MAX_SCANNED_ROWS,
        }
        with translate_errors("read suppressed events"), self._engine.connect() as conn:
            return [
                SuppressedEntry(
                    row.id,
                    Kind(row.payload["type"]),
                    outcome_of_status(row.payload["status"]),
                    datetime.fromisoformat(row.payload["at"]),
                    row.payload["count"],
                    row.payload.get("postId"),
                    tuple(row.payload.get("actorIds", ())),
                )
                for row in conn.execute(_LIST_SUPPRESSED, params)
            ]

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


# An entry with more events than actors named also has the likers of its post.
_LIST_SUPPRESSED = text("""
    select o.id, o.payload
    from (
        select id, payload from outbox
        where user_id = :user and client_event = 'ended'
            and (cast(:before as bigint) is null or id < :before)
        order by id desc limit :max_scanned) o
    where (cast(:post as text) is null or o.payload->>'postId' = :post)
        and (cast(:actor as text) is null or o.payload->'actorIds' @> to_jsonb(cast(:actor as text))
            or (o.payload->>'type' = 'LIKE'
                and cast(o.payload->>'count' as int) > jsonb_array_length(o.payload->'actorIds')
                and exists (select from likes l where l.post_id = cast(o.payload->>'postId' as uuid)
                    and l.user_id = cast(:actor as uuid))))
    order by o.id desc limit :limit
""")
