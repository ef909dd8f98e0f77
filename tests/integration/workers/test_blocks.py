"""Blocks while follows and likes are in transit, and the cache of blocks in Redis."""

import pytest
import redis

from app.domain.errors import Rejected
from app.ingest.actions import DesiredState
from app.ingest.block_cache import UserBlockCache, blocks_changing_key
from app.ingest.memberships import MembershipState
from tests.conftest import empty_redis
from tests.support.pipeline_harness import PipelineHarness, PipelineUser
from tests.support.redis_failover_harness import RedisFailoverHarness

pytestmark = pytest.mark.service


@pytest.fixture
def ann(pipeline: PipelineHarness) -> PipelineUser:
    (ann,) = pipeline.create_users("Ann")
    return ann


def active_follows(pipeline: PipelineHarness) -> list[tuple[object, ...]]:
    return pipeline.query("select 1 from follows where active")


def counts(pipeline: PipelineHarness, *users: PipelineUser) -> list[tuple[int, int]]:
    """Follower counts of each user, in the table and in Redis."""
    rows = dict(pipeline.query("select id::text, follower_count from users"))
    return [(rows[user.id], int(pipeline.redis.get(f"follow:count:{user.id}") or 0)) for user in users]


def outcome_count(pipeline: PipelineHarness, outcome: str) -> int:
    return int(pipeline.redis.hget("stage:aggregator", outcome) or 0)


def test_follow_in_flight_when_a_block_is_made_leaves_no_follow(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    ann.follow(pipeline.alice)
    pipeline.alice.follow(ann)

    pipeline.actions.block_user(pipeline.alice.id, ann.id)
    pipeline.run_until_idle()

    assert active_follows(pipeline) == []
    assert counts(pipeline, ann, pipeline.alice) == [(0, 0), (0, 0)]
    assert ann.client_events() == pipeline.alice.client_events() == []


def test_block_removes_a_written_follow_from_table_count_and_list(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    ann.follow(pipeline.alice)
    pipeline.run_until_idle()

    pipeline.actions.block_user(pipeline.alice.id, ann.id)
    assert active_follows(pipeline) == []  # before any worker step
    pipeline.run_until_idle()

    assert counts(pipeline, pipeline.alice) == [(0, 0)]
    assert pipeline.query("select actor_count from notifications") == [(0,)]
    assert pipeline.alice.unread_count == 0


def test_follow_arriving_from_kafka_after_the_block_is_suppressed_with_its_reason(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    """As published by a web process that did not know the block yet."""
    ann.follow(pipeline.alice)
    pipeline.actions.block_user(pipeline.alice.id, ann.id)
    pipeline.redis.delete(f"follow:blocked:{pipeline.alice.id}")
    pipeline.redis.sadd(f"follow:blocked:{pipeline.alice.id}", "")
    ann.follow(pipeline.alice)

    pipeline.run_until_idle()

    assert active_follows(pipeline) == []
    assert outcome_count(pipeline, "blocked") == 2


def test_failover_follow_that_overtakes_a_block_leaves_no_follow(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    failover = RedisFailoverHarness(pipeline)
    failover.actions.set_follow(ann.id, pipeline.alice.id, DesiredState.ON)
    failover.actions.block_user(pipeline.alice.id, ann.id)
    pipeline.run_until_idle()

    assert active_follows(pipeline) == []
    with pytest.raises(Rejected):
        failover.actions.set_follow(ann.id, pipeline.alice.id, DesiredState.ON)
    with pytest.raises(Rejected):
        failover.actions.set_follow(pipeline.alice.id, ann.id, DesiredState.ON)
    failover.fail_back()
    assert counts(pipeline, ann, pipeline.alice) == [(0, 0), (0, 0)]


def test_block_made_or_lifted_without_redis_is_effective_once_redis_is_back(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    alice = pipeline.alice
    alice.create_post("Hello")
    assert ann.like("Hello") == MembershipState(True, 1)
    failover = RedisFailoverHarness(pipeline)

    failover.actions.block_user(alice.id, ann.id)
    with pytest.raises(Rejected):
        failover.like(ann)
    failover.fail_back()
    with pytest.raises(Rejected):
        failover.like_with_redis(ann)

    failover.actions.unblock_user(alice.id, ann.id)
    failover.fail_back()
    assert failover.like_with_redis(ann) == MembershipState(True, 1)


def test_block_interrupted_before_its_transaction_is_dropped_by_redis(
    pipeline: PipelineHarness, ann: PipelineUser, real_redis: redis.Redis
) -> None:
    pipeline.alice.create_post("Hello")
    ann.like("Hello")
    cache = UserBlockCache(real_redis, pipeline.engine)

    cache.apply_before_transaction(pipeline.alice.id, ann.id, True)  # and the process is killed

    with pytest.raises(Rejected):
        ann.like("Hello")
    assert 0 < real_redis.pttl(f"follow:blocked:{pipeline.alice.id}") <= 30_000
    real_redis.delete(f"follow:blocked:{pipeline.alice.id}")  # as if it had expired
    assert ann.like("Hello") == MembershipState(True, 1)


def test_blocks_read_before_a_change_are_not_cached_after_it(
    pipeline: PipelineHarness, ann: PipelineUser, real_redis: redis.Redis
) -> None:
    cache = UserBlockCache(real_redis, pipeline.engine)
    real_redis.delete(f"follow:blocked:{pipeline.alice.id}")
    store = cache._store_blocked_ids
    stored: list[object] = []

    def block_then_store(user_id: str, slot_of: str, values: list[str]) -> None:
        pipeline.actions.block_user(
            pipeline.alice.id, ann.id
        )  # between reading the table and filling the cache
        real_redis.delete(f"follow:blocked:{user_id}")
        stored.append(values)
        store(user_id, slot_of, values)

    cache._store_blocked_ids = block_then_store  # type: ignore[method-assign, assignment]
    cache.load_user_blocks(pipeline.alice.id, slot_of=pipeline.alice.id)

    assert stored
    assert not cache.is_loaded(pipeline.alice.id, slot_of=pipeline.alice.id)
    pipeline.alice.create_post("Hello")
    with pytest.raises(Rejected):
        ann.like("Hello")


def test_blocks_read_during_a_change_are_read_again_soon(
    pipeline: PipelineHarness, ann: PipelineUser, real_redis: redis.Redis
) -> None:
    cache = UserBlockCache(real_redis, pipeline.engine)
    cache.apply_before_transaction(pipeline.alice.id, ann.id, True)
    real_redis.delete(f"follow:blocked:{pipeline.alice.id}")

    cache.load_user_blocks(pipeline.alice.id, slot_of=pipeline.alice.id)

    assert real_redis.exists(blocks_changing_key(None))
    assert real_redis.pttl(f"follow:blocked:{pipeline.alice.id}") > 0


def test_emptied_redis_reads_blocks_again(pipeline: PipelineHarness, ann: PipelineUser) -> None:
    pipeline.alice.create_post("Hello")
    pipeline.actions.block_user(pipeline.alice.id, ann.id)
    empty_redis(pipeline.redis)

    with pytest.raises(Rejected):
        ann.like("Hello")


def test_block_removes_earlier_actions_from_both_inboxes(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    pipeline.alice.create_post("Hello")
    ann.create_post("Hi")
    ann.like("Hello")
    pipeline.alice.like("Hi")
    pipeline.run_until_idle()
    assert (pipeline.alice.unread_count, ann.unread_count) == (1, 1)

    pipeline.actions.block_user(pipeline.alice.id, ann.id)
    pipeline.run_until_idle()

    assert (pipeline.alice.unread_count, ann.unread_count) == (0, 0)
    assert pipeline.query("select count(*) from active_likes") == [(2,)]
