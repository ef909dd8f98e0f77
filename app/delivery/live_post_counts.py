"""Live counts of this web process: emits `post_updated` to the sockets that watch a post, and to those
without a list.

Input: `posts_changed` of app/delivery/post_change_publisher.py, once per process. Output: the sockets of
app/delivery/post_watchers.py. How often: app/domain/post_update_throttle.py. Counts are read when they are
emitted, by one greenlet, so that an older count never follows a newer one.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import gevent
from gevent.event import Event as GreenletEvent

from app.delivery.post_watchers import PostWatchers
from app.domain.errors import Unavailable
from app.domain.events import Kind, to_iso_utc
from app.domain.post_update_throttle import WATCHED_INTERVAL_SECONDS, PostChange, PostUpdateThrottle
from app.ingest.membership_reader import MembershipReader, PostCounts
from app.operations.metrics import POST_UPDATES

log = logging.getLogger(__name__)
TURN_SECONDS = 0.1
IDLE_WAIT_SECONDS = 30.0
RETRY_DELAY_SECONDS = 1.0
POST_UPDATED_EVENT = "post_updated"


EmitToSockets = Callable[[str, dict[str, Any], Collection[str]], None]
"""Event, data and the sockets."""


class LivePostCounts:
    def __init__(
        self,
        memberships: MembershipReader,
        watchers: PostWatchers,
        emit_to_sockets: EmitToSockets,
        monotonic: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._memberships = memberships
        self._watchers = watchers
        self._emit_to_sockets = emit_to_sockets
        self._monotonic = monotonic
        self._new_id = new_id
        self._throttle = PostUpdateThrottle()
        self._has_changes = GreenletEvent()

    def record_changes(self, payload: Mapping[str, Any]) -> None:
        """The payload of `posts_changed`: `{posts: {id: [event id, actor id]}}`."""
        for post_id, (event_id, actor_id) in payload["posts"].items():
            self._record_change(post_id, PostChange(event_id, actor_id))

    def record_missed_changes(self) -> None:
        """Redis pub/sub was disconnected, so any watched post may have changed."""
        self.emit_again(self._watchers.watched_post_ids())

    def emit_again(self, post_ids: Iterable[str]) -> None:
        """The current counts of these posts go to their watchers, whether or not they changed."""
        for post_id in filter(self._watchers.is_watched, post_ids):
            self._throttle.add_watched(post_id, PostChange(self._new_id(), None))
        self._has_changes.set()

    def read_for_new_watcher(self, post_ids: Sequence[str]) -> dict[str, PostCounts]:
        """The counts of posts that a socket has just begun to watch.

        Left out are posts that were emitted during the read, which may be newer. If the counts cannot be read
        soon, it returns none, and they follow as `post_updated`.
        """
        started_at = self._monotonic()
        try:
            counts_by_post = self._memberships.read_post_counts(None, post_ids)
        except Unavailable as exc:
            log.info("Counts of watched posts are delayed: %s", exc, extra={"event": "live_counts_delayed"})
            self.emit_again(post_ids)
            return {}
        if self._monotonic() - started_at >= WATCHED_INTERVAL_SECONDS:  # older emissions are not known
            self.emit_again(post_ids)
            return {}
        return {
            post_id: counts
            for post_id, counts in counts_by_post.items()
            if not self._throttle.was_emitted_since(post_id, started_at)
        }

    def emit_due_counts(self) -> None:
        """Raises Unavailable if the counts cannot be read; they stay due."""
        if not self._watchers.sids_without_list:
            self._throttle.discard_unfiltered()
        due = self._throttle.take_due(self._monotonic())
        # The last watcher may have left since the change.
        watched = {
            post_id: due.watched[post_id] for post_id in filter(self._watchers.is_watched, due.watched)
        }
        post_ids = list({**watched, **due.unfiltered})
        if not post_ids:
            return
        try:
            counts_by_post = self._memberships.read_post_counts(None, post_ids)
        except Unavailable:
            self._throttle.restore(due)
            raise
        # Copied before the first is sent, which lets other greenlets run: a socket that begins to watch
        # meanwhile gets newer counts.
        emissions = [(*item, list(self._watchers.sids_of(item[0]))) for item in watched.items()]
        emissions += [(*item, list(self._watchers.sids_without_list)) for item in due.unfiltered.items()]
        for post_id, change, sids in emissions:
            self._emit_counts(post_id, change, counts_by_post[post_id], sids)
        POST_UPDATES["watched"] += len(watched)
        POST_UPDATES["unfiltered"] += len(due.unfiltered)
        POST_UPDATES["merged"] = self._throttle.merged_count
        POST_UPDATES["dropped"] = self._throttle.dropped_count

    def emit_forever(self) -> None:
        """Endless. A turn every TURN_SECONDS while changes wait."""
        while True:
            self._has_changes.wait(IDLE_WAIT_SECONDS)
            self._has_changes.clear()
            delay_seconds = TURN_SECONDS
            try:
                self.emit_due_counts()
            except Unavailable as exc:
                log.info("Live counts are delayed: %s", exc, extra={"event": "live_counts_delayed"})
                delay_seconds = RETRY_DELAY_SECONDS
            except Exception:  # one bad payload must not end the loop
                log.exception("Emitting live counts failed", extra={"event": "live_counts_failed"})
            if self._throttle.has_pending:
                self._has_changes.set()
            gevent.sleep(delay_seconds)

    def _record_change(self, post_id: str, change: PostChange) -> None:
        if self._watchers.is_watched(post_id):
            self._throttle.add_watched(post_id, change)
            self._has_changes.set()
        if self._watchers.sids_without_list:
            self._throttle.add_unfiltered(post_id, change)
            self._has_changes.set()

    def _emit_counts(
        self, post_id: str, change: PostChange, counts: PostCounts, sids: Collection[str]
    ) -> None:
        self._emit_to_sockets(POST_UPDATED_EVENT, _post_updated_payload(post_id, change, counts), sids)


def counts_metadata(counts: PostCounts) -> dict[str, int]:
    """In the names of the wire (docs/socket-api.md)."""
    return {"likesCount": counts.like_count, "commentsCount": counts.comment_count}


def _post_updated_payload(post_id: str, change: PostChange, counts: PostCounts) -> dict[str, Any]:
    """The fields of the seed application; metadata has both counts (docs/socket-api.md)."""
    return {
        "id": change.event_id,
        "type": Kind.POST_UPDATED.value,
        "priority": "LOW",
        "actorId": change.actor_id,
        "targetId": "broadcast",
        "targetType": "POST",
        "targetEntityId": post_id,
        "timestamp": to_iso_utc(datetime.now(UTC)),
        "metadata": counts_metadata(counts),
    }
