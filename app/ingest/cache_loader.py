"""Loads a post or user from PostgreSQL into Redis, once and by one caller at a time (docs/adr/0022).

In: app/ingest/memberships.py for an object that is not cached; app/ingest/post_actions.py for a new one.
Out: the count, and the set of members if there are few, in Redis, which are newer than the tables from then
on, until app/ingest/cache_eviction.py removes them.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import redis
from sqlalchemy import Engine, text

from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import redis_key, register_script, translate_errors
from app.domain.errors import Unavailable
from app.ingest.block_cache import UserBlockCache
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS, MembershipKind
from app.persistence import clear_watermarks, membership_keys

DEFAULT_MAX_MEMBERS = 20_000
LOAD_LOCK_TTL_MS = 700
"""Far longer than a usual load. If a loader is killed, the lock must expire before waiting callers time
out. Two concurrent loads do no harm: load_membership.lua keeps what was loaded first.
"""
LOAD_TIMEOUT_SECONDS = 1.5
"""Shorter than app/ingest/cache_eviction.py's MIN_IDLE_SECONDS: what a load read before an object was loaded,
changed and evicted is refused."""
LOAD_POLL_INTERVAL_SECONDS = 0.02
MEMBERS_PER_COMMAND = 1_000
"""Redis serves no other client meanwhile."""
LOADED_SET_TTL_SECONDS = 10
NO_CACHE_LOAD_TOKEN = "*"  # noqa: S105 - no secret
"""Load token of a new object: there was nothing to read that could be out of date."""


@dataclass(frozen=True, slots=True)
class _LoadedObject:
    """What was read of an object. `member_ids` is None for a large one."""

    load_token: str
    read_at: float
    owner_id: str
    count: int
    member_ids: Sequence[str] | None


class MembershipCacheLoader:
    def __init__(
        self, connection: redis.Redis, engine: Engine, max_members: int = DEFAULT_MAX_MEMBERS
    ) -> None:
        self._redis = connection
        self._engine = engine
        self._max_members = max_members
        self._load_script = register_script(connection, "ingest/load_membership")
        self.block_cache = UserBlockCache(connection, engine)

    def cache_as_empty(self, membership_kind: MembershipKind, object_id: str, owner_id: str) -> None:
        """Caches a new post or user as empty: it cannot have members yet."""
        new_object = _LoadedObject(NO_CACHE_LOAD_TOKEN, time.time(), owner_id, 0, ())
        self._store_object(membership_kind, object_id, new_object)
        if membership_kind is USER_FOLLOWS:
            self.block_cache.cache_no_blocks(object_id, slot_of=object_id)

    def load_if_missing(self, membership_kind: MembershipKind, object_id: str) -> None:
        """Loads count, members and blocks from PostgreSQL: one caller loads, the others wait for it. Raises
        Rejected (404), Unavailable."""
        lock_key, lock_token = redis_key("load", membership_kind.key_prefix, object_id), uuid4().hex
        deadline = time.monotonic() + LOAD_TIMEOUT_SECONDS
        while not self._is_loaded(membership_kind, object_id):
            with translate_errors("lock a cache load"):
                is_lock_owner = self._redis.set(lock_key, lock_token, nx=True, px=LOAD_LOCK_TTL_MS)
            if is_lock_owner:
                self._load_and_unlock(membership_kind, object_id, lock_key)
                return
            if time.monotonic() > deadline:
                raise Unavailable("The object is still being loaded", "busy")
            time.sleep(LOAD_POLL_INTERVAL_SECONDS)

    def _load_and_unlock(self, membership_kind: MembershipKind, object_id: str, lock_key: str) -> None:
        try:
            self._load_missing_parts(membership_kind, object_id)
        finally:
            with translate_errors("unlock a cache load"):
                self._redis.delete(lock_key)

    def _is_loaded(self, membership_kind: MembershipKind, object_id: str) -> bool:
        owner_id = self._read_cached_owner_id(membership_kind, object_id)
        if owner_id is None:
            return False
        return owner_id == "" or self.block_cache.is_loaded(owner_id, slot_of=object_id)

    def _read_cached_owner_id(self, membership_kind: MembershipKind, object_id: str) -> str | None:
        """The owner of a cached object; "" for a deleted post. None if it is not cached."""
        with translate_errors("read the cache"):
            if not self._redis.exists(membership_kind.count_key(object_id)):
                return None
            if membership_kind is USER_FOLLOWS:
                return object_id
            owner_id = self._redis.get(membership_keys.post_owner_key(object_id))
        return None if owner_id is None else str(owner_id)

    def _load_missing_parts(self, membership_kind: MembershipKind, object_id: str) -> None:
        owner_id = self._read_cached_owner_id(membership_kind, object_id)
        if owner_id is None:
            loaded_object = self._read_object(membership_kind, object_id)
            self._store_object(membership_kind, object_id, loaded_object)
            owner_id = loaded_object.owner_id
        if owner_id:
            self.block_cache.load_user_blocks(owner_id, slot_of=object_id)

    def _read_object(self, membership_kind: MembershipKind, object_id: str) -> _LoadedObject:
        """Raises Rejected (404)."""
        cache_load_token, read_at = clear_watermarks.read_cache_load_token(self._redis), time.time()
        values = {"id": object_id, "max_members": self._max_members}
        with translate_postgres_errors("read members"), self._engine.connect() as conn:
            row = conn.execute(text(membership_kind.select_object_sql), values).first()
        if row is None:
            raise membership_kind.not_found_error
        owner_id, count, member_ids = row
        if member_ids is None or len(member_ids) > self._max_members:
            return _LoadedObject(cache_load_token, read_at, owner_id, count, None)
        return _LoadedObject(cache_load_token, read_at, owner_id, len(member_ids), member_ids)

    def _store_object(
        self, membership_kind: MembershipKind, object_id: str, loaded_object: _LoadedObject
    ) -> None:
        """Stores what was read, unless it is outdated or the object was loaded meanwhile."""
        load_id = uuid4().hex
        loaded_set_key = redis_key(membership_kind.key_prefix, "loaded", load_id, slot_of=object_id)
        is_post = membership_kind is POST_LIKES
        count_key = membership_kind.count_key(object_id)
        member_ids = loaded_object.member_ids or ()
        with translate_errors("cache members"):
            if member_ids:
                self._store_members(loaded_set_key, member_ids)
            self._load_script(
                keys=[
                    count_key,
                    membership_kind.members_key(object_id),
                    membership_kind.large_key(object_id),
                    membership_keys.post_owner_key(object_id) if is_post else count_key,
                    loaded_set_key,
                    membership_keys.idle_key(object_id),
                    redis_key("ingress", "enabled", slot_of=object_id),
                    redis_key("clear", "watermark", slot_of=object_id),
                    redis_key("clear", "running", slot_of=object_id),
                ],
                args=[
                    loaded_object.owner_id if is_post else "",
                    loaded_object.load_token,
                    int((loaded_object.read_at + LOAD_TIMEOUT_SECONDS) * 1000),
                    loaded_object.count,
                    len(member_ids),
                    "" if loaded_object.member_ids is not None else load_id,
                    membership_kind.idle_set_entry(object_id),
                ],
            )

    def _store_members(self, loaded_set_key: str, member_ids: Sequence[str]) -> None:
        """Stores the members under a name of its own, in commands that are each short. The time to live is
        for a loader that dies meanwhile."""
        pipeline = self._redis.pipeline(transaction=False)
        for start in range(0, len(member_ids), MEMBERS_PER_COMMAND):
            pipeline.sadd(loaded_set_key, *member_ids[start : start + MEMBERS_PER_COMMAND])
            pipeline.expire(loaded_set_key, LOADED_SET_TTL_SECONDS)
        pipeline.execute()
