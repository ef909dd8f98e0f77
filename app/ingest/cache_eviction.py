"""Removes idle posts, users and blocks from Redis (docs/adr/0022).

In: the sorted set membership:idle, where the scripts note what they used and when. Out: memory of Redis.
PostgreSQL has everything about what is removed; the next write loads it again.
"""

from typing import Any

import redis

from app.clients.redis import CLUSTER_TAGS, redis_key, register_script, translate_errors
from app.domain.events import Kind
from app.ingest.block_cache import blocked_set_key
from app.persistence import membership_keys

MIN_IDLE_SECONDS = 5.0
"""Longer than a load or a write may take (cache_loader.py, memberships.py): what either of them read before
is refused by then."""
MAX_REMOVED_PER_STEP = 200


class MembershipCacheEviction:
    def __init__(self, connection: redis.Redis, idle_seconds: float) -> None:
        self._redis = connection
        self._idle_ms = int(idle_seconds * 1000)
        self._evict_script = register_script(connection, "ingest/evict_idle")

    def step(self) -> int:
        """Checks one page of what was not used for `idle_seconds`, and removes what PostgreSQL has. The rest
        is checked again later. Returns how many were removed."""
        return sum(self._evict_page(slot) for slot in CLUSTER_TAGS.slots())

    def _evict_page(self, slot: int | None) -> int:
        idle_key = membership_keys.idle_key(slot)
        with translate_errors("evict idle entries"):
            seconds, micros = self._redis.time()
            due_ms = int(seconds) * 1000 + int(micros) // 1000 - self._idle_ms
            names: Any = self._redis.zrangebyscore(idle_key, "-inf", due_ms, 0, MAX_REMOVED_PER_STEP)
            pipeline = self._redis.pipeline(transaction=False)
            for name in names:
                self._evict_script(
                    keys=[idle_key, *_keys_of_name(str(name), slot)],
                    args=[str(name), self._idle_ms, int(MIN_IDLE_SECONDS * 1000)],
                    client=pipeline,
                )
            return sum(pipeline.execute()) if names else 0


def _keys_of_name(name: str, slot: int | None) -> list[str]:
    """The keys 2.. of evict_idle.lua. Those that a user does not have never exist."""
    cached_type, _, object_id = name.partition(":")
    if cached_type == "blocks":
        no_key = redis_key("membership", "none", slot_of=slot)
        return [*[no_key] * 5, blocked_set_key(object_id, slot)]
    kind = Kind.FOLLOW if cached_type == "user" else Kind.LIKE
    return [
        membership_keys.unwritten_key(kind, object_id),
        membership_keys.comment_key("pending", object_id),
        membership_keys.comment_key("deleted", object_id),
        membership_keys.large_key(kind, object_id),
        membership_keys.post_owner_key(object_id),
        membership_keys.count_key(kind, object_id),
        membership_keys.members_key(kind, object_id),
        membership_keys.comment_key("count", object_id),
    ]
