"""Loads the members of a post or user from PostgreSQL into Redis, once and by one caller at a time.

In: app/ingest/memberships.py for an object that is not cached; app/ingest/post_actions.py for a new one.
Out: the set and the count in Redis, which are newer than the tables from then on.
"""

import time
from uuid import uuid4

import redis
from sqlalchemy import Engine, text

from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import redis_key, register_script, translate_errors
from app.domain.errors import Unavailable
from app.ingest.block_cache import UserBlockCache
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS, MembershipKind
from app.persistence import clear_watermarks

LOAD_LOCK_TTL_MS = 700
"""Far longer than a usual load. If a loader is killed, the lock must expire before waiting callers time
out. Two concurrent loads do no harm: load_membership.lua keeps what was loaded first.
"""
LOAD_TIMEOUT_SECONDS = 1.5
LOAD_POLL_INTERVAL_SECONDS = 0.02
NO_CACHE_LOAD_TOKEN = "*"  # noqa: S105 - no secret
"""Load token of a new object: there was nothing to read that could be out of date."""


class MembershipCacheLoader:
    """What is loaded never expires."""

    def __init__(self, connection: redis.Redis, engine: Engine) -> None:
        self._redis = connection
        self._engine = engine
        self._load_script = register_script(connection, "ingest/load_membership")
        self.block_cache = UserBlockCache(connection, engine)

    def cache_as_empty(self, membership_kind: MembershipKind, object_id: str, owner_id: str) -> None:
        """Caches a new post or user as empty: it cannot have members yet."""
        with translate_errors("initialise a cache entry"):
            self._write_members_and_owner(membership_kind, object_id, owner_id, [NO_CACHE_LOAD_TOKEN])
        if membership_kind is USER_FOLLOWS:
            self.block_cache.cache_no_blocks(object_id)

    def load_if_missing(self, membership_kind: MembershipKind, object_id: str) -> None:
        """Loads members and count from PostgreSQL: one caller loads, the others wait for it. Raises Rejected
        (404), Unavailable."""
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
        if membership_kind is USER_FOLLOWS:
            return self.block_cache.is_loaded(object_id)
        return owner_id == "" or self._is_loaded(USER_FOLLOWS, owner_id)

    def _read_cached_owner_id(self, membership_kind: MembershipKind, object_id: str) -> str | None:
        """The owner of a cached object; "" for a deleted post. None if it is not cached."""
        with translate_errors("read the cache"):
            if not self._redis.exists(membership_kind.count_key(object_id)):
                return None
            if membership_kind is USER_FOLLOWS:
                return object_id
            owner_id = self._redis.get(redis_key("post", "owner", object_id))
        return None if owner_id is None else str(owner_id)

    def _load_missing_parts(self, membership_kind: MembershipKind, object_id: str) -> None:
        owner_id = self._read_cached_owner_id(membership_kind, object_id)
        if owner_id is None:
            owner_id = self._load_members_and_get_owner_id(membership_kind, object_id)
        if membership_kind is USER_FOLLOWS:
            self.block_cache.load_user_blocks(object_id)
        elif owner_id:
            # The followers of the owner decide the priority of a like, and the blocks whether it is allowed.
            self.load_if_missing(USER_FOLLOWS, owner_id)

    def _load_members_and_get_owner_id(self, membership_kind: MembershipKind, object_id: str) -> str:
        """Loads the members and returns the owner. Raises Rejected (404)."""
        cache_load_token = clear_watermarks.read_cache_load_token(self._redis)
        with translate_postgres_errors("read members"), self._engine.connect() as conn:
            owner_id = conn.execute(text(membership_kind.select_owner_sql), {"id": object_id}).scalar()
            if owner_id is None:
                raise membership_kind.not_found_error
            member_ids = list(
                conn.execute(text(membership_kind.select_members_sql), {"id": object_id}).scalars()
            )
        with translate_errors("cache members"):
            self._write_members_and_owner(
                membership_kind, object_id, owner_id, [cache_load_token, *member_ids]
            )
        return str(owner_id)

    def _write_members_and_owner(
        self,
        membership_kind: MembershipKind,
        object_id: str,
        owner_id: str,
        token_and_members: list[str],
    ) -> None:
        """`token_and_members`: the load token as read before the members, then the members."""
        count_key = membership_kind.count_key(object_id)
        owner_key = redis_key("post", "owner", object_id) if membership_kind is POST_LIKES else count_key
        owner_value = owner_id if membership_kind is POST_LIKES else ""
        self._load_script(
            keys=[count_key, membership_kind.members_key(object_id), owner_key],
            args=[owner_value, *token_and_members],
        )
