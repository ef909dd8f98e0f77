"""Follows between acceptance and persistence: listed once, and no longer pending when written."""

import pytest

from app.domain.routing import Topic
from app.ingest.actions import DesiredState
from app.persistence.pages import PageRequest
from app.social.follows import FollowEntry, Follows
from app.social.posts import PostReader
from tests.support.pipeline_harness import LaneAggregators, PipelineHarness, PipelineUser, die_at
from tests.support.redis_failover_harness import RedisFailoverHarness

pytestmark = pytest.mark.service


def following(pipeline: PipelineHarness, user: PipelineUser) -> list[FollowEntry]:
    pending = pipeline.pending_follows.get_pending_following(user.id)
    follows = Follows(pipeline.engine)
    return follows.list_followers_or_following(
        "following", user.id, PageRequest(10), pending_follows=pending
    ).items


def ids_and_times(follows: list[FollowEntry]) -> list[tuple[str, str]]:
    return [(follow.user.id, follow.followed_at.isoformat(timespec="milliseconds")) for follow in follows]


def test_pending_follow_keeps_its_position_when_its_row_is_written(
    pipeline: PipelineHarness,
) -> None:
    ann, ben, cem = pipeline.create_users("Ann", "Ben", "Cem")
    ann.follow(ben)
    ann.follow(cem)
    before_write = following(pipeline, ann)

    pipeline.run_until_idle()

    assert [follow.user.id for follow in before_write] == [cem.id, ben.id]
    assert ids_and_times(following(pipeline, ann)) == ids_and_times(before_write)
    assert pipeline.redis.keys("follow:pending:*") == []


def test_repeated_follow_is_listed_first_before_and_after_the_write(
    pipeline: PipelineHarness,
) -> None:
    ann, ben, cem = pipeline.create_users("Ann", "Ben", "Cem")
    ann.follow(ben)
    ann.follow(cem)
    pipeline.run_until_idle()
    ann.unfollow(ben)
    pipeline.run_until_idle()
    ann.follow(ben)
    before_write = following(pipeline, ann)

    pipeline.run_until_idle()

    assert [follow.user.id for follow in before_write] == [ben.id, cem.id]
    assert ids_and_times(following(pipeline, ann)) == ids_and_times(before_write)


def test_unfollow_after_the_batch_was_read_stays_pending(pipeline: PipelineHarness) -> None:
    (ann,) = pipeline.create_users("Ann")
    ann.follow(pipeline.alice)
    pipeline.bridge.step()
    ann.unfollow(pipeline.alice)

    pipeline.aggregator.step()

    assert following(pipeline, ann) == []
    assert pipeline.redis.hlen(f"follow:pending:{ann.id}") == 1
    pipeline.run_until_idle()
    assert following(pipeline, ann) == []
    assert pipeline.redis.keys("follow:pending:*") == []


def test_aggregator_killed_before_cleanup_leaves_nothing_pending(pipeline: PipelineHarness) -> None:
    (ann,) = pipeline.create_users("Ann")
    ann.follow(pipeline.alice)
    pipeline.bridge.step()
    die_at("aggregator.written", pipeline.aggregator.step)
    pipeline.aggregator.aggregator_by_topic[Topic.HIGH]._subscriber.close()
    assert pipeline.redis.hlen(f"follow:pending:{ann.id}") == 1

    pipeline.aggregator = LaneAggregators(pipeline)
    pipeline.run_until_idle()

    assert pipeline.redis.keys("follow:pending:*") == []
    assert [follow.user.id for follow in following(pipeline, ann)] == [pipeline.alice.id]


def test_follow_during_failover_is_listed_before_it_is_written(pipeline: PipelineHarness) -> None:
    failover = RedisFailoverHarness(pipeline)
    ann, ben = pipeline.create_users("Ann", "Ben")
    failover.actions.set_follow(ann.id, ben.id, DesiredState.ON)

    assert [follow.user.id for follow in following(pipeline, ann)] == [ben.id]
    failover.actions.set_follow(ann.id, ben.id, DesiredState.OFF)
    assert following(pipeline, ann) == []


def test_like_during_failover_is_listed_before_it_is_written(pipeline: PipelineHarness) -> None:
    failover, post_id = RedisFailoverHarness(pipeline), pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    failover.actions.set_like(ann.id, post_id, DesiredState.ON)

    assert PostReader(pipeline.engine).list_liker_ids(post_id, 10, None) == [ann.id]
    failover.actions.set_like(ann.id, post_id, DesiredState.OFF)
    assert PostReader(pipeline.engine).list_liker_ids(post_id, 10, None) == []
