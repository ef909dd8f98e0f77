"""Which sockets of this process watch which posts. At most MAX_WATCHED_POSTS per socket.

A signed-in socket that never sent watch_posts has no list and gets the updates of all posts.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_WATCHED_POSTS = 100


@dataclass(frozen=True, slots=True)
class WatchListChange:
    """Posts that are new in the list of a socket, in its order, and those that are no longer in it."""

    added_post_ids: tuple[str, ...]
    removed_post_ids: tuple[str, ...]


@dataclass(slots=True)
class PostWatchers:
    _post_ids_by_sid: dict[str, frozenset[str]] = field(default_factory=dict)
    _socket_count_by_post: Counter[str] = field(default_factory=Counter)
    _sids_without_list: set[str] = field(default_factory=set)

    @property
    def has_sockets_without_list(self) -> bool:
        return bool(self._sids_without_list)

    def add_socket(self, sid: str) -> bool:
        """A socket signed in, possibly again. Returns whether it gets the updates of all posts."""
        if sid in self._post_ids_by_sid:
            return False
        self._sids_without_list.add(sid)
        return True

    def replace_list(self, sid: str, post_ids: Iterable[str]) -> WatchListChange:
        new_ids = dict.fromkeys(post_ids)
        old_ids = self._post_ids_by_sid.get(sid, frozenset())
        self._sids_without_list.discard(sid)
        self._post_ids_by_sid[sid] = frozenset(new_ids)
        added_ids = tuple(post_id for post_id in new_ids if post_id not in old_ids)
        removed_ids = tuple(old_ids - new_ids.keys())
        self._socket_count_by_post.update(added_ids)
        self._remove_posts(removed_ids)
        return WatchListChange(added_ids, removed_ids)

    def remove_from_list(self, sid: str, post_ids: Iterable[str]) -> tuple[str, ...]:
        """Returns the posts that were in the list."""
        old_ids = self._post_ids_by_sid.get(sid, frozenset())
        removed_ids = tuple(old_ids.intersection(post_ids))
        if removed_ids:
            self._post_ids_by_sid[sid] = old_ids.difference(removed_ids)
            self._remove_posts(removed_ids)
        return removed_ids

    def remove_socket(self, sid: str) -> tuple[str, ...]:
        """The socket was closed. Returns the posts that it watched."""
        self._sids_without_list.discard(sid)
        post_ids = tuple(self._post_ids_by_sid.pop(sid, ()))
        self._remove_posts(post_ids)
        return post_ids

    def is_watched(self, post_id: str) -> bool:
        return post_id in self._socket_count_by_post

    def watched_post_ids(self) -> list[str]:
        return list(self._socket_count_by_post)

    def _remove_posts(self, post_ids: Iterable[str]) -> None:
        for post_id in post_ids:
            self._socket_count_by_post[post_id] -= 1
            if not self._socket_count_by_post[post_id]:
                del self._socket_count_by_post[post_id]
