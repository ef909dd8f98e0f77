"""`watch_posts {postIds}`: the posts that a client has on screen. Replaces its earlier list.

Output: app/delivery/post_watchers.py, or `error`. The acknowledgement, for clients that ask for one, has the
counts of the posts that are new in the list: the page may have been rendered long ago.
"""

import logging
from typing import Any

from flask_socketio import emit

from app.delivery.live_post_counts import LivePostCounts, counts_metadata
from app.delivery.post_watchers import MAX_WATCHED_POSTS, PostWatchers
from app.delivery.room_joins import AUTHENTICATION_REQUIRED_MESSAGE, SocketConnection, current_sid
from app.domain.errors import Poisoned, Rejected, Unavailable
from app.domain.events import canonical_uuid
from app.social.posts import PostReader

log = logging.getLogger(__name__)
INVALID_LIST_MESSAGE = f"postIds must be a list of at most {MAX_WATCHED_POSTS} post ids"


class WatchPostsHandler:
    def __init__(self, watchers: PostWatchers, live_counts: LivePostCounts, posts: PostReader) -> None:
        self._watchers = watchers
        self._live_counts = live_counts
        self._posts = posts

    def handle_watch_posts(
        self, connection: SocketConnection, payload: Any
    ) -> dict[str, list[dict[str, object]]] | None:
        """The acknowledgement; None after an error, which leaves the earlier list in force."""
        try:
            if connection.claims is None:
                raise Rejected(AUTHENTICATION_REQUIRED_MESSAGE)
            post_ids = parse_post_ids(payload)
        except Rejected as exc:
            emit("error", {"message": str(exc)})
            return None
        # The list first: no change between reading the counts and watching may be lost.
        added_ids = self._watchers.replace_list(current_sid(), post_ids)
        visible_ids = self._remove_hidden_posts(connection.claims.user_id, added_ids)
        counts_by_post = self._live_counts.read_for_new_watcher(visible_ids) if visible_ids else {}
        return {
            "posts": [
                {"postId": post_id, **counts_metadata(counts)} for post_id, counts in counts_by_post.items()
            ]
        }

    def _remove_hidden_posts(self, viewer_id: str, post_ids: list[str]) -> list[str]:
        """Stops watching posts that do not exist or that a block hides, and returns the others. Without
        PostgreSQL all stay watched, and their counts follow as `post_updated`."""
        if not post_ids:
            return []
        try:
            visible_ids = self._posts.filter_visible_ids(post_ids, viewer_id)
        except Unavailable as exc:
            log.info("Watched posts are not checked: %s", exc, extra={"event": "watched_posts_unchecked"})
            self._live_counts.emit_again(post_ids)
            return []
        self._watchers.remove_posts_from_list(current_sid(), set(post_ids).difference(visible_ids))
        return visible_ids


def parse_post_ids(payload: Any) -> list[str]:
    """Raises Rejected."""
    post_ids = payload.get("postIds") if isinstance(payload, dict) else None
    if not isinstance(post_ids, list) or len(post_ids) > MAX_WATCHED_POSTS:
        raise Rejected(INVALID_LIST_MESSAGE)
    try:
        return [canonical_uuid(post_id, "postIds") for post_id in post_ids]
    except Poisoned as exc:
        raise Rejected(INVALID_LIST_MESSAGE) from exc
