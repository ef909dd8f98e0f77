"""Comments during a Redis failover: readable at once, and pending only until their rows are written."""

from typing import Any

import pytest

from app.domain.errors import RedisUnavailable, Rejected, Unavailable
from app.domain.routing import Topic
from tests.support.pipeline_harness import (
    LaneAggregators,
    PipelineHarness,
    PipelineUser,
)
from tests.support.redis_failover_harness import RedisFailoverHarness, committed, violations
from tests.support.redis_failover_harness import failover_harness as failover_harness
from tests.support.redis_failover_harness import users as users
from workers.aggregator import Aggregator

pytestmark = pytest.mark.service


def count_pending_comments(pipeline: PipelineHarness) -> int:
    """Number of comments that Redis lists as pending."""
    keys = pipeline.redis.scan_iter("comment:pending:*")
    return sum(int(pipeline.redis.hlen(key)) for key in keys)


@pytest.fixture
def aggregator_without_redis(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> Aggregator:
    """An aggregator that wrote a comment accepted by Redis while windows were unavailable."""
    users[0].comment("Hello", "Nice")
    pipeline.bridge.step()
    pipeline.aggregator.aggregator_by_topic[Topic.HIGH]._subscriber.close()
    aggregator = failover_harness.new_aggregator(Topic.HIGH)
    aggregator.step()
    return aggregator


def test_comment_announced_without_windows_is_no_longer_pending_after_failback(
    pipeline: PipelineHarness, aggregator_without_redis: Aggregator
) -> None:
    assert pipeline.query("select content from comments") == [("Nice",)]
    assert (count_pending_comments(pipeline), committed(pipeline, Topic.HIGH)) == (1, 0)

    aggregator_without_redis._sinks = pipeline.new_aggregator(Topic.HIGH)._sinks  # Redis is back
    pipeline.clock.advance(2)
    aggregator_without_redis.step()

    assert (count_pending_comments(pipeline), committed(pipeline, Topic.HIGH)) == (0, 1)
    assert violations(pipeline) == []


def test_successor_of_a_killed_aggregator_removes_the_pending_comments(
    pipeline: PipelineHarness, aggregator_without_redis: Aggregator
) -> None:
    aggregator_without_redis._subscriber.close()

    pipeline.aggregator = LaneAggregators(pipeline)
    pipeline.run_until_idle()  # reads it again

    assert violations(pipeline) == []
    assert (count_pending_comments(pipeline), len(pipeline.alice.toast_messages)) == (0, 1)


def test_pending_comments_beyond_the_memory_limit_are_removed_eventually(
    pipeline: PipelineHarness, aggregator_without_redis: Aggregator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.after_write.MAX_REMEMBERED", 1)
    (ben,) = pipeline.create_users("Ben")
    ben.comment("Hello", "Me too")
    pipeline.bridge.step()
    aggregator_without_redis.step()
    assert (count_pending_comments(pipeline), committed(pipeline, Topic.HIGH)) == (2, 0)

    pipeline.aggregator.aggregator_by_topic[Topic.HIGH] = aggregator_without_redis
    aggregator_without_redis._sinks = pipeline.new_aggregator(Topic.HIGH)._sinks  # Redis is back
    pipeline.clock.advance(2)
    pipeline.run_until_idle()  # detects the loss
    pipeline.run_until_idle()  # reads again

    assert violations(pipeline) == []
    assert (count_pending_comments(pipeline), committed(pipeline, Topic.HIGH)) == (0, 2)
    assert sorted(pipeline.query("select content from comments")) == [("Me too",), ("Nice",)]


def test_comment_stays_pending_until_its_row_is_written(
    pipeline: PipelineHarness, users: list[PipelineUser], monkeypatch: pytest.MonkeyPatch
) -> None:
    users[0].comment("Hello", "Nice")
    pipeline.bridge.step()
    aggregator = pipeline.aggregator.aggregator_by_topic[Topic.HIGH]
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.window_store, "gather_events", _raise_unavailable)
        patch.setattr(pipeline.event_writer, "write", _raise_unavailable)
        with pytest.raises(Unavailable):
            aggregator.step()
        assert count_pending_comments(pipeline) == 1

        patch.undo()
        patch.setattr(pipeline.window_store, "gather_events", _raise_unavailable)
        aggregator.step()

    assert pipeline.query("select content from comments") == [("Nice",)]
    assert count_pending_comments(pipeline) == 0


def _raise_unavailable(*_: object) -> None:
    raise RedisUnavailable("Redis is unavailable")


def test_comment_retried_through_failover_does_not_stay_pending(
    pipeline: PipelineHarness,
    failover_harness: RedisFailoverHarness,
    users: list[PipelineUser],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    append = failover_harness.actions_with_redis._ingress.append_events

    def append_and_time_out(*args: Any, **options: Any) -> bool:
        append(*args, **options)
        raise RedisUnavailable("Redis timed out")

    failover_harness.fail_back()  # Redis accepts writes
    failover_harness.actions_with_redis._comments.load_count_into_cache(pipeline.post_id_by_caption["Hello"])
    monkeypatch.setattr(failover_harness.actions_with_redis._ingress, "append_events", append_and_time_out)
    failover_harness.actions_with_redis.create_comment(
        users[0].id, pipeline.post_id_by_caption["Hello"], "Nice"
    )
    monkeypatch.undo()
    assert count_pending_comments(pipeline) == 1

    aggregator = pipeline.aggregator.aggregator_by_topic[Topic.HIGH]
    pipeline.bridge.step()
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.window_store, "gather_events", _raise_unavailable)
        aggregator.step()

    assert count_pending_comments(pipeline) == 0
    failover_harness.fail_back()
    assert violations(pipeline) == []
    assert failover_harness.actions_with_redis._comments.count_by_post(
        [pipeline.post_id_by_caption["Hello"]]
    ) == {pipeline.post_id_by_caption["Hello"]: 1}
    assert pipeline.query("select content from comments") == [("Nice",)]


def test_failover_comments_are_readable_and_can_be_answered_and_deleted(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    ann, ben, *_ = users
    post_id = pipeline.post_id_by_caption["Hello"]

    comment = failover_harness.actions.create_comment(ann.id, post_id, "First")
    reply = failover_harness.actions.create_reply(ben.id, comment.id, "Second")
    deleted_comment = failover_harness.actions.create_comment(ben.id, post_id, "Oops")
    failover_harness.actions.delete_comment(ben.id, deleted_comment.id)

    assert [listed.content for listed in failover_harness.comments.list_by_post(post_id)] == [
        "First",
        "Second",
    ]
    assert failover_harness.comments.count_by_post([post_id]) == {post_id: 2}
    with pytest.raises(Rejected):
        failover_harness.comments.find_or_raise(deleted_comment.id)
    failover_harness.fail_back()
    comments = pipeline.worker_services.services.comments
    assert {listed.id for listed in comments.list_by_post(post_id)} == {comment.id, reply.id}
    assert comments.count_by_post([post_id]) == {post_id: 2}
    assert pipeline.query("select comment_count from posts") == [(2,)]


def test_pending_comment_can_be_deleted_during_failover(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    ann, post_id = users[0], pipeline.post_id_by_caption["Hello"]
    comment_id = ann.comment("Hello", "Too early")
    pipeline.run_until_idle()

    failover_harness.actions_with_redis._failover._redis_failover.start_failover("a test")
    pipeline.redis.delete("ingress:enabled")
    failover_harness.actions_with_redis.delete_comment(ann.id, comment_id)

    comments = pipeline.worker_services.services.comments
    assert comments.list_by_post(post_id) == []
    failover_harness.fail_back()
    assert comments.list_by_post(post_id) == []
    assert comments.count_by_post([post_id]) == {post_id: 0}
