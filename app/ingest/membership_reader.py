"""Reads the counts of posts and users, and whether the viewer likes or follows them.

In: reads of the blueprints and of the live counts. Out: what app/ingest accepted, from Redis; from PostgreSQL
for objects that are not cached, and for the members of large ones.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
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
class PostCounts:
    like_count: int
    comment_count: int
    is_liked: bool


@dataclass(frozen=True, slots=True)
class ObjectState:
    """What one store has of a post or a user, in the order of MembershipKind.count_keys(). None: it does not
    have it."""

    is_member: bool | None
    counts: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class _CachedStates:
    """What Redis has. During a Redis failover it is not complete, and without Redis there is nothing:
    PostgreSQL answers then."""

    state_by_object: dict[str, ObjectState]
    large_object_ids: frozenset[str] = frozenset()
    """Of these only PostgreSQL knows whether the viewer is a member."""
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

    def read_post_counts(
        self,
        viewer_id: str | None,
        post_ids: Sequence[str],
        stored: Mapping[str, ObjectState] | None = None,
    ) -> dict[str, PostCounts]:
        """`stored`: what the caller has just read from the tables; other posts are read when Redis does not
        have them. One round trip to Redis. Raises Unavailable.

        A post of `stored` whose likes are written and evicted from Redis between the two reads has the older
        count in this one answer. Both within a millisecond, of a post that was the longest unused: accepted
        for one round trip less."""
        states = self._read_states(POST_LIKES, viewer_id, post_ids, stored or {})
        return {
            post_id: PostCounts(like_count or 0, comment_count or 0, bool(state.is_member))
            for post_id, state in states.items()
            for like_count, comment_count in [state.counts]
        }

    def get_follower_counts_and_states(
        self, viewer_id: str | None, user_ids: Sequence[str]
    ) -> dict[str, tuple[int, bool]]:
        """Number of followers and whether the viewer is one, per user. Raises Unavailable."""
        states = self._read_states(USER_FOLLOWS, viewer_id, user_ids, {})
        return {user_id: (state.counts[0] or 0, bool(state.is_member)) for user_id, state in states.items()}

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

    def _read_states(
        self,
        membership_kind: MembershipKind,
        viewer_id: str | None,
        object_ids: Sequence[str],
        stored: Mapping[str, ObjectState],
    ) -> dict[str, ObjectState]:
        if not object_ids:
            return {}
        cached = self._read_cached_states(membership_kind, viewer_id, object_ids)
        lacking_ids = [
            object_id
            for object_id, state in cached.state_by_object.items()
            # Read after Redis: a like that was settled in between is in the tables by now.
            if object_id in cached.large_object_ids
            or (object_id not in stored and (not cached.is_complete or None in state.counts))
        ]
        try:
            stored = {**stored, **self._read_stored_states(membership_kind, viewer_id, lacking_ids)}
        except Unavailable as exc:
            if not cached.is_complete or not cached.large_object_ids.issuperset(lacking_ids):
                raise
            log.warning("Some memberships are unknown: %s", exc, extra={"event": "memberships_unknown"})
            stale_reads.mark_response_stale()
        if not cached.is_complete:
            stale_reads.mark_response_stale()
        merge = _complete_cached if cached.is_complete else _merge_lagging
        return {
            object_id: merge(state, stored[object_id]) if object_id in stored else state
            for object_id, state in cached.state_by_object.items()
        }

    def _read_stored_states(
        self, membership_kind: MembershipKind, viewer_id: str | None, object_ids: Sequence[str]
    ) -> dict[str, ObjectState]:
        if not object_ids:
            return {}
        values = {"viewer": viewer_id, "ids": list(object_ids)}
        with translate_postgres_errors("read counts"), self._engine.connect() as conn:
            rows = conn.execute(text(membership_kind.select_counts_sql), values)
            return {object_id: ObjectState(active, tuple(counts)) for object_id, *counts, active in rows}

    def _read_cached_states(
        self, membership_kind: MembershipKind, viewer_id: str | None, object_ids: Sequence[str]
    ) -> _CachedStates:
        try:
            ingress_enabled, *states = read_from_verified_redis(
                self._redis_failover,
                lambda: self._fetch_cached_states(membership_kind, viewer_id, object_ids),
            )
        except Unavailable as exc:
            log.warning("Counts are read from PostgreSQL: %s", exc, extra={"event": "counts_from_postgres"})
            nothing = ObjectState(None, (None,) * len(membership_kind.count_keys("")))
            return _CachedStates(dict.fromkeys(object_ids, nothing))
        state_by_object: dict[str, ObjectState] = {}
        large_ids: set[str] = set()
        for object_id, (is_member, unwritten, is_large, count_texts) in zip(object_ids, states, strict=True):
            # Below zero while users who are not members are assumed to be (set_membership.lua).
            counts = tuple(None if count is None else max(int(count), 0) for count in count_texts)
            if counts[0] is None:
                is_member = None
            elif unwritten is not None:
                is_member = str(unwritten).split(" ")[1] == "1"
            elif is_large:
                is_member = None
                large_ids.add(object_id)
            state_by_object[object_id] = ObjectState(None if is_member is None else bool(is_member), counts)
        return _CachedStates(state_by_object, frozenset(large_ids), ingress_enabled is not None)

    def _fetch_cached_states(
        self, membership_kind: MembershipKind, viewer_id: str | None, object_ids: Sequence[str]
    ) -> list[Any]:
        """Whether the ingress is enabled; then per object: in the set of members, unwritten event, large,
        counts."""
        with REDIS_HEALTH.guard_read("read counts"):
            pipeline = self._redis.pipeline(transaction=False)
            if viewer_id is not None:
                for object_id in object_ids:
                    pipeline.sismember(membership_kind.members_key(object_id), viewer_id)
                    pipeline.hget(membership_kind.unwritten_key(object_id), viewer_id)
                    pipeline.exists(membership_kind.large_key(object_id))
            # Last: an object that is evicted meanwhile has no count, and is read from PostgreSQL.
            pipeline.mget([INGRESS_ENABLED_KEY, *_list_count_keys(membership_kind, object_ids)])
            *memberships, (ingress_enabled, *counts) = pipeline.execute()
        per_object = len(counts) // len(object_ids)
        nobody = (False, None, False)
        return [ingress_enabled] + [
            (
                *(memberships[3 * index : 3 * index + 3] or nobody),
                counts[index * per_object : (index + 1) * per_object],
            )
            for index in range(len(object_ids))
        ]


def _list_count_keys(membership_kind: MembershipKind, object_ids: Iterable[str]) -> list[str]:
    return [key for object_id in object_ids for key in membership_kind.count_keys(object_id)]


def _complete_cached(cached: ObjectState, stored: ObjectState) -> ObjectState:
    """Redis is newer; the tables have what it lacks."""
    return ObjectState(
        stored.is_member if cached.is_member is None else cached.is_member,
        tuple(
            stored_count if count is None else count
            for count, stored_count in zip(cached.counts, stored.counts, strict=True)
        ),
    )


def _merge_lagging(cached: ObjectState, stored: ObjectState) -> ObjectState:
    """During a failover both lag: the rows behind the windows, Redis behind the failover writes. The
    higher count is closer to the truth. The viewer's own membership comes from the rows, if there is one."""
    return ObjectState(
        cached.is_member if stored.is_member is None else stored.is_member,
        tuple(
            max(count or 0, stored_count or 0)
            for count, stored_count in zip(cached.counts, stored.counts, strict=True)
        ),
    )
