"""Redis failover: writes bypass an unavailable Redis, are announced at once, and lead to the same rows; the
failback makes Redis agree with the tables before it is used again (P7, P2, P4)."""

import pytest
import redis

from app.aggregation.windows import DUE_INDEX_KEY
from app.bootstrap import new_id
from app.clients import postgres
from app.domain.errors import RedisUnavailable, Unavailable
from app.domain.events import Kind
from app.domain.routing import Topic
from app.ingest.membership_kinds import POST_LIKES
from app.ingest.memberships import DesiredState, MembershipState, SetMembershipRequest
from app.messaging.records import ProducerRecord
from tests.support.pipeline_harness import (
    WINDOW_AND_JITTER_SECONDS,
    PipelineHarness,
    PipelineUser,
)
from tests.support.redis_failover_harness import RedisFailoverHarness, committed, violations
from tests.support.redis_failover_harness import failover_harness as failover_harness
from tests.support.redis_failover_harness import users as users

pytestmark = pytest.mark.service
ON, OFF, TOGGLE = DesiredState.ON, DesiredState.OFF, DesiredState.TOGGLE


def test_failover_like_is_counted_at_once(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    ann, ben, *_ = users
    post_id = pipeline.post_id_by_caption["Hello"]

    states = [failover_harness.actions.set_like(user.id, post_id, ON) for user in (ann, ben)]

    assert [(state.active, state.count) for state in states] == [(True, 1), (True, 2)]
    assert failover_harness.memberships.get_like_counts_and_states(ann.id, [post_id]) == {post_id: (2, True)}
    assert failover_harness.memberships.get_like_counts_and_states(pipeline.alice.id, [post_id]) == {
        post_id: (2, False)
    }


@pytest.mark.parametrize(
    ("requests", "is_active"),
    [
        pytest.param([ON], True, id="on"),
        pytest.param([ON, ON], True, id="on again"),
        pytest.param([ON, OFF], False, id="off again"),
        pytest.param([OFF], False, id="off without on"),
        pytest.param([TOGGLE], True, id="toggle"),
        pytest.param([TOGGLE, TOGGLE], False, id="toggle twice"),
        pytest.param([ON, OFF, ON], True, id="back and forth"),
    ],
)
def test_last_failover_write_decides_the_state(
    pipeline: PipelineHarness,
    failover_harness: RedisFailoverHarness,
    users: list[PipelineUser],
    requests: list[DesiredState],
    is_active: bool,
) -> None:
    post_id = pipeline.post_id_by_caption["Hello"]

    states = [failover_harness.actions.set_like(users[0].id, post_id, request) for request in requests]

    assert (states[-1].active, states[-1].count) == (is_active, int(is_active))
    failover_harness.fail_back()
    assert failover_harness.memberships.get_like_counts_and_states(users[0].id, [post_id])[post_id] == (
        int(is_active),
        is_active,
    )
    assert violations(pipeline) == []


def test_aggregator_without_redis_announces_at_once_and_commits_nothing(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    for user in users[:6]:
        user.like("Hello")
    pipeline.bridge.step()
    pipeline.aggregator.aggregator_by_topic[Topic.LOW]._subscriber.close()
    aggregator = failover_harness.new_aggregator(Topic.LOW)

    assert aggregator.step() == 6
    pipeline.outbox_relay.step()
    pipeline.deliverer.step()

    assert len(pipeline.alice.toast_messages) == 6
    assert committed(pipeline) == 0


def test_aggregator_commits_after_failback_and_never_past_a_window(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    for user in users[:5]:  # two of them wait in a window
        user.like("Hello")
    pipeline.run_until_idle()
    aggregator = failover_harness.new_aggregator(Topic.LOW)
    pipeline.aggregator.aggregator_by_topic[Topic.LOW]._subscriber.close()
    users[5].like("Hello")
    pipeline.bridge.step()
    aggregator.step()

    aggregator._sinks = pipeline.new_aggregator(Topic.LOW)._sinks  # Redis is back
    pipeline.clock.advance(2)
    aggregator.step()

    assert committed(pipeline) == 3  # the fourth and the fifth are in the window
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.flusher.step()
    aggregator.step()
    assert pipeline.redis.zcard(DUE_INDEX_KEY) == 0
    pipeline.clock.advance(2)
    aggregator.step()
    assert committed(pipeline) == 6
    assert pipeline.query("select like_count from posts") == [(6,)]


def test_gathered_like_retracted_through_failover_is_not_announced(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    for user in users[:5]:
        user.like("Hello")
    pipeline.run_until_idle()

    state = failover_harness.actions.set_like(users[4].id, pipeline.post_id_by_caption["Hello"], OFF)
    pipeline.close_windows()

    assert not state.active
    assert pipeline.alice.toast_messages[3:] == ["Dan and 3 others liked your post"]
    assert pipeline.query("select like_count from posts") == [(4,)]


def test_failback_ends_when_redis_and_the_tables_agree(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    post_id = pipeline.post_id_by_caption["Hello"]
    for user in users[:5]:
        user.like("Hello")
    pipeline.run_until_idle()
    failover_harness.actions.set_like(users[0].id, post_id, OFF)
    failover_harness.actions.set_like(users[6].id, post_id, ON)
    failover_harness.actions.set_follow(users[6].id, pipeline.alice.id, ON)

    failover_harness.fail_back()

    assert pipeline.redis.get(f"like:count:{post_id}") is None  # to be loaded again
    assert pipeline.worker_services.services.memberships.get_like_counts_and_states(
        users[6].id, [post_id]
    ) == {post_id: (5, True)}
    assert users[7].like("Hello").count == 6
    assert pipeline.query("select count(*) from failover_affected_objects") == [(0,)]
    assert violations(pipeline) == []


def test_counts_do_not_drop_during_failover(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    post_id, memberships = (
        pipeline.post_id_by_caption["Hello"],
        pipeline.worker_services.services.memberships,
    )
    for user in users[:5]:  # two are in a window: only Redis knows them
        user.like("Hello")
    pipeline.run_until_idle()
    failover_harness.actions.set_like(users[5].id, pipeline.alice.create_post("Other"), ON)

    failover_harness.redis_failback.step()  # the failover has begun

    assert not failover_harness.is_redis_enabled()
    assert memberships.get_like_counts_and_states(users[4].id, [post_id]) == {post_id: (5, True)}
    failover_harness.fail_back()
    assert memberships.get_like_counts_and_states(users[4].id, [post_id]) == {post_id: (5, True)}


@pytest.mark.parametrize("stage", ["ingress", "fallback queue", "topic", "window"])
def test_failover_lasts_while_a_write_is_unapplied(
    pipeline: PipelineHarness,
    failover_harness: RedisFailoverHarness,
    users: list[PipelineUser],
    stage: str,
) -> None:
    for user in users[:5]:
        user.like("Hello")
    if stage == "fallback queue":
        pipeline.memory_kafka.is_unavailable = True
    if stage != "ingress":
        pipeline.bridge.step()
    pipeline.memory_kafka.is_unavailable = False
    if stage == "window":
        pipeline.aggregator.step()
    pipeline.worker_services.services.redis_failover.start_failover("a test")

    for _ in range(20):
        failover_harness.redis_failback.step()

    assert not failover_harness.is_redis_enabled()
    failover_harness.fail_back()
    assert pipeline.query("select like_count from posts") == [(5,)]
    assert violations(pipeline) == []


@pytest.mark.parametrize("stage", ["ingress", "topic", "window"])
def test_after_an_outage_only_events_about_affected_objects_are_waited_for(
    pipeline: PipelineHarness,
    failover_harness: RedisFailoverHarness,
    users: list[PipelineUser],
    stage: str,
) -> None:
    failover_harness.fail_back()
    other_post_id = pipeline.alice.create_post("Other")
    for user in users[:5]:
        user.like("Hello")
    if stage != "ingress":
        pipeline.bridge.step()
    if stage == "window":
        pipeline.aggregator.step()

    failover_harness.actions.set_like(users[5].id, other_post_id, ON)
    failover_harness.fail_back(run_workers=lambda: None)

    memberships = pipeline.worker_services.services.memberships
    assert memberships.get_like_counts_and_states(users[4].id, [pipeline.post_id_by_caption["Hello"]]) == {
        pipeline.post_id_by_caption["Hello"]: (5, True)
    }
    assert memberships.get_like_counts_and_states(users[5].id, [other_post_id]) == {other_post_id: (1, True)}
    pipeline.run_until_idle()
    assert violations(pipeline) == []


def test_after_an_outage_failback_waits_for_events_about_affected_objects(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    failover_harness.fail_back()
    post_id = pipeline.post_id_by_caption["Hello"]
    for user in users[:5]:
        user.like("Hello")
    failover_harness.actions.set_like(users[5].id, post_id, ON)
    failover_harness.actions.set_like(users[4].id, post_id, OFF)

    for _ in range(20):
        failover_harness.redis_failback.step()

    assert not failover_harness.is_redis_enabled()
    failover_harness.fail_back()
    assert pipeline.worker_services.services.memberships.get_like_counts_and_states(
        users[4].id, [post_id]
    ) == {post_id: (5, False)}
    assert violations(pipeline) == []


def test_event_that_is_never_written_delays_failback_until_everything_is_drained(
    pipeline: PipelineHarness,
    failover_harness: RedisFailoverHarness,
    users: list[PipelineUser],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failover_harness.fail_back()
    post_id = pipeline.post_id_by_caption["Hello"]
    users[0].like("Hello")
    pipeline.run_until_idle()
    # As left by an event that ended as a dead letter.
    pipeline.redis.hset(f"like:unwritten:{post_id}", users[1].id, "1 1")
    failover_harness.actions.set_like(users[5].id, post_id, ON)
    monkeypatch.setattr("workers.redis_failback.MAX_CATCH_UP_SECONDS", 0.0)

    failover_harness.fail_back()

    assert pipeline.worker_services.services.memberships.get_like_counts_and_states(
        users[5].id, [post_id]
    ) == {post_id: (2, True)}


def test_emptied_redis_stays_incomplete_for_the_next_failback_worker(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    failover_harness.fail_back()
    for user in users[:5]:
        user.like("Hello")
    pipeline.bridge.step()
    pipeline.redis.flushall()
    failover_harness.redis_failback.step()  # reports the loss, and dies
    failover_harness.redis_failback.release_lease()
    successor = RedisFailoverHarness(pipeline)

    for _ in range(20):
        successor.redis_failback.step()

    assert not failover_harness.is_redis_enabled()
    successor.fail_back()
    assert pipeline.query("select like_count from posts") == [(5,)]
    assert pipeline.redis.get("ingress:incomplete") is None
    assert violations(pipeline) == []


def test_window_flushed_by_failback_keeps_its_announcement_time(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    for user in users[:5]:
        user.like("Hello")
    pipeline.run_until_idle()
    pipeline.worker_services.services.redis_failover.start_failover("a test")

    failover_harness.fail_back()

    assert pipeline.query("select like_count from posts") == [(5,)]
    assert len(pipeline.alice.toast_messages) == 3
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()
    assert pipeline.alice.toast_messages[3:] == ["Eve and 4 others liked your post"]


def test_emptied_redis_is_detected_rebuilt_and_its_data_loss_reported(
    pipeline: PipelineHarness,
    failover_harness: RedisFailoverHarness,
    users: list[PipelineUser],
    caplog: pytest.LogCaptureFixture,
) -> None:
    post_id = pipeline.post_id_by_caption["Hello"]
    failover_harness.fail_back()
    for user in users[:5]:
        user.like("Hello")
    pipeline.bridge.step()
    pipeline.aggregator.step()
    users[5].like("Hello")  # the bridge has not moved it
    failover_harness.redis_failback.step()

    pipeline.redis.flushall()
    failover_harness.redis_failback.step()

    data_loss = failover_harness.redis_failback._redis_failover.read_state().data_loss
    assert data_loss is not None
    assert data_loss["events"] == 1
    assert "Redis was emptied: 1 events" in caplog.text
    failover_harness.fail_back()
    assert pipeline.worker_services.services.memberships.get_like_counts_and_states(
        users[4].id, [post_id]
    ) == {post_id: (5, True)}
    assert failover_harness.actions_with_redis.set_like(users[5].id, post_id, ON).count == 6
    assert violations(pipeline) == []


def test_writes_during_failover_bypass_a_responding_redis(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    users[0].like("Hello")
    pipeline.redis.flushall()

    state = failover_harness.actions_with_redis.set_like(
        users[1].id, pipeline.post_id_by_caption["Hello"], ON
    )

    assert state.active
    assert pipeline.query("select user_id::text from likes") == [(users[1].id,)]
    assert not list(pipeline.redis.scan_iter("like:*"))


def timeout_error() -> Unavailable:
    """The error that app/clients/redis.py raises for a call that was sent."""
    error = RedisUnavailable("Redis timed out")
    error.__cause__ = redis.TimeoutError()
    return error


def test_timed_out_write_is_repeated_through_redis(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    failover_harness.fail_back()
    errors = [timeout_error(), None]

    def write_through_redis() -> MembershipState:
        if (error := errors.pop(0)) is not None:
            raise error
        return users[0].like("Hello")

    state = failover_harness.failover_writer_with_redis.run_with_fallback(
        write_through_redis,
        lambda: failover_harness.failover_writer_with_redis.set_membership(like_request(pipeline, users[1])),
    )

    assert state == MembershipState(True, 1)
    assert failover_harness.is_redis_enabled()
    assert failover_harness.redis_failover.read_state().status == "normal"


def test_timed_out_toggle_is_not_repeated(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    failover_harness.fail_back()

    def write_through_redis() -> MembershipState:
        raise timeout_error()

    with pytest.raises(Unavailable):
        failover_harness.failover_writer_with_redis.run_with_fallback(
            write_through_redis,
            lambda: failover_harness.failover_writer_with_redis.set_membership(
                like_request(pipeline, users[0])
            ),
            is_idempotent=False,
        )

    assert pipeline.query("select count(*) from likes") == [(0,)]


def like_request(pipeline: PipelineHarness, user: PipelineUser) -> SetMembershipRequest:
    return SetMembershipRequest(POST_LIKES, user.id, pipeline.post_id_by_caption["Hello"], ON, new_id(), "")


def test_failover_writes_and_their_copies_lead_to_the_same_rows(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    pipeline.memory_kafka.is_unavailable = True
    failover_harness.actions.set_like(users[0].id, pipeline.post_id_by_caption["Hello"], ON)
    failover_harness.actions.set_like(users[0].id, pipeline.post_id_by_caption["Hello"], OFF)
    failover_harness.actions.set_like(users[1].id, pipeline.post_id_by_caption["Hello"], ON)

    assert pipeline.query("select like_count from posts") == [(1,)]
    assert pipeline.query("select count(*) from kafka_fallback_queue") == [(3,)]
    announced = list(pipeline.query("select payload from outbox where client_seq is not null"))
    pipeline.memory_kafka.is_unavailable = False
    failover_harness.fail_back()
    pipeline.run_until_idle()
    assert pipeline.query("select like_count from posts") == [(1,)]
    assert pipeline.query("select payload from outbox where client_seq is not null") == announced
    assert violations(pipeline) == []


def test_each_affected_object_is_noted_once(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    post_id = pipeline.post_id_by_caption["Hello"]
    for user in users[:3]:
        failover_harness.actions.set_like(user.id, post_id, ON)
    failover_harness.actions.set_follow(users[0].id, pipeline.alice.id, ON)
    comment = failover_harness.actions.create_comment(users[0].id, post_id, "Nice")
    failover_harness.actions.delete_comment(users[0].id, comment.id)

    assert sorted(failover_harness.failover_writes.list_affected_objects()) == [
        (Kind.COMMENT, post_id),
        (Kind.FOLLOW, pipeline.alice.id),
        (Kind.LIKE, post_id),
    ]


def test_copies_of_failover_writes_reach_the_lanes(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    failover_harness.actions.share_post(users[0].id, pipeline.post_id_by_caption["Hello"])
    failover_harness.actions.create_comment(users[1].id, pipeline.post_id_by_caption["Hello"], "Nice")
    announced = pipeline.query("select type from notifications where version > 0")

    pipeline.bridge.step()

    kinds = [
        _kind(record) for topic in (Topic.HIGH, Topic.LOW) for record in pipeline.memory_kafka.records(topic)
    ]
    assert sorted(kinds) == ["COMMENT", "POST_SHARE"]
    assert sorted(announced) == [("COMMENT",), ("POST_SHARE",)]


def _kind(record: ProducerRecord) -> str:
    return dict(record.headers)["type"]


def test_like_without_redis_and_postgresql_is_refused(
    failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    failover_harness.actions.set_like(users[0].id, failover_harness.pipeline.post_id_by_caption["Hello"], ON)
    failover_harness.writer._engine = postgres.create_pg_engine("postgresql://nobody@127.0.0.1:1/nothing")

    with pytest.raises(Unavailable):
        failover_harness.actions.set_like(
            users[1].id, failover_harness.pipeline.post_id_by_caption["Hello"], ON
        )
