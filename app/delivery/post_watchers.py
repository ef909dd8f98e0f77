"""Which sockets of this process watch which posts. At most MAX_WATCHED_POSTS per socket.

A signed-in socket that never sent watch_posts has no list and gets the updates of all posts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_WATCHED_POSTS = 100


@dataclass(slots=True)
class PostWatchers:
    sids_without_list: set[str] = field(default_factory=set)
    _post_ids_by_sid: dict[str, frozenset[str]] = field(default_factory=dict)
    _sids_by_post_id: dict[str, set[str]] = field(default_factory=dict)

    def add_socket_without_list(self, sid: str) -> None:
        """A socket signed in, possibly again."""
        if sid not in self._post_ids_by_sid:
            self.sids_without_list.add(sid)

    def replace_list(self, sid: str, post_ids: Iterable[str]) -> list[str]:
        """Returns the posts that are new in the list, in its order."""
        old_ids = self._post_ids_by_sid.get(sid, frozenset())
        new_ids = dict.fromkeys(post_ids)
        self.remove_socket(sid)
        self._post_ids_by_sid[sid] = frozenset(new_ids)
        for post_id in new_ids:
            self._sids_by_post_id.setdefault(post_id, set()).add(sid)
        return [post_id for post_id in new_ids if post_id not in old_ids]

    def remove_posts_from_list(self, sid: str, post_ids: Iterable[str]) -> None:
        """Changes nothing if the socket was closed meanwhile."""
        if sid in self._post_ids_by_sid:
            self.replace_list(sid, self._post_ids_by_sid[sid].difference(post_ids))

    def remove_socket(self, sid: str) -> None:
        self.sids_without_list.discard(sid)
        for post_id in self._post_ids_by_sid.pop(sid, ()):
            self._sids_by_post_id[post_id].remove(sid)
            if not self._sids_by_post_id[post_id]:
                del self._sids_by_post_id[post_id]

    def is_watched(self, post_id: str) -> bool:
        return post_id in self._sids_by_post_id

    def sids_of(self, post_id: str) -> set[str]:
        return self._sids_by_post_id.get(post_id, set())

    def watched_post_ids(self) -> list[str]:
        return list(self._sids_by_post_id)
