"""Reads notifications for their recipient: the list, the unread count, the actors of a group.

In: requests of blueprints/api/notifications.py and blueprints/pages. Out: rows of notifications and
notification_actors, which app/persistence/event_writer.py writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, RowMapping, select, text

from app.clients.postgres import autocommit_engine, translate_errors
from app.domain.errors import define_rejection
from app.domain.events import SEQ_PER_MS, Priority
from app.domain.notification_reasons import MAX_COUNTED_IN_WINDOW
from app.persistence import groups
from app.persistence.bounded_counts import MAX_COUNTED_ROWS, MAX_LISTED_ROWS, select_bounded_count
from app.persistence.groups import ACTOR_ORDER_SQL, DISPLAY_NAME_SQL, ActorProfile
from app.persistence.pages import Page, PageRequest, cut_page, fetch_page
from app.persistence.tables import notifications
from app.social.users import UserSummary

NOT_FOUND = define_rejection("Notification not found", "notification_not_found", 404)
MAX_GROUPED = 100
_COLUMNS = notifications.c


@dataclass(frozen=True, slots=True)
class NotificationFilter:
    unread_only: bool = False
    priority: str | None = None
    kind: str | None = None
    snoozed: bool = False
    """The snoozed rows instead of those in the list."""


@dataclass(frozen=True, slots=True)
class UnreadCounts:
    """The number of unread groups, at most MAX_COUNTED_ROWS. `version`, the number of the last client event,
    never falls (docs/socket-api.md)."""

    count: int
    by_priority: dict[str, int]
    version: int


@dataclass(frozen=True, slots=True)
class NotificationExplanation:
    """How a notification came about: the row, its first actors with the event of each, the actor of the
    newest event, and its client events, oldest first."""

    row: RowMapping
    actors: list[RowMapping]
    newest_actor: RowMapping | None
    client_events: list[RowMapping]


class Notifications:
    def __init__(self, engine: Engine) -> None:
        self._engine = autocommit_engine(engine)

    def list_newest(self, user_id: str, filters: NotificationFilter, page: PageRequest) -> Page[RowMapping]:
        """Sorted by the last change, newest first."""
        query = select(notifications).where(*_filter_conditions(user_id, filters))
        sort_columns = (_COLUMNS.updated_at, _COLUMNS.id)
        with translate_errors("read notifications"), self._engine.connect() as conn:
            return fetch_page(conn, query, sort_columns, page, lambda row: row._mapping)

    def count_matching(self, user_id: str, filters: NotificationFilter) -> int:
        """At most MAX_LISTED_ROWS + 1."""
        rows = select(_COLUMNS.id).where(*_filter_conditions(user_id, filters))
        query = select_bounded_count(rows, MAX_LISTED_ROWS + 1)
        with translate_errors("count notifications"), self._engine.connect() as conn:
            return int(conn.execute(query).scalar_one())

    def count_unread(self, user_id: str) -> UnreadCounts:
        with translate_errors("count unread notifications"), self._engine.connect() as conn:
            rows = conn.execute(_UNREAD_BY_PRIORITY, {"user": user_id}).all()
        counts = {row[1]: int(row[2]) for row in rows if row[1]}
        by_priority = {priority.value: counts.get(priority.value, 0) for priority in Priority}
        return UnreadCounts(sum(by_priority.values()), by_priority, rows[0][0] if rows else 0)

    def list_newest_groups(self, user_id: str) -> list[RowMapping]:
        """The newest MAX_GROUPED groups of all kinds."""
        return self.list_newest(user_id, NotificationFilter(), PageRequest(MAX_GROUPED)).items

    def count_by_kind(self, user_id: str) -> list[RowMapping]:
        """Per kind: number of rows, number of unread rows, time of the last change. Of the newest
        MAX_LISTED_ROWS rows."""
        with translate_errors("count notifications"), self._engine.connect() as conn:
            return list(conn.execute(_COUNT_BY_KIND, {"user": user_id}).mappings())

    def explain_notification(
        self, notification_id: str, window_seconds: float
    ) -> NotificationExplanation | None:
        """How a notification came about; None if it does not exist or is not visible. The cost does not
        depend on the number of actors."""
        query = select(notifications).where(_COLUMNS.id == notification_id, _COLUMNS.version > 0)
        with translate_errors("explain a notification"), self._engine.connect() as conn:
            row = conn.execute(query.where(_COLUMNS.removed_at.is_(None))).mappings().first()
            if row is None:
                return None
            params = {
                "id": notification_id,
                "user": row["user_id"],
                "limit": MAX_GROUPED,
                "window_seqs": int(window_seconds * 1000) * SEQ_PER_MS,
                "max_position": MAX_COUNTED_IN_WINDOW,
            }
            actors = list(conn.execute(_EXPLAIN_ACTORS, params).mappings())
            newest_actor = conn.execute(_EXPLAIN_NEWEST_ACTOR, params).mappings().first()
            client_events = list(conn.execute(_EXPLAIN_CLIENT_EVENTS, params).mappings())
        return NotificationExplanation(row, actors, newest_actor, client_events[::-1])

    def get_recipient_id(self, notification_id: str) -> str:
        """Raises Rejected (404)."""
        query = select(_COLUMNS.user_id).where(_COLUMNS.id == notification_id, _COLUMNS.version > 0)
        with translate_errors("find a notification"), self._engine.connect() as conn:
            recipient_id = conn.execute(query.where(_COLUMNS.removed_at.is_(None))).scalar()
        if recipient_id is None:
            raise NOT_FOUND
        return str(recipient_id)

    def get_first_actors(self, notification_ids: Sequence[str]) -> dict[str, list[ActorProfile]]:
        """The first actors of each notification."""
        if not notification_ids:
            return {}
        with translate_errors("read actors"), self._engine.connect() as conn:
            actors_by_notification = groups.load_first_actors(conn, notification_ids)
        return {
            notification_id: [actor for actor, _ in actors]
            for notification_id, actors in actors_by_notification.items()
        }

    def list_group_actors(self, notification_id: str, page: PageRequest) -> Page[UserSummary]:
        """The actors of a group, followers first, then the newest: sorted by (is_follower, seq, user id)."""
        after_is_follower, after_seq, after_id = page.after_key or (None, None, None)
        params: dict[str, Any] = {"id": notification_id, "limit": page.limit + 1}
        params |= {"after_is_follower": after_is_follower, "after_seq": after_seq, "after_id": after_id}
        statement = text(_LIST_ACTORS.format(keyset_condition=_ACTORS_AFTER_KEY if page.after_key else ""))
        with translate_errors("read actors"), self._engine.connect() as conn:
            rows = cut_page(
                conn.execute(statement, params).all(), page.limit, lambda row: (row[4], row[5], row[0])
            )
        return rows.with_items([UserSummary(*row[:4]) for row in rows.items])


def _filter_conditions(user_id: str, filters: NotificationFilter) -> list[ColumnElement[bool]]:
    conditions = [_COLUMNS.user_id == user_id]
    if filters.snoozed:
        conditions += [_COLUMNS.snoozed_until.is_not(None), _COLUMNS.removed_at.is_(None)]
    else:
        conditions.append(_COLUMNS.is_visible)
    if filters.unread_only:
        conditions.append(~_COLUMNS.is_read)
    if filters.priority is not None:
        conditions.append(_COLUMNS.priority == filters.priority)
    if filters.kind is not None:
        conditions.append(_COLUMNS.type == filters.kind)
    return conditions


_COUNT_BY_KIND = text(
    "select type, count(*) as count, count(*) filter (where not is_read) as unread, "  # noqa: S608 - constants only
    "max(updated_at) as latest from (select type, is_read, updated_at from notifications "
    "where user_id = :user and is_visible "
    f"order by updated_at desc, id desc limit {MAX_LISTED_ROWS}) newest group by type order by latest desc"
)
_EXPLAIN_ACTORS = text(
    f"select a.actor_id::text, {DISPLAY_NAME_SQL} as name, u.username, a.event_id::text, a.seq, "  # noqa: S608 - constants only
    "a.active, a.is_follower, a.announced, a.created_at from notification_actors a "
    "join users u on u.id = a.actor_id "
    f"where a.notification_id = :id and a.active order by {ACTOR_ORDER_SQL} limit :limit"
)
# Followers and others apart, so that each part reads the beginning of the index ix_notification_actors_order.
_EXPLAIN_NEWEST_ACTOR = text(f"""
    with newest as (
        select a.* from (values (true), (false)) as f (is_follower) cross join lateral (
            select * from notification_actors a
            where a.notification_id = :id and a.active and a.is_follower = f.is_follower
            order by a.seq desc limit 1) a
        order by a.seq desc limit 1)
    select a.seq, a.is_follower, a.announced, a.created_at, {DISPLAY_NAME_SQL} as name,
        (select count(*) from (values (true), (false)) as f (is_follower) cross join lateral (
            select 1 from notification_actors b
            where b.notification_id = :id and b.active and b.is_follower = f.is_follower
                and b.seq > a.seq - :window_seqs and b.seq <= a.seq
            order by b.seq desc limit :max_position) b) as position
    from newest a join users u on u.id = a.actor_id
""")  # noqa: S608 - constants only
_EXPLAIN_CLIENT_EVENTS = text(
    "select client_event, client_seq, created_at, published_at, payload->'metadata'->>'newCount' "
    "as new_count, "
    "payload->>'version' as version from outbox where user_id = :user and payload->>'id' = :id "
    "order by id desc limit :limit"
)
# One statement, so that counts and version are from one snapshot.
_UNREAD_BY_PRIORITY = text(
    "select u.client_seq, by_priority.* from users u left join lateral (select priority, count(*) "  # noqa: S608 - constants only
    f"from (select priority from unread_notifications n where n.user_id = u.id limit {MAX_COUNTED_ROWS}) "
    "unread group by priority) by_priority on true where u.id = :user"
)
_ACTORS_AFTER_KEY = (
    "and (a.is_follower, a.seq, a.actor_id) < (:after_is_follower, :after_seq, cast(:after_id as uuid))"
)
_LIST_ACTORS = (
    "select u.id::text, u.username, u.name, u.avatar_url, a.is_follower, a.seq "  # noqa: S608 - constants only
    "from notification_actors a join users u on u.id = a.actor_id "
    "where a.notification_id = :id and a.active {keyset_condition} "
    f"order by {ACTOR_ORDER_SQL} limit :limit"
)
