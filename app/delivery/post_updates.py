"""Live counts: sends `post_updated` to all signed-in users, at most every 0.2 s per process.

Counts are read from Redis, so they are current from the first like on; ten thousand likes cause a few events,
each with the count of its moment.
"""

import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from app.domain.errors import Unavailable
from app.domain.events import COMMENT_KINDS, Event, Kind, to_iso_utc
from app.ingest.comments import Comments
from app.ingest.memberships import MembershipStore
from app.messaging.socket_push import SIGNED_IN_ROOM, SocketPushPublisher

log = logging.getLogger(__name__)
MIN_EMIT_INTERVAL_SECONDS = 0.2
COUNTED_KINDS = COMMENT_KINDS | {Kind.LIKE}


class LivePostCountPublisher:
    def __init__(
        self, memberships: MembershipStore, comments: Comments, push_publisher: SocketPushPublisher
    ) -> None:
        self._memberships = memberships
        self._comments = comments
        self._push_publisher = push_publisher
        self._latest_event_by_post_id: dict[str, Event] = {}
        self._next_emit_at = 0.0

    def record_count_changes(self, events: Iterable[Event]) -> None:
        """Records posts whose counts these events changed."""
        for event in events:
            if event.kind in COUNTED_KINDS:
                post_id = event.metadata.get("postId") or event.object_id
                self._latest_event_by_post_id[str(post_id)] = event

    def emit_due_counts(self) -> None:
        """Sends recorded changes, unless it just did. Counts that cannot be read are sent next time."""
        if not self._latest_event_by_post_id or time.monotonic() < self._next_emit_at:
            return
        event_by_post_id, self._latest_event_by_post_id = self._latest_event_by_post_id, {}
        self._next_emit_at = time.monotonic() + MIN_EMIT_INTERVAL_SECONDS
        try:
            like_states = self._memberships.get_like_counts_and_states(None, list(event_by_post_id))
            comment_counts = self._comments.count_by_post(list(event_by_post_id))
            for post_id, event in event_by_post_id.items():
                self._push_publisher.emit(
                    "post_updated",
                    _post_updated_payload(post_id, event, like_states[post_id][0], comment_counts[post_id]),
                    SIGNED_IN_ROOM,
                )
        except Unavailable as exc:
            log.info("Live counts are delayed: %s", exc, extra={"event": "live_counts_delayed"})
            self._latest_event_by_post_id = event_by_post_id | self._latest_event_by_post_id


def _post_updated_payload(
    post_id: str, event: Event, like_count: int, comment_count: int
) -> dict[str, object]:
    """The fields of the seed application and, in `metadata`, both counts (docs/socket-api.md)."""
    return {
        "id": event.event_id,
        "type": Kind.POST_UPDATED.value,
        "priority": "LOW",
        "actorId": event.actor_id,
        "targetId": "broadcast",
        "targetType": "POST",
        "targetEntityId": post_id,
        "timestamp": to_iso_utc(datetime.now(UTC)),
        "metadata": {"likesCount": like_count, "commentsCount": comment_count},
    }
