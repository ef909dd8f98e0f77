"""Reads likes and follows: counts, and whether the viewer is a member.

In: reads of the blueprints. Out: what app/ingest/memberships.py accepted, from Redis; from PostgreSQL for
objects that are not cached, and for the members of large ones.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis
from sqlalchemy import Engine, text

from app.clients import stale_reads
from app.clients.postgres import autocommit_engine
from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import redis_key, translate_errors
from app.clients.redis_health import REDIS_HEALTH
from app.domain.errors import Unavailable
from app.failover.redis_failover import INGRESS_ENABLED_KEY, RedisFailover, read_from_verified_redis
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS, MembershipKind

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _CachedStates:
    """What Redis has. During a Redis failover it is not complete, and without Redis there is nothing:
    PostgreSQL answers then."""

    state_by_object: dict[str, tuple[int, bool]]
    unknown_object_ids: Sequence[str] = ()
    """Large objects among them, of which only PostgreSQL knows whether the viewer is a member."""
    is_complete: bool = False


class MembershipReader:
    def __init__(
        self,
        connection: redis.Redis,
        engine: Engine,
        redis_failover: RedisFailover | None,
    ) -> None:
        self._redis = connection
        self._engine = autocommit_engine(engine)
        self._redis_failover = redis_failover

    def get_like_counts_and_states(
        self, viewer_id: str | None, post_ids: Sequence[str]
    ) -> dict[str, tuple[int, bool]]:
        """Count and whether the viewer likes it, per post. Uncached posts are read from PostgreSQL."""
        return self._read_counts_and_states(POST_LIKES, viewer_id, post_ids)

    def get_follower_counts_and_states(
        self, viewer_id: str | None, user_ids: Sequence[str]
    ) -> dict[str, tuple[int, bool]]:
        return self._read_counts_and_states(USER_FOLLOWS, viewer_id, user_ids)

    def list_cached_liker_ids(self, post_id: str) -> list[str] | None:
        """All users who like a post, by id in descending order, including likes that are not in the
        tables yet. None if the post is not cached or has too many likes for one call."""
        try:
            with translate_errors("read the likers"):
                pipeline = self._redis.pipeline(transaction=True)
                pipeline.exists(redis_key("ingress", "enabled", slot_of=post_id))
                pipeline.exists(POST_LIKES.count_key(post_id))
                pipeline.exists(POST_LIKES.large_key(post_id))
                pipeline.smembers(POST_LIKES.members_key(post_id))
                ingress_enabled, is_cached, is_large, member_ids = pipeline.execute()
        except Unavailable as exc:
            log.warning("Likers are read from PostgreSQL: %s", exc, extra={"event": "likers_from_postgres"})
            stale_reads.mark_response_stale()
            return None
        if not ingress_enabled:
            stale_reads.mark_response_stale()
        if not ingress_enabled or not is_cached or is_large:
            return None
        return sorted(map(str, member_ids), reverse=True)

    def _read_counts_and_states(
        self, membership_kind: MembershipKind, viewer_id: str | None, object_ids: Sequence[str]
    ) -> dict[str, tuple[int, bool]]:
        if not object_ids:
            return {}
        cached = self._read_cached_states(membership_kind, viewer_id, object_ids)
        if not cached.is_complete:
            stored = self._read_stored_states(membership_kind, viewer_id, object_ids)
            stale_reads.mark_response_stale()
            states = {
                object_id: _merge_count_and_membership(state, cached.state_by_object.get(object_id))
                for object_id, state in stored.items()
            }
        else:
            states = self._complete_states(membership_kind, viewer_id, object_ids, cached)
        return {object_id: states.get(object_id, (0, False)) for object_id in object_ids}

    def _complete_states(
        self,
        membership_kind: MembershipKind,
        viewer_id: str | None,
        object_ids: Sequence[str],
        cached: _CachedStates,
    ) -> dict[str, tuple[int, bool]]:
        states = dict(cached.state_by_object)
        uncached_ids = [object_id for object_id in object_ids if object_id not in states]
        try:
            stored = self._read_stored_states(
                membership_kind, viewer_id, [*uncached_ids, *cached.unknown_object_ids]
            )
        except Unavailable as exc:
            if uncached_ids:
                raise
            log.warning("Some memberships are unknown: %s", exc, extra={"event": "memberships_unknown"})
            stale_reads.mark_response_stale()
            return states
        for object_id, (count, is_member) in stored.items():
            cached_count = states[object_id][0] if object_id in states else count
            states[object_id] = cached_count, bool(is_member)
        return states

    def _read_stored_states(
        self, membership_kind: MembershipKind, viewer_id: str | None, object_ids: Sequence[str]
    ) -> dict[str, tuple[int, bool | None]]:
        if not object_ids:
            return {}
        values = {"viewer": viewer_id, "ids": list(object_ids)}
        with translate_postgres_errors("read counts"), self._engine.connect() as conn:
            rows = conn.execute(text(membership_kind.select_counts_sql), values)
            return {row[0]: (row[1], row[2]) for row in rows}

    def _read_cached_states(
        self, membership_kind: MembershipKind, viewer_id: str | None, object_ids: Sequence[str]
    ) -> _CachedStates:
        try:
            *replies, (ingress_enabled, *counts) = read_from_verified_redis(
                self._redis_failover,
                lambda: self._fetch_cached_states(membership_kind, viewer_id, object_ids),
            )
        except Unavailable as exc:
            log.warning("Counts are read from PostgreSQL: %s", exc, extra={"event": "counts_from_postgres"})
            return _CachedStates({})
        state_by_object: dict[str, tuple[int, bool]] = {}
        unknown_ids: list[str] = []
        for index, (object_id, count) in enumerate(zip(object_ids, counts, strict=True)):
            if count is None:
                continue
            is_member, unwritten, is_large = replies[3 * index : 3 * index + 3]
            if unwritten is not None:
                is_member = str(unwritten).split(" ")[1] == "1"
            elif is_large and viewer_id is not None:
                unknown_ids.append(object_id)
            # Below zero while users who are not members are assumed to be (set_membership.lua).
            state_by_object[object_id] = max(int(count), 0), bool(is_member)
        return _CachedStates(state_by_object, unknown_ids, ingress_enabled is not None)

    def _fetch_cached_states(
        self, membership_kind: MembershipKind, viewer_id: str | None, object_ids: Sequence[str]
    ) -> list[Any]:
        with REDIS_HEALTH.guard_read("read counts"):
            pipeline = self._redis.pipeline(transaction=False)
            for object_id in object_ids:
                pipeline.sismember(membership_kind.members_key(object_id), viewer_id or "")
                pipeline.hget(membership_kind.unwritten_key(object_id), viewer_id or "")
                pipeline.exists(membership_kind.large_key(object_id))
            # Last: an object that is evicted meanwhile has no count, and is read from PostgreSQL.
            pipeline.mget(
                [INGRESS_ENABLED_KEY, *(membership_kind.count_key(object_id) for object_id in object_ids)]
            )
            replies: list[Any] = pipeline.execute()
        return replies


def _merge_count_and_membership(
    stored: tuple[int, bool | None], cached: tuple[int, bool] | None
) -> tuple[int, bool]:
    """During a failover both lag: the rows behind the windows, Redis behind the failover writes. The
    higher count is closer to the truth. The viewer's own membership comes from the rows, if there is one."""
    count, is_member = cached or (0, False)
    return max(stored[0], count), is_member if stored[1] is None else stored[1]
