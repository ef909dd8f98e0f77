"""Comments during a Redis failover: readable at once, and pending only until their rows are written."""

from typing import Any

import pytest

from app.domain.errors import RedisUnavailable, Rejected, Unavailable
from app.domain.routing import Topic
from tests.support.pipeline_harness import (
    LaneAggregators,
    PipelineHarness,
    raise_redis_unavailable,
    raise_unavailable,
)
from tests.support.post_counts import count_comments
from tests.support.redis_failover_harness import RedisFailoverHarness
from workers.aggregator import Aggregator

pytestmark = pytest.mark.service


def count_pending_comments(pipeline: PipelineHarness) -> int:
    """Number of comments that Redis lists as pending."""
    keys = pipeline.redis.scan_iter("comment:pending:*")
    return sum(int(pipeline.redis.hlen(key)) for key in keys)


@pytest.fixture
def aggregator_without_redis(pipeline: PipelineHarness, failover: RedisFailoverHarness) -> Aggregator:
    """An aggregator that wrote a comment accepted by Redis while windows were unavailable."""
    failover.users[0].comment("Hello", "Nice")
    pipeline.bridge.step()
    pipeline.aggregator.aggregator_by_topic[Topic.HIGH]._subscriber.close()
    aggregator = failover.new_aggregator(Topic.HIGH)
    aggregator.step()
    return aggregator


def test_comment_announced_without_windows_is_no_longer_pending_after_failback(
    pipeline: PipelineHarness, failover: RedisFailoverHarness, aggregator_without_redis: Aggregator
) -> None:
    assert pipeline.query("select content from comments") == [("Nice",)]
    assert (count_pending_comments(pipeline), failover.committed(Topic.HIGH)) == (1, 0)

    aggregator_without_redis._sinks = pipeline.new_aggregator(Topic.HIGH)._sinks  # Redis is back
    pipeline.clock.advance(2)
    aggregator_without_redis.step()

    assert (count_pending_comments(pipeline), failover.committed(Topic.HIGH)) == (0, 1)
    assert failover.violations() == []


def test_successor_of_a_killed_aggregator_removes_the_pending_comments(
    pipeline: PipelineHarness, failover: RedisFailoverHarness, aggregator_without_redis: Aggregator
) -> None:
    aggregator_without_redis._subscriber.close()

    pipeline.aggregator = LaneAggregators(pipeline)
    pipeline.run_until_idle()  # reads it again

    assert failover.violations() == []
    assert (count_pending_comments(pipeline), len(pipeline.alice.toast_messages)) == (0, 1)


def test_pending_comments_beyond_the_memory_limit_are_removed_eventually(
    pipeline: PipelineHarness,
    failover: RedisFailoverHarness,
    aggregator_without_redis: Aggregator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.after_write.MAX_REMEMBERED", 1)
    (ben,) = pipeline.create_users("Ben")
    ben.comment("Hello", "Me too")
    pipeline.bridge.step()
    aggregator_without_redis.step()
    assert (count_pending_comments(pipeline), failover.committed(Topic.HIGH)) == (2, 0)

    pipeline.aggregator.aggregator_by_topic[Topic.HIGH] = aggregator_without_redis
    aggregator_without_redis._sinks = pipeline.new_aggregator(Topic.HIGH)._sinks  # Redis is back
    pipeline.clock.advance(2)
    pipeline.run_until_idle()  # detects the loss
    pipeline.run_until_idle()  # reads again

    assert failover.violations() == []
    assert (count_pending_comments(pipeline), failover.committed(Topic.HIGH)) == (0, 2)
    assert sorted(pipeline.query("select content from comments")) == [("Me too",), ("Nice",)]


def test_comment_stays_pending_until_its_row_is_written(
    pipeline: PipelineHarness, failover: RedisFailoverHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    failover.users[0].comment("Hello", "Nice")
    pipeline.bridge.step()
    aggregator = pipeline.aggregator.aggregator_by_topic[Topic.HIGH]
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.window_store, "gather_events", raise_redis_unavailable)
        patch.setattr(pipeline.event_writer, "write", raise_unavailable)
        with pytest.raises(Unavailable):
            aggregator.step()
        assert count_pending_comments(pipeline) == 1

        patch.undo()
        patch.setattr(pipeline.window_store, "gather_events", raise_redis_unavailable)
        aggregator.step()

    assert pipeline.query("select content from comments") == [("Nice",)]
    assert count_pending_comments(pipeline) == 0


def test_comment_retried_through_failover_does_not_stay_pending(
    pipeline: PipelineHarness, failover: RedisFailoverHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = failover.actions_with_redis._ingress.append_events

    def append_and_time_out(*args: Any, **options: Any) -> bool:
        append(*args, **options)
        raise RedisUnavailable("Redis timed out")

    failover.fail_back()  # Redis accepts writes
    failover.actions_with_redis._comments.load_count_into_cache(failover.post_id)
    monkeypatch.setattr(failover.actions_with_redis._ingress, "append_events", append_and_time_out)
    failover.actions_with_redis.create_comment(failover.users[0].id, failover.post_id, "Nice")
    monkeypatch.undo()
    assert count_pending_comments(pipeline) == 1

    aggregator = pipeline.aggregator.aggregator_by_topic[Topic.HIGH]
    pipeline.bridge.step()
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.window_store, "gather_events", raise_redis_unavailable)
        aggregator.step()

    assert count_pending_comments(pipeline) == 0
    failover.fail_back()
    assert failover.violations() == []
    assert failover.comment_count_and_contents() == (1, ["Nice"])
    assert pipeline.query("select content from comments") == [("Nice",)]


def test_failover_comments_are_readable_and_can_be_answered_and_deleted(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    ann, ben, *_ = failover.users
    post_id = failover.post_id

    comment = failover.actions.create_comment(ann.id, post_id, "First")
    failover.actions.create_reply(ben.id, comment.id, "Second")
    deleted_comment = failover.actions.create_comment(ben.id, post_id, "Oops")
    failover.actions.delete_comment(ben.id, deleted_comment.id)

    listed_contents = [listed.content for listed in failover.comments.list_by_post(post_id)]
    assert listed_contents == ["First", "Second"]
    assert count_comments(failover.memberships, post_id) == 2
    with pytest.raises(Rejected):
        failover.comments.find_or_raise(deleted_comment.id)
    failover.fail_back()
    count, contents = failover.comment_count_and_contents()
    assert (count, sorted(contents)) == (2, ["First", "Second"])
    assert pipeline.query("select comment_count from posts") == [(2,)]
