"""The Lua scripts against Python models: the same random input gives the same results on real Redis."""

from dataclasses import dataclass, field
from random import Random

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from app.aggregation.windows import WindowStore
from app.clients import redis as redis_store
from app.domain.event_codec import event_from_stream_fields
from app.domain.windows import ReferenceWindow, WindowDecision
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS
from app.ingest.memberships import DesiredState, IngressLimits, MembershipState, MembershipStore
from tests.support.fixtures import like_event, new_id, unsaved_sample_users
from tests.support.ingress_harness import stream_entries
from tests.support.membership_harness import set_like
from tests.support.partition_harness import PartitionHarness

pytestmark = pytest.mark.service
ACTOR_IDS = [new_id() for _ in range(5)]
# Each example has its own post, so Redis need not be emptied between examples.
hypothesis_settings = settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def app_redis_client(real_redis: redis.Redis, environment: dict[str, str]) -> redis.Redis:
    return redis_store.create_redis_client(environment["REDIS_URL"])


seeds = st.integers(0, 2**32 - 1)


@hypothesis_settings
@given(seeds)
def test_gather_script_decides_like_the_domain_model(app_redis_client: redis.Redis, seed: int) -> None:
    random = Random(seed)
    instant_quota, batch_size = random.randint(0, 4), random.randint(1, 6)
    changes = [
        (random.choice(ACTOR_IDS), random.randint(1, 12), random.random() < 0.7)
        for _ in range(random.randint(1, 25))
    ]
    sample_users = unsaved_sample_users()
    events = [like_event(actor_id, sample_users, seq, active) for actor_id, seq, active in changes]
    partition_harness = PartitionHarness(WindowStore(app_redis_client), new_id())
    reference_window = ReferenceWindow()

    decisions: list[WindowDecision] = []
    for start in range(0, len(events), batch_size):
        decisions += partition_harness.offer(*events[start : start + batch_size], instant_quota=instant_quota)

    assert decisions == [reference_window.offer_event(event, instant_quota) for event in events]
    assert _gathered_seqs(app_redis_client, sample_users.post_id) == {
        member: seq
        for member, (seq, decision) in reference_window.decisions.items()
        if decision is WindowDecision.GATHERED
    }


def _gathered_seqs(redis_connection: redis.Redis, post_id: str) -> dict[str, int]:
    """Member -> seq in the window of one post, which this claims."""
    claimed_windows = WindowStore(redis_connection).claim_due_windows(10**12, 10**6, 10**6)
    return {
        event.window_entry_key: event.seq
        for window in claimed_windows
        if window.object_id == post_id
        for event in window.events
    }


@dataclass
class LikesModel:
    """What set_membership.lua does, as a Python model."""

    actor_ids: set[str] = field(default_factory=set)
    events: list[tuple[str, bool]] = field(default_factory=list)

    def set_like(self, actor_id: str, desired_state: DesiredState) -> MembershipState:
        was_active = actor_id in self.actor_ids
        is_active = (
            not was_active if desired_state is DesiredState.TOGGLE else desired_state is DesiredState.ON
        )
        if is_active != was_active:
            self.actor_ids ^= {actor_id}
        self.events.append((actor_id, is_active))
        return MembershipState(is_active, len(self.actor_ids))


@hypothesis_settings
@given(seeds)
def test_set_membership_script_behaves_like_a_set(
    app_redis_client: redis.Redis, unreachable_engine: Engine, seed: int
) -> None:
    random = Random(seed)
    sample_users, model, shard_count = unsaved_sample_users(), LikesModel(), 1
    memberships = MembershipStore(
        app_redis_client, unreachable_engine, IngressLimits(shard_count, 10**6, 5.0)
    )
    memberships.cache_loader.cache_as_empty(USER_FOLLOWS, sample_users.alice_id, sample_users.alice_id)
    memberships.cache_loader.cache_as_empty(POST_LIKES, sample_users.post_id, sample_users.alice_id)

    for _ in range(random.randint(1, 25)):
        actor_id, desired_state = random.choice(ACTOR_IDS), random.choice(list(DesiredState))
        state = set_like(memberships, actor_id, sample_users.post_id, desired_state)
        assert state == model.set_like(actor_id, desired_state)

    events = [event_from_stream_fields(*entry) for entry in stream_entries(app_redis_client, 1)]
    events_of_post = [event for event in events if event.object_id == sample_users.post_id]
    assert [(event.actor_id, event.active) for event in events_of_post] == model.events
    assert app_redis_client.smembers(f"like:users:{sample_users.post_id}") == model.actor_ids
