"""Announces notifications that were deferred by quiet hours, when the quiet hours end.

In: rows of notifications whose `deferred_until` has passed. Out: one `notification` client event per row, all
of one recipient in one transaction.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Engine, text

from app.clients.postgres import translate_errors
from app.domain.grouping import ClientEventType
from app.persistence.groups import lock_recipients
from app.persistence.row_updates import (
    FAILED_ROW_DELAY,
    ROW_ERRORS,
    NotificationRowUpdate,
    publish_row_updates,
)

log = logging.getLogger(__name__)
MAX_RECIPIENTS = 50
"""Recipients per call of announce_due_rows."""


class QuietHoursDelivery:
    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now

    def announce_due_rows(self) -> int:
        """Returns the number of rows announced. A crash between two recipients repeats nothing. Rows of a
        recipient that cannot be announced are due again after FAILED_ROW_DELAY, behind the others. Raises
        Unavailable."""
        now = datetime.fromtimestamp(self._now(), UTC)
        with translate_errors("find deferred notifications"), self._engine.connect() as conn:
            recipient_ids = list(
                conn.execute(_SELECT_DUE_RECIPIENTS, {"now": now, "limit": MAX_RECIPIENTS}).scalars()
            )
        return sum(self._announce_or_postpone(recipient_id, now) for recipient_id in recipient_ids)

    def _announce_or_postpone(self, recipient_id: str, now: datetime) -> int:
        try:
            return self._announce_due_rows_of(recipient_id, now)
        except ROW_ERRORS:
            log.exception(
                "The deferred notifications of %s cannot be announced",
                recipient_id,
                extra={"event": "deferred_announcement_failed"},
            )
        params = {"recipient": recipient_id, "now": now, "until": now + FAILED_ROW_DELAY}
        with translate_errors("postpone deferred notifications"), self._engine.begin() as conn:
            conn.execute(_POSTPONE, params)
        return 0

    def _announce_due_rows_of(self, recipient_id: str, now: datetime) -> int:
        with translate_errors("announce deferred notifications"), self._engine.begin() as conn:
            lock_recipients(conn, [recipient_id])
            rows = conn.execute(_CLAIM_DUE_ROWS, {"recipient": recipient_id, "now": now}).all()
            # Rows that were read, removed or archived meanwhile are not announced.
            row_updates = [
                NotificationRowUpdate(recipient_id, row[0], ClientEventType.ANNOUNCED, row[1])
                for row in rows
                if row[2]
            ]
            publish_row_updates(conn, row_updates)
            return len(row_updates)


_SELECT_DUE_RECIPIENTS = text(
    "select user_id::text from notifications where deferred_until <= :now "
    "group by user_id order by min(deferred_until) limit :limit"
)
_POSTPONE = text(
    "update notifications set deferred_until = :until where user_id = :recipient and deferred_until <= :now"
)
# The number of actors to announce: those of the silent updates since the row was last announced. If there are
# none, the row only lost actors and is not announced.
_CLAIM_DUE_ROWS = text("""
    with due as (
        select id, client_seq from notifications where user_id = :recipient and deferred_until <= :now
    ), claimed as (
        update notifications set deferred_until = null,
            updated_at = case when is_visible and not is_read then :now else updated_at end
        from due where notifications.id = due.id
        returning notifications.id, due.client_seq, actor_count, is_visible and not is_read as is_unread
    )
    select claimed.id::text, least(silent.new_count, greatest(actor_count, 1)),
        is_unread and silent.new_count > 0
    from claimed cross join lateral (
        select coalesce(sum((o.payload->'metadata'->>'newCount')::int), 0)::int as new_count
        from outbox o where o.user_id = :recipient and o.payload->>'id' = claimed.id::text
            and o.client_event = 'notification_updated' and o.client_seq > coalesce((
                select max(a.client_seq) from outbox a
                where a.user_id = :recipient and a.payload->>'id' = claimed.id::text
                    and a.client_event = 'notification'), 0)) silent
    order by claimed.client_seq
""")
