"""The bounded cache against a model: whatever is written, settled, evicted and loaded in between, the counts
that readers see are exact, and equal the rows in the end."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, text

from app.clients import circuit_breaker
from app.clients import redis as redis_store
from app.domain.errors import Unavailable
from app.domain.events import Event
from app.ingest import cache_eviction
from app.ingest.block_cache import blocked_set_key
from app.ingest.cache_eviction import MembershipCacheEviction
from app.ingest.membership_kinds import POST_LIKES
from app.ingest.memberships import DesiredState, IngressLimits, MembershipStore
from app.persistence.written_memberships import MembershipRow
from tests.support.fixtures import SampleUsers, insert_sample_users, insert_users, new_id
from tests.support.membership_harness import set_like
from tests.support.membership_pipeline import MembershipPipeline
from tests.support.post_counts import read_likes

pytestmark = pytest.mark.service
LIMITS = IngressLimits(1, 1_000_000, 5.0)
MAX_MEMBERS = 3
INDEXES = st.integers(0, 5)


class MembershipCacheMachine(RuleBasedStateMachine):
    """Likes of one post by six users. The post becomes large with the fourth like."""

    def __init__(
        self,
        connection: redis.Redis,
        engine: Engine,
        unreachable_engine: Engine,
        owner_id: str,
        actor_ids: list[str],
    ) -> None:
        super().__init__()
        self._redis = connection
        self._engine = engine
        self._actor_ids = actor_ids
        self._post_id = new_id()
        self._blocks_key = blocked_set_key(owner_id, slot_of=self._post_id)
        with engine.begin() as conn:
            values = {"id": self._post_id, "owner": owner_id}
            conn.execute(text("insert into posts (id, user_id) values (:id, :owner)"), values)
        self._store = MembershipStore(connection, engine, LIMITS, max_cached_members=MAX_MEMBERS)
        self._store_without_postgresql = MembershipStore(
            connection, unreachable_engine, LIMITS, max_cached_members=MAX_MEMBERS
        )
        self._pipeline = MembershipPipeline(connection, engine, LIMITS.shard_count)
        self._pipeline.take_accepted()
        self._accepted: list[Event] = []
        self._unsettled: list[tuple[Event, Mapping[MembershipRow, bool]]] = []
        self._active_ids: set[str] = set()
        self._is_exact = True
        """Whether no like was accepted whose previous state is unknown."""

    @rule(index=INDEXES, desired_state=st.sampled_from(list(DesiredState)))
    def write(self, index: int, desired_state: DesiredState) -> None:
        state = set_like(self._store, self._actor_ids[index], self._post_id, desired_state)
        self._note_accepted(self._actor_ids[index], state.active)
        if self._is_exact:
            assert state.count == len(self._active_ids)

    @rule(index=INDEXES, desired_state=st.sampled_from([DesiredState.ON, DesiredState.OFF]))
    def write_without_postgresql(self, index: int, desired_state: DesiredState) -> None:
        actor_id = self._actor_ids[index]
        is_known = bool(
            self._redis.hexists(POST_LIKES.unwritten_key(self._post_id), actor_id)
            or not self._redis.exists(POST_LIKES.large_key(self._post_id))
        )
        try:
            state = set_like(self._store_without_postgresql, actor_id, self._post_id, desired_state)
        except Unavailable:
            # The post or the blocks of its owner are not cached.
            is_cached = self._redis.exists(POST_LIKES.count_key(self._post_id), self._blocks_key)
            assert is_cached < 2
            return
        finally:
            # The other store has a PostgreSQL that answers, but the breaker is global to the process.
            circuit_breaker.configure_all_breakers(failure_threshold=5, reset_seconds=10)
        self._is_exact = self._is_exact and is_known
        self._note_accepted(actor_id, state.active)

    def _note_accepted(self, actor_id: str, is_active: bool) -> None:
        self._accepted += self._pipeline.take_accepted()
        (self._active_ids.add if is_active else self._active_ids.discard)(actor_id)

    @precondition(lambda self: self._accepted)
    @rule(position=st.integers(0, 10**6))
    def write_row(self, position: int) -> None:
        """Any of the waiting events: windows and lanes change the order of different users and of one."""
        event = self._accepted.pop(position % len(self._accepted))
        self._unsettled.append((event, self._pipeline.write([event])))

    @precondition(lambda self: self._unsettled)
    @rule(position=st.integers(0, 10**6), has_crashed=st.booleans())
    def settle(self, position: int, has_crashed: bool) -> None:
        """After a crash the write is repeated first, and the previous state is not known any more."""
        event, was_active_by_row = self._unsettled.pop(position % len(self._unsettled))
        if has_crashed:
            was_active_by_row = self._pipeline.write([event])
        self._pipeline.settle([event], was_active_by_row)

    @rule()
    def evict(self) -> None:
        MembershipCacheEviction(self._redis, idle_seconds=0.0).step()
        if not self._redis.exists(POST_LIKES.count_key(self._post_id)):
            self._is_exact = True

    @rule()
    def load(self) -> None:
        self._store.cache_loader.load_if_missing(POST_LIKES, self._post_id)

    @invariant()
    def readers_see_the_accepted_state(self) -> None:
        for actor_id in self._actor_ids:
            count, is_active = read_likes(self._store, actor_id, self._post_id)
            assert is_active is (actor_id in self._active_ids)
            if self._is_exact:
                assert count == len(self._active_ids)

    def teardown(self) -> None:
        while self._accepted:
            self.write_row(0)
        while self._unsettled:
            self.settle(0, has_crashed=False)
        if self._redis.hget(POST_LIKES.large_key(self._post_id), "recount") is None:
            self._is_exact = True
            self.readers_see_the_accepted_state()
        self.evict()
        assert self._redis.keys(f"*{self._post_id}*") == []
        self.readers_see_the_accepted_state()


def test_counts_are_exact_through_writes_settling_eviction_and_loads(
    real_redis: redis.Redis,
    environment: dict[str, str],
    engine: Engine,
    unreachable_engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache_eviction, "MIN_IDLE_SECONDS", 0.0)
    sample_users: SampleUsers = insert_sample_users(engine)
    actor_ids = insert_users(engine, *(f"A{n}" for n in range(6)))
    connection = redis_store.create_redis_client(environment["REDIS_URL"])
    create_machine: Any = partial(
        MembershipCacheMachine, connection, engine, unreachable_engine, sample_users.alice_id, actor_ids
    )
    run_state_machine_as_test(
        create_machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
