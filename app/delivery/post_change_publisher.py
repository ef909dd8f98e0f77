"""Sends the web processes the ids of posts with new counts, at most every 0.2 s per process.

One message for all posts that changed. Each web process reads the counts itself when it emits them
(app/delivery/live_post_counts.py), so it does not matter which worker's message arrives last.
"""

import logging
import time
from collections.abc import Iterable

from app.domain.errors import Unavailable
from app.domain.events import COMMENT_KINDS, Event, Kind
from app.messaging.socket_push import POSTS_CHANGED_EVENT, POSTS_CHANGED_ROOM, SocketPushPublisher

log = logging.getLogger(__name__)
MIN_PUBLISH_INTERVAL_SECONDS = 0.2
MAX_PENDING_POSTS = 10_000
"""While Redis is unavailable. Beyond it the post that waits longest is dropped until it changes again."""
MAX_POSTS_PER_MESSAGE = 1_000
COUNTED_KINDS = COMMENT_KINDS | {Kind.LIKE}


class PostChangePublisher:
    def __init__(self, push_publisher: SocketPushPublisher) -> None:
        self._push_publisher = push_publisher
        self._latest_event_by_post_id: dict[str, Event] = {}
        self._next_publish_at = 0.0

    def record_count_changes(self, events: Iterable[Event]) -> None:
        """Records posts whose counts these events changed."""
        for event in events:
            if event.kind in COUNTED_KINDS:
                post_id = str(event.metadata.get("postId") or event.object_id)
                self._latest_event_by_post_id[post_id] = event
                if len(self._latest_event_by_post_id) > MAX_PENDING_POSTS:
                    del self._latest_event_by_post_id[next(iter(self._latest_event_by_post_id))]

    def publish_due_changes(self) -> None:
        """Publishes recorded changes, unless it just did. What Redis refuses waits for the next call."""
        if not self._latest_event_by_post_id or time.monotonic() < self._next_publish_at:
            return
        self._next_publish_at = time.monotonic() + MIN_PUBLISH_INTERVAL_SECONDS
        pending = list(self._latest_event_by_post_id.items())
        for start in range(0, len(pending), MAX_POSTS_PER_MESSAGE):
            published = pending[start : start + MAX_POSTS_PER_MESSAGE]
            posts = {post_id: [event.event_id, event.actor_id] for post_id, event in published}
            try:
                self._push_publisher.emit(POSTS_CHANGED_EVENT, {"posts": posts}, POSTS_CHANGED_ROOM)
            except Unavailable as exc:
                log.info("Live counts are delayed: %s", exc, extra={"event": "live_counts_delayed"})
                return
            # An event that another loop recorded during the call stays for the next message.
            for post_id, event in published:
                if self._latest_event_by_post_id.get(post_id) is event:
                    del self._latest_event_by_post_id[post_id]
