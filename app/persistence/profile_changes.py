"""Updates open pages after a user changed their name or avatar.

In: table profile_changes, filled by app/social/users.py in the transaction of the change. Out: a
`notification_updated` client event for each row whose text or actor list shows that user.

Names are looked up when a row is rendered, so only pages that are open or reconnect need the update. The work
is bounded: PAGE_SIZE rows per transaction, MAX_ROWS_PER_CHANGE rows per change, newest first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, text

from app.clients.postgres import translate_errors
from app.domain.grouping import ClientEventType
from app.persistence.groups import load_first_actors, lock_recipients
from app.persistence.row_updates import NotificationRowUpdate, publish_row_updates

PAGE_SIZE = 100
MAX_ROWS_PER_CHANGE = 5_000
"""Older rows show the new name when they are next loaded."""


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """A changed profile and the progress of its updates: the last row processed, and how many were."""

    user_id: str
    changed_at: datetime
    last_notification_id: str | None
    processed_count: int

    @property
    def next_page_size(self) -> int:
        return min(PAGE_SIZE, MAX_ROWS_PER_CHANGE - self.processed_count)


def record_profile_change(conn: Connection, user_id: str) -> None:
    """Call in the transaction that changes the profile. A second change starts again at the newest row."""
    conn.execute(_RECORD_CHANGE, {"user": user_id})


class ProfileChangeBroadcaster:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def step(self) -> int:
        """Processes one page of the oldest change. Returns 0 when there is none.

        The page and the progress are one transaction, so that no row is updated twice, even by two workers.
        """
        with translate_errors("publish a profile change"), self._engine.begin() as conn:
            oldest = conn.execute(_OLDEST_CHANGE).first()
            if oldest is None:
                return 0
            change = ProfileChange(*oldest)
            params = {
                "user": change.user_id,
                "before_id": change.last_notification_id,
                "limit": change.next_page_size,
            }
            page = [(row[0], row[1]) for row in conn.execute(_NEXT_PAGE, params)]
            # Recipients are locked before the row of the change, the order in which account removal locks.
            lock_recipients(conn, {recipient_id for _, recipient_id in page})
            if _try_advance_progress(conn, change, page):
                publish_row_updates(
                    conn, _build_visible_row_updates(conn, change.user_id, [row for row, _ in page])
                )
        return max(1, len(page))


def _try_advance_progress(conn: Connection, change: ProfileChange, page: Sequence[tuple[str, str]]) -> bool:
    """False: the profile changed again, or another worker has processed this page."""
    statement = _SAVE_PROGRESS if len(page) == PAGE_SIZE else _DELETE_CHANGE
    params = {
        "user": change.user_id,
        "changed_at": change.changed_at,
        "before_id": change.last_notification_id,
        "last_id": page[-1][0] if page else None,
        "row_count": len(page),
    }
    return conn.execute(statement, params).rowcount > 0


def _build_visible_row_updates(
    conn: Connection, user_id: str, notification_ids: Sequence[str]
) -> list[NotificationRowUpdate]:
    """The updates for those of the rows that are visible and list this user."""
    recipient_by_notification = {
        row[0]: row[1] for row in conn.execute(_VISIBLE_ROWS, {"ids": list(notification_ids)})
    }
    actors_by_notification = load_first_actors(conn, sorted(recipient_by_notification))
    return [
        NotificationRowUpdate(
            recipient_by_notification[notification_id], notification_id, ClientEventType.UPDATED
        )
        for notification_id in reversed(notification_ids)
        if any(actor.id == user_id for actor, _ in actors_by_notification.get(notification_id, ()))
    ]


_RECORD_CHANGE = text("""
    insert into profile_changes (user_id) values (:user)
    on conflict (user_id) do update set changed_at = now(), last_checked_id = null, rows_checked = 0
""")
_OLDEST_CHANGE = text(
    "select user_id::text, changed_at, last_checked_id::text, rows_checked from profile_changes "
    "order by changed_at limit 1"
)
_NEXT_PAGE = text("""
    select n.id::text, n.user_id::text from notification_actors a
    join notifications n on n.id = a.notification_id
    where a.actor_id = :user and a.active
        and (cast(:before_id as uuid) is null or a.notification_id < cast(:before_id as uuid))
    order by a.notification_id desc limit :limit
""")
_VISIBLE_ROWS = text(
    "select id::text, user_id::text from notifications where id = any(cast(:ids as uuid[])) and is_visible"
)
_WHERE_UNCHANGED = (
    "where user_id = :user and changed_at = :changed_at and last_checked_id is not distinct from "
    "cast(:before_id as uuid)"
)
_SAVE_PROGRESS = text(
    "update profile_changes set last_checked_id = cast(:last_id as uuid), "  # noqa: S608 - constants only
    f"rows_checked = rows_checked + :row_count {_WHERE_UNCHANGED}"
)
_DELETE_CHANGE = text(f"delete from profile_changes {_WHERE_UNCHANGED}")  # noqa: S608 - constants only
