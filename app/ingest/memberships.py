"""Likes and follows: the sets of members in Redis, and the counts that readers see.

In: requests of app/ingest/membership_actions.py, reads of the blueprints. Out: sets and counts in Redis,
and an event on the ingress stream in the same atomic step; workers/bridge.py reads it.

A set instead of a counter: a repeated request cannot count twice. It is loaded from PostgreSQL once, by
one caller at a time, and is newer than the tables from then on: it never expires.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import redis
from sqlalchemy import Engine, text

from app.clients import stale_reads
from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import RedisReadCircuit, redis_key, register_script, translate_errors
from app.domain.errors import RedisFailoverActive, Unavailable
from app.domain.routing import ingress_shard_of_object
from app.failover.redis_failover import (
    INGRESS_ENABLED_KEY,
    RedisFailover,
    read_from_verified_redis,
)
from app.ingest.cache_loader import MembershipCacheLoader
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS, MembershipKind
from app.persistence.pending_follows import PendingFollows

log = logging.getLogger(__name__)
MAX_LISTED_MEMBERS = 20_000


class DesiredState(StrEnum):
    ON = "on"
    OFF = "off"
    TOGGLE = "toggle"


@dataclass(frozen=True, slots=True)
class MembershipState:
    """The state of a membership after a request, and the number of members."""

    active: bool
    count: int


@dataclass(frozen=True, slots=True)
class IngressLimits:
    """Limits of a write: number of shards, their total length, and the deadline of one call."""

    shard_count: int
    max_total_length: int
    call_deadline_seconds: float


@dataclass(frozen=True, slots=True)
class SetMembershipRequest:
    """A request to set one membership."""

    membership_kind: MembershipKind
    actor_id: str
    object_id: str
    desired_state: DesiredState
    event_id: str
    traceparent: str


class ScriptCallable(Protocol):
    """A Lua script: of redis-py, or on the connection that the greenlets of a web process share."""

    def __call__(self, keys: list[str], args: list[str | int]) -> Any: ...


class MembershipStore:
    """Each write is one round trip if its object is cached."""

    def __init__(
        self,
        connection: redis.Redis,
        engine: Engine,
        limits: IngressLimits,
        set_script: ScriptCallable | None = None,
        read_circuit: RedisReadCircuit | None = None,
        redis_failover: RedisFailover | None = None,
    ) -> None:
        self._redis = connection
        self._engine = engine
        self._limits = limits
        self._read_circuit = read_circuit or RedisReadCircuit()
        self._redis_failover = redis_failover
        self._set_script: ScriptCallable = set_script or register_script(connection, "ingest/set_membership")
        self.cache_loader = MembershipCacheLoader(connection, engine)
        self.pending_follows = PendingFollows(connection, self._read_circuit)

    def set_membership(self, request: SetMembershipRequest) -> MembershipState:
        """Raises Rejected (404) or Unavailable (ingress full, deadline exceeded, failover, no Redis)."""
        membership_kind, status = request.membership_kind, ""
        for _ in range(2):
            status, active, count = self._run_set_script(request)
            if status in ("done", "unchanged"):
                return MembershipState(bool(active), int(count))
            if status == "not_found":
                raise membership_kind.not_found_error
            if status == "full":
                raise Unavailable("Too many events are waiting; try again soon", "ingress_full")
            if status == "failover":
                raise RedisFailoverActive
            if status == "not_loaded":
                self.cache_loader.load_if_missing(membership_kind, request.object_id)
            # "deadline_exceeded": Redis was stalled and answers again. Retry once.
        raise Unavailable(*_RETRY_FAILED_ERRORS[status])

    def _run_set_script(self, request: SetMembershipRequest) -> Any:
        membership_kind, object_id, limits = (
            request.membership_kind,
            request.object_id,
            self._limits,
        )
        count_key = membership_kind.count_key(object_id)
        owner_key = redis_key("post", "owner", object_id) if membership_kind is POST_LIKES else count_key
        with translate_errors("set the membership"):
            return self._set_script(
                keys=[
                    count_key,
                    membership_kind.members_key(object_id),
                    owner_key,
                    redis_key("ingress", ingress_shard_of_object(object_id, limits.shard_count)),
                    INGRESS_ENABLED_KEY,
                ],
                args=[
                    request.actor_id,
                    request.desired_state.value,
                    int((time.time() + limits.call_deadline_seconds) * 1000),
                    limits.max_total_length,
                    limits.shard_count,
                    membership_kind.event_kind.value,
                    object_id,
                    request.event_id,
                    request.traceparent,
                ],
            )

    def get_like_counts_and_states(
        self, viewer_id: str | None, post_ids: Sequence[str]
    ) -> dict[str, tuple[int, bool]]:
        """Count and whether the viewer likes it, per post. Uncached posts are read from PostgreSQL."""
        return self._read_counts_and_states(POST_LIKES, viewer_id, post_ids)

    def list_cached_liker_ids(self, post_id: str) -> list[str] | None:
        """All users who like a post, by id in descending order, including likes that are not in the
        tables yet. None if the post is not cached or has too many likes for one call."""
        try:
            with translate_errors("read the likers"):
                count, ingress_enabled = self._redis.mget(
                    [POST_LIKES.count_key(post_id), INGRESS_ENABLED_KEY]
                )
                if ingress_enabled is None:
                    stale_reads.mark_response_stale()
                    return None
                if count is None or int(str(count)) > MAX_LISTED_MEMBERS:
                    return None
                return sorted(map(str, self._redis.smembers(POST_LIKES.members_key(post_id))))[::-1]
        except Unavailable as exc:
            log.warning("Likers are read from PostgreSQL: %s", exc, extra={"event": "likers_from_postgres"})
            stale_reads.mark_response_stale()
            return None

    def get_follower_counts_and_states(
        self, viewer_id: str | None, user_ids: Sequence[str]
    ) -> dict[str, tuple[int, bool]]:
        return self._read_counts_and_states(USER_FOLLOWS, viewer_id, user_ids)

    def _read_counts_and_states(
        self, membership_kind: MembershipKind, viewer_id: str | None, object_ids: Sequence[str]
    ) -> dict[str, tuple[int, bool]]:
        if not object_ids:
            return {}
        cached, is_complete = self._read_cached_counts_and_states(membership_kind, viewer_id, object_ids)
        uncached_ids = [object_id for object_id in object_ids if not is_complete or object_id not in cached]
        states = cached if is_complete else {}
        if uncached_ids:
            with translate_postgres_errors("read counts"), self._engine.connect() as conn:
                rows = conn.execute(
                    text(membership_kind.select_counts_sql),
                    {"viewer": viewer_id, "ids": uncached_ids},
                )
                stored = {row[0]: (row[1], row[2]) for row in rows}
            states |= {
                object_id: (count, bool(is_member)) for object_id, (count, is_member) in stored.items()
            }
            if not is_complete:
                stale_reads.mark_response_stale()
                states = {
                    object_id: _merge_count_and_membership(count_and_membership, cached.get(object_id))
                    for object_id, count_and_membership in stored.items()
                }
        return {object_id: states.get(object_id, (0, False)) for object_id in object_ids}

    def _read_cached_counts_and_states(
        self, membership_kind: MembershipKind, viewer_id: str | None, object_ids: Sequence[str]
    ) -> tuple[dict[str, tuple[int, bool]], bool]:
        """The cached states, and whether they are complete. During a Redis failover they are not, and
        without Redis there are none: PostgreSQL answers then."""
        try:
            (ingress_enabled, *counts), *memberships = read_from_verified_redis(
                self._redis_failover,
                lambda: self._fetch_cached_counts_and_states(membership_kind, viewer_id, object_ids),
            )
        except Unavailable as exc:
            log.warning("Counts are read from PostgreSQL: %s", exc, extra={"event": "counts_from_postgres"})
            return {}, False
        cached_values = zip(object_ids, counts, memberships, strict=True)
        cached = {
            object_id: (int(count), bool(is_member))
            for object_id, count, is_member in cached_values
            if count is not None
        }
        return cached, ingress_enabled is not None

    def _fetch_cached_counts_and_states(
        self, membership_kind: MembershipKind, viewer_id: str | None, object_ids: Sequence[str]
    ) -> list[Any]:
        with self._read_circuit.guard_read("read counts"):
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.mget(
                [INGRESS_ENABLED_KEY, *(membership_kind.count_key(object_id) for object_id in object_ids)]
            )
            for object_id in object_ids:
                pipeline.sismember(membership_kind.members_key(object_id), viewer_id or "")
            replies: list[Any] = pipeline.execute()
        return replies


def _merge_count_and_membership(
    stored: tuple[int, bool | None], cached: tuple[int, bool] | None
) -> tuple[int, bool]:
    """During a failover both lag: the rows behind the windows, Redis behind the failover writes. The
    higher count is closer to the truth. The viewer's own membership comes from the rows and failover
    writes, if there is one."""
    count, is_member = cached or (0, False)
    return max(stored[0], count), is_member if stored[1] is None else stored[1]


_RETRY_FAILED_ERRORS = {
    "deadline_exceeded": ("The write exceeded its deadline and had no effect", "deadline_exceeded"),
    "not_loaded": ("The post could not be loaded", "busy"),
}
