"""Live counts: `post_updated` to everybody who is signed in, a few times a second per post at most.

The counts are Redis's, so they are right from the first click; ten thousand likes become a handful
of frames, each with the count of its moment.
"""

import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from app.domain.errors import Unavailable
from app.domain.events import COMMENT_KINDS, Event, Kind, iso
from app.stores.comments import Comments
from app.stores.memberships import Memberships
from app.streams.push import SIGNED_IN, Push

log = logging.getLogger(__name__)
PAUSE_SECONDS = 0.2
COUNTED = COMMENT_KINDS | {Kind.LIKE}


class PostUpdates:
    def __init__(self, memberships: Memberships, comments: Comments, push: Push) -> None:
        self._memberships = memberships
        self._comments = comments
        self._push = push
        self._noted: dict[str, Event] = {}
        self._emit_at = 0.0

    def note(self, events: Iterable[Event]) -> None:
        """These changed the counts of their posts."""
        for event in events:
            if event.kind in COUNTED:
                post = event.metadata.get("postId") or event.object_id
                self._noted[str(post)] = event

    def emit_due(self) -> None:
        """Tells what was noted, unless it just did; a count that cannot be read, next time."""
        if not self._noted or time.monotonic() < self._emit_at:
            return
        noted, self._noted = self._noted, {}
        self._emit_at = time.monotonic() + PAUSE_SECONDS
        try:
            likes = self._memberships.likes_of(None, list(noted))
            comments = self._comments.counts(list(noted))
            for post, event in noted.items():
                self._push.emit(
                    "post_updated", _frame(post, event, likes[post][0], comments[post]), SIGNED_IN
                )
        except Unavailable as fault:
            log.info("Live counts wait: %s", fault)
            self._noted = noted | self._noted


def _frame(post: str, event: Event, likes: int, comments: int) -> dict[str, object]:
    """The seed's fields (seed-notes 2); contract 6.18 for the metadata."""
    return {
        "id": event.event_id,
        "type": Kind.POST_UPDATED.value,
        "priority": "LOW",
        "actorId": event.actor_id,
        "targetId": "broadcast",
        "targetType": "POST",
        "targetEntityId": post,
        "timestamp": iso(datetime.now(UTC)),
        "metadata": {"likesCount": likes, "commentsCount": comments},
    }
