"""What Redis must be told after the tables had their say.

In    stores/ledger.py, after each transaction
Out   Redis: counts of likes, followers and comments; which deletions of comments are written

A like is counted when it is accepted. If its person is gone before its row is written, it expires,
and nobody else would ever take it out of the set and the count.
"""

import logging
import time
from collections.abc import Iterable

import redis

from app.domain.errors import Unavailable
from app.domain.events import COMMENT_KINDS, Event, Kind
from app.stores.redis import key, script, speaking

log = logging.getLogger(__name__)
REMEMBERED_MS = 3_600_000
_SETS = {Kind.LIKE: "like", Kind.FOLLOW: "follow"}


class Amends:
    def __init__(self, connection: redis.Redis) -> None:
        self._amend = script(connection, "amend")
        self._retracted = script(connection, "retracted")

    def make(self, expired: Iterable[Event], written: Iterable[Event]) -> None:
        """Never raises: the tables are right, and waiting for Redis here would hold up everybody
        behind these events."""
        try:
            with speaking("take back what expired"):
                for event in expired:
                    self._take_back(event)
                for event in written:
                    if event.kind in COMMENT_KINDS and not event.active:
                        self._settle(str(event.metadata["postId"]), event.member)
        except Unavailable as fault:
            log.warning("Counts in Redis may be too high until rebuild-counts: %s", fault)

    def uncount(self, kind: Kind, subject_id: str, person_id: str) -> None:
        """One like or follow of somebody who goes."""
        prefix = _SETS[kind]
        keys = [key(prefix, "count", subject_id), key(prefix, "users", subject_id)]
        with speaking("take back a like"):
            self._amend(keys=keys, args=["set", person_id])

    def _take_back(self, event: Event) -> None:
        if not event.active:
            return
        if event.kind in _SETS:
            self.uncount(event.kind, event.group_object, str(event.actor_id))
        elif event.kind in COMMENT_KINDS:
            post = str(event.metadata["postId"])
            keys = [key("comment", "count", post), key("comment", "pending", post)]
            self._amend(keys=keys, args=["hash", event.member])

    def _settle(self, post_id: str, comment_id: str) -> None:
        args: list[str | int] = [int(time.time() * 1000), REMEMBERED_MS, comment_id]
        self._retracted(keys=[key("comment", "gone", post_id)], args=args)
