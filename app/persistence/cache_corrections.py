"""Corrects Redis after a transaction: counts of events that were not written, deletions that were.

In: the events of app/persistence/event_writer.py after each commit. Out: Redis counts and members of likes
and followers, counts of comments, marks of persisted comment deletions.

A like is counted in Redis when it is accepted. If its user is deleted before the row is written, the event
expires and must be removed from the members and the count here.
"""

import logging
import time
from collections.abc import Iterable

import redis

from app.clients.redis import register_script, translate_errors
from app.domain.errors import Unavailable
from app.domain.events import COMMENT_KINDS, Event, Kind
from app.persistence import membership_keys

log = logging.getLogger(__name__)
DELETION_MARKER_TTL_MS = 3_600_000
_MEMBERSHIP_KINDS = frozenset({Kind.LIKE, Kind.FOLLOW})


class CacheCorrector:
    def __init__(self, connection: redis.Redis) -> None:
        self._decrement_count_script = register_script(connection, "persistence/decrement_count")
        self._remove_member_script = register_script(connection, "persistence/remove_member")
        self._mark_deletion_script = register_script(connection, "persistence/mark_deletion_persisted")

    def correct_after_write(self, expired_events: Iterable[Event], written_events: Iterable[Event]) -> None:
        """Does not raise Unavailable: the tables are correct, and waiting for Redis would delay all later
        events."""
        try:
            with translate_errors("correct counts"):
                for event in expired_events:
                    self._remove_expired_event(event)
                for event in written_events:
                    if event.kind in COMMENT_KINDS and not event.active:
                        self._mark_deletion_persisted(str(event.metadata["postId"]), event.window_entry_key)
        except Unavailable as exc:
            log.warning(
                "Counts in Redis may be too high until rebuild-counts is run: %s",
                exc,
                extra={"event": "cache_corrections_skipped"},
            )

    def remove_like_or_follow(self, kind: Kind, object_id: str, actor_id: str, had_active_row: bool) -> None:
        """Removes one like or follow of a deleted user. Raises Unavailable."""
        keys = [*membership_keys.all_keys(kind, object_id), membership_keys.idle_key(object_id)]
        args: list[str | int] = [
            actor_id,
            int(had_active_row),
            membership_keys.idle_set_entry(kind, object_id),
        ]
        with translate_errors("correct a count"):
            self._remove_member_script(keys=keys, args=args)

    def _remove_expired_event(self, event: Event) -> None:
        if not event.active:
            return
        if event.kind in _MEMBERSHIP_KINDS:
            self.remove_like_or_follow(
                event.kind, event.group_object_id, str(event.actor_id), had_active_row=False
            )
        elif event.kind in COMMENT_KINDS:
            post_id = str(event.metadata["postId"])
            keys = [membership_keys.comment_key(name, post_id) for name in ("count", "pending")]
            self._decrement_count_script(keys=keys, args=[event.window_entry_key])

    def _mark_deletion_persisted(self, post_id: str, comment_id: str) -> None:
        args: list[str | int] = [int(time.time() * 1000), DELETION_MARKER_TTL_MS, comment_id]
        self._mark_deletion_script(keys=[membership_keys.comment_key("deleted", post_id)], args=args)
