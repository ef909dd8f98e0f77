"""Whether actors follow the owners of what they like or share, which decides the lane of their events.

In: workers/bridge.py, one call per batch. Out: the rows of follows, and follows that are not written yet.
"""

import logging
import time
from collections.abc import Sequence

import gevent
from sqlalchemy import Engine, text

from app.clients.postgres import autocommit_engine, translate_errors
from app.domain.errors import Unavailable
from app.persistence.pending_follows import PendingFollows

log = logging.getLogger(__name__)
Follow = tuple[str, str]
"""Follower and followed user."""
QUERY_TIMEOUT_SECONDS = 0.5
RETRY_DELAY_SECONDS = 1.0
"""After a failure: events must not wait for PostgreSQL one after another."""
CACHE_TTL_SECONDS = 10.0
MAX_CACHED_FOLLOWS = 20_000


class FollowerLookup:
    def __init__(self, engine: Engine, pending_follows: PendingFollows) -> None:
        self._engine = autocommit_engine(engine)
        self._pending_follows = pending_follows
        self._retry_at = 0.0
        self._cached_at = time.monotonic()
        self._cached_states: dict[Follow, bool] = {}

    def find_existing(self, follows: Sequence[Follow]) -> set[Follow]:
        """Those that exist, as far as they are known within QUERY_TIMEOUT_SECONDS. What was read from the
        rows may be CACHE_TTL_SECONDS old."""
        states = self._read_pending(follows)
        self._clear_old_cache()
        rest = {follow for follow in follows if follow not in states}
        unknown = sorted(rest - self._cached_states.keys())
        if unknown and time.monotonic() >= self._retry_at:
            try:
                existing = self._read_rows(unknown)
            except Unavailable as exc:
                self._retry_at = time.monotonic() + RETRY_DELAY_SECONDS
                log.info("Followers are not known: %s", exc, extra={"event": "followers_unknown"})
            else:
                self._cached_states |= {follow: follow in existing for follow in unknown}
        states |= {follow: self._cached_states.get(follow, False) for follow in rest}
        return {follow for follow, exists in states.items() if exists}

    def _clear_old_cache(self) -> None:
        now = time.monotonic()
        if now - self._cached_at >= CACHE_TTL_SECONDS or len(self._cached_states) > MAX_CACHED_FOLLOWS:
            self._cached_at = now
            self._cached_states = {}

    def _read_pending(self, follows: Sequence[Follow]) -> dict[Follow, bool]:
        try:
            return self._pending_follows.get_pending_states(follows)
        except Unavailable as exc:
            log.info("Pending follows are not known: %s", exc, extra={"event": "pending_follows_unknown"})
            return {}

    def _read_rows(self, follows: Sequence[Follow]) -> set[Follow]:
        follower_ids, followed_ids = zip(*follows, strict=True)
        values = {"followers": list(follower_ids), "followed": list(followed_ids)}
        timeout_error = Unavailable("PostgreSQL is too slow", "postgres_unavailable")
        with (
            gevent.Timeout(QUERY_TIMEOUT_SECONDS, timeout_error),
            translate_errors("find followers"),
            self._engine.connect() as conn,
        ):
            return {(row[0], row[1]) for row in conn.execute(_SELECT_FOLLOWS, values)}


_SELECT_FOLLOWS = text("""
    select f.follower_id::text, f.following_id::text
    from unnest(cast(:followers as uuid[]), cast(:followed as uuid[])) as n (follower_id, following_id)
    join follows f on f.follower_id = n.follower_id and f.following_id = n.following_id
    where f.active
""")
