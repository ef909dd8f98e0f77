"""Likes and follows: a bounded cache of members in Redis, and the counts that readers see (docs/adr/0022).

In: requests of app/ingest/membership_actions.py. Out: counts and members in Redis, and an event on the
ingress stream in the same atomic step; workers/bridge.py reads it.

A set instead of a counter: a repeated request cannot count twice. An object is loaded from PostgreSQL once,
by one caller at a time, and is newer than the tables from then on. Of an object with too many members Redis
has the count and the events that are not written yet; any other user is looked up in PostgreSQL.
"""

import logging
import time
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol

import redis
from sqlalchemy import Engine, text

from app.clients import stale_reads
from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import redis_key, register_script, translate_errors
from app.domain.errors import RedisFailoverActive, Unavailable
from app.domain.routing import ingress_shard_of_object
from app.failover.redis_failover import RedisFailover
from app.ingest.block_cache import blocked_set_key
from app.ingest.cache_loader import DEFAULT_MAX_MEMBERS, MembershipCacheLoader
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS, MembershipKind
from app.ingest.membership_reader import MembershipReader
from app.persistence import membership_keys
from app.persistence.pending_follows import PendingFollows, pending_follows_key

log = logging.getLogger(__name__)
MAX_ATTEMPTS = 6
"""Calls of the script per request: the owner is learned, the object loaded, the user looked up, or a lookup
was overtaken by a write."""
MAX_REMEMBERED_OWNERS = 50_000
MAX_OBJECTS_WITH_KEYS = 2_000
"""Objects whose keys are kept, about 1 kB each: building them took a tenth of a like's own time."""
UNKNOWN_STATE = "?"


class DesiredState(StrEnum):
    ON = "on"
    OFF = "off"
    TOGGLE = "toggle"


@dataclass(frozen=True, slots=True)
class MembershipState:
    """The state of a membership after a request, and the number of members."""

    active: bool
    count: int
    is_published: bool = True
    """Whether there is an event. A request that changes nothing has one too, unless the ingress is full."""


@dataclass(frozen=True, slots=True)
class IngressLimits:
    """Limits of a write: number of shards, their total length, and the deadline of one call."""

    shard_count: int
    max_total_length: int
    call_deadline_seconds: float

    @property
    def max_shard_length(self) -> int:
        return max(1, self.max_total_length // self.shard_count)


@dataclass(frozen=True, slots=True)
class SetMembershipRequest:
    """A request to set one membership."""

    membership_kind: MembershipKind
    actor_id: str
    object_id: str
    desired_state: DesiredState
    event_id: str
    traceparent: str


@dataclass(slots=True)
class _StoredState:
    """The actor's membership in PostgreSQL: "0", "1", UNKNOWN_STATE, or "" before it was looked up."""

    active: str = ""
    version: str = ""
    """What the script returned before the lookup: it refuses the state if something was written since."""
    looked_up_at: float = field(default_factory=time.time)


class ScriptCallable(Protocol):
    """A Lua script: of redis-py, or on the connection that the greenlets of a web process share."""

    def __call__(self, keys: list[str], args: list[str | int]) -> Any: ...


class MembershipStore(MembershipReader):
    """Each write is one round trip if its object is cached and the user known."""

    def __init__(
        self,
        connection: redis.Redis,
        engine: Engine,
        limits: IngressLimits,
        set_script: ScriptCallable | None = None,
        redis_failover: RedisFailover | None = None,
        max_cached_members: int = DEFAULT_MAX_MEMBERS,
    ) -> None:
        super().__init__(connection, engine, redis_failover)
        self._limits = limits
        self._max_cached_members = max_cached_members
        self._set_script: ScriptCallable = set_script or register_script(connection, "ingest/set_membership")
        self._owner_by_post: dict[str, str] = {}
        """A post never changes its owner; the script checks it."""
        self._script_keys = lru_cache(MAX_OBJECTS_WITH_KEYS)(self._build_script_keys)
        self.cache_loader = MembershipCacheLoader(connection, engine, max_cached_members)
        self.pending_follows = PendingFollows(connection)

    def set_membership(self, request: SetMembershipRequest) -> MembershipState:
        """Raises Rejected (404) or Unavailable (ingress full, deadline exceeded, failover, no Redis). Marks
        the response as stale if the count is corrected later."""
        status, stored_state = "", _StoredState()
        may_retry = {"not_loaded", "deadline_exceeded"}
        for _ in range(MAX_ATTEMPTS):
            status, active, count, detail = self._run_set_script(request, stored_state)
            if status in _ACCEPTED_STATUSES:
                if status == "unknown_previous":
                    stale_reads.mark_response_stale()
                return MembershipState(bool(active), int(count), status != "unpublished")
            stored_state = self._prepare_retry(request, status, detail, may_retry)
        raise Unavailable(*_RETRY_FAILED_ERRORS[status])

    def _prepare_retry(
        self, request: SetMembershipRequest, status: str, detail: str, may_retry: set[str]
    ) -> _StoredState:
        """Obtains what the script lacked, and returns the looked-up state for the next call. Raises the error
        of a final status, and of one that is not in `may_retry` any more."""
        if status == "not_found":
            raise request.membership_kind.not_found_error
        if status == "full":
            raise Unavailable("Too many events are waiting; try again soon", "ingress_full")
        if status == "failover":
            raise RedisFailoverActive
        if status == "other_owner":
            self._remember_owner(request.object_id, detail)
        elif status == "unknown_member":
            return self._look_up_state(request, detail)
        elif status not in may_retry:
            raise Unavailable(*_RETRY_FAILED_ERRORS[status])
        elif status == "not_loaded":
            self.cache_loader.load_if_missing(request.membership_kind, request.object_id)
        # "deadline_exceeded": Redis was stalled and answers again. Retry once.
        may_retry.discard(status)
        return _StoredState()

    def _remember_owner(self, post_id: str, owner_id: str) -> None:
        if len(self._owner_by_post) >= MAX_REMEMBERED_OWNERS:
            self._owner_by_post.clear()
        self._owner_by_post[post_id] = owner_id

    def _look_up_state(self, request: SetMembershipRequest, version: str) -> _StoredState:
        """Raises Unavailable without PostgreSQL for a toggle, which needs the present state."""
        looked_up_at = time.time()
        values = {"id": request.object_id, "actor": request.actor_id}
        try:
            with translate_postgres_errors("look up a membership"), self._engine.connect() as conn:
                is_active = conn.execute(text(request.membership_kind.select_state_sql), values).scalar()
        except Unavailable as exc:
            if request.desired_state is DesiredState.TOGGLE:
                raise
            log.info("A membership is unknown: %s", exc, extra={"event": "membership_unknown"})
            return _StoredState(UNKNOWN_STATE, version, time.time())
        return _StoredState("1" if is_active else "0", version, looked_up_at)

    def _run_set_script(self, request: SetMembershipRequest, stored_state: _StoredState) -> Any:
        object_id, limits = request.object_id, self._limits
        is_like = request.membership_kind is POST_LIKES
        owner_id = self._owner_by_post.get(object_id, "") if is_like else object_id
        keys, idle_set_entries = self._script_keys(is_like, object_id, owner_id)
        if not is_like:
            keys = [*keys, pending_follows_key(request.actor_id, slot_of=object_id)]
        with translate_errors("set the membership"):
            return self._set_script(
                keys=keys,
                args=[
                    request.actor_id,
                    request.desired_state.value,
                    int((stored_state.looked_up_at + limits.call_deadline_seconds) * 1000),
                    limits.max_shard_length,
                    request.membership_kind.event_kind.value,
                    object_id,
                    request.event_id,
                    request.traceparent,
                    owner_id,
                    stored_state.active,
                    stored_state.version,
                    membership_keys.user_bucket(request.actor_id),
                    self._max_cached_members,
                    *idle_set_entries,
                ],
            )

    def _build_script_keys(self, is_like: bool, object_id: str, owner_id: str) -> tuple[list[str], list[str]]:
        """The keys that do not depend on the actor, and the names of the object in the set of idle ones."""
        membership_kind = POST_LIKES if is_like else USER_FOLLOWS
        count_key = membership_kind.count_key(object_id)
        shard = ingress_shard_of_object(object_id, self._limits.shard_count)
        keys = [
            count_key,
            membership_kind.members_key(object_id),
            membership_kind.unwritten_key(object_id),
            membership_kind.large_key(object_id),
            membership_keys.post_owner_key(object_id) if is_like else count_key,
            blocked_set_key(owner_id, slot_of=shard),
            redis_key("ingress", shard, slot_of=shard),
            redis_key("ingress", "enabled", slot_of=shard),
            membership_keys.idle_key(slot_of=shard),
        ]
        return keys, [
            membership_kind.idle_set_entry(object_id),
            membership_keys.blocks_idle_set_entry(owner_id),
        ]


_ACCEPTED_STATUSES = frozenset({"done", "unchanged", "unknown_previous", "unpublished"})
_RETRY_FAILED_ERRORS = {
    "deadline_exceeded": ("The write exceeded its deadline and had no effect", "deadline_exceeded"),
    "not_loaded": ("The post could not be loaded", "busy"),
    "other_owner": ("The post could not be loaded", "busy"),
    "unknown_member": ("The post changes too quickly", "busy"),
}
