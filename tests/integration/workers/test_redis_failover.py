"""Redis failover: writes bypass an unavailable Redis, are announced at once, and lead to the same rows; the
failback makes Redis agree with the tables before it is used again (P7, P2, P4)."""

import pytest
import redis

from app.aggregation.windows import DUE_INDEX_KEY
from app.clients import postgres
from app.domain.errors import RedisUnavailable, Unavailable
from app.domain.events import Kind
from app.domain.routing import Topic
from app.ingest.memberships import DesiredState, MembershipState
from tests.support.pipeline_harness import WINDOW_AND_JITTER_SECONDS, PipelineHarness
from tests.support.post_counts import read_likes
from tests.support.redis_failover_harness import RedisFailoverHarness

pytestmark = pytest.mark.service
ON, OFF, TOGGLE = DesiredState.ON, DesiredState.OFF, DesiredState.TOGGLE


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
    failover: RedisFailoverHarness, requests: list[DesiredState], is_active: bool
) -> None:
    ann, ben, *_ = failover.users
    failover.like(ben)

    states = [failover.like(ann, request) for request in requests]

    count = 1 + is_active
    assert states[-1] == MembershipState(is_active, count)
    assert read_likes(failover.memberships, ann.id, failover.post_id) == (count, is_active)
    failover.fail_back()
    assert failover.like_count_and_state(ann) == (count, is_active)
    assert failover.violations() == []


def test_aggregator_without_redis_announces_at_once_and_commits_nothing(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    for user in failover.users[:6]:
        user.like("Hello")
    pipeline.bridge.step()
    pipeline.aggregator.aggregator_by_topic[Topic.LOW]._subscriber.close()
    aggregator = failover.new_aggregator(Topic.LOW)

    assert aggregator.step() == 6
    pipeline.outbox_relay.step()
    pipeline.deliverer.step()

    assert len(pipeline.alice.toast_messages) == 6
    assert failover.committed() == 0


def test_aggregator_commits_after_failback_and_never_past_a_window(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    for user in failover.users[:5]:  # two of them wait in a window
        user.like("Hello")
    pipeline.run_until_idle()
    aggregator = failover.new_aggregator(Topic.LOW)
    pipeline.aggregator.aggregator_by_topic[Topic.LOW]._subscriber.close()
    failover.users[5].like("Hello")
    pipeline.bridge.step()
    aggregator.step()

    aggregator._sinks = pipeline.new_aggregator(Topic.LOW)._sinks  # Redis is back
    pipeline.clock.advance(2)
    aggregator.step()

    assert failover.committed() == 3  # the fourth and the fifth are in the window
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.flusher.step()
    aggregator.step()
    assert pipeline.redis.zcard(DUE_INDEX_KEY) == 0
    pipeline.clock.advance(2)
    aggregator.step()
    assert failover.committed() == 6
    assert pipeline.query("select like_count from posts") == [(6,)]


def test_gathered_like_retracted_through_failover_is_not_announced(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    for user in failover.users[:5]:
        user.like("Hello")
    pipeline.run_until_idle()

    state = failover.like(failover.users[4], OFF)
    pipeline.close_windows()

    assert not state.active
    assert pipeline.alice.toast_messages[3:] == ["Dan and 3 others liked your post"]
    assert pipeline.query("select like_count from posts") == [(4,)]


def test_failback_ends_when_redis_and_the_tables_agree(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    users = failover.users
    for user in users[:5]:
        user.like("Hello")
    pipeline.run_until_idle()
    failover.like(users[0], OFF)
    failover.like(users[6])
    failover.actions.set_follow(users[6].id, pipeline.alice.id, ON)

    failover.fail_back()

    assert pipeline.redis.get(f"like:count:{failover.post_id}") is None  # to be loaded again
    assert failover.like_count_and_state(users[6]) == (5, True)
    assert users[7].like("Hello").count == 6
    assert pipeline.query("select count(*) from failover_affected_objects") == [(0,)]
    assert failover.violations() == []


def test_counts_do_not_drop_during_failover(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    users = failover.users
    for user in users[:5]:  # two are in a window: only Redis knows them
        user.like("Hello")
    pipeline.run_until_idle()
    failover.like(users[5], post_id=pipeline.alice.create_post("Other"))

    failover.redis_failback.step()  # the failover has begun

    assert not failover.is_redis_enabled()
    assert failover.like_count_and_state(users[4]) == (5, True)
    failover.fail_back()
    assert failover.like_count_and_state(users[4]) == (5, True)


@pytest.mark.parametrize("stage", ["ingress", "fallback queue", "topic", "window"])
def test_failover_lasts_while_a_write_is_unapplied(
    pipeline: PipelineHarness, failover: RedisFailoverHarness, stage: str
) -> None:
    for user in failover.users[:5]:
        user.like("Hello")
    if stage == "fallback queue":
        pipeline.memory_kafka.is_unavailable = True
    if stage != "ingress":
        pipeline.bridge.step()
    pipeline.memory_kafka.is_unavailable = False
    if stage == "window":
        pipeline.aggregator.step()
    pipeline.worker_services.services.redis_failover.start_failover("a test")

    assert failover.stays_in_failover()

    failover.fail_back()
    assert pipeline.query("select like_count from posts") == [(5,)]
    assert failover.violations() == []


@pytest.mark.parametrize("stage", ["ingress", "topic", "window"])
def test_after_an_outage_only_events_about_affected_objects_are_waited_for(
    pipeline: PipelineHarness, failover: RedisFailoverHarness, stage: str
) -> None:
    failover.fail_back()
    users, other_post_id = failover.users, pipeline.alice.create_post("Other")
    for user in users[:5]:
        user.like("Hello")
    if stage != "ingress":
        pipeline.bridge.step()
    if stage == "window":
        pipeline.aggregator.step()

    failover.like(users[5], post_id=other_post_id)
    failover.fail_back(run_workers=lambda: None)

    assert failover.like_count_and_state(users[4]) == (5, True)
    assert failover.like_count_and_state(users[5], other_post_id) == (1, True)
    pipeline.run_until_idle()
    assert failover.violations() == []


def test_after_an_outage_failback_waits_for_events_about_affected_objects(
    failover: RedisFailoverHarness,
) -> None:
    failover.fail_back()
    for user in failover.users[:5]:
        user.like("Hello")
    failover.like(failover.users[5])
    failover.like(failover.users[4], OFF)

    assert failover.stays_in_failover()

    failover.fail_back()
    assert failover.like_count_and_state(failover.users[4]) == (5, False)
    assert failover.violations() == []


def test_event_that_is_never_written_delays_failback_until_everything_is_drained(
    pipeline: PipelineHarness, failover: RedisFailoverHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    failover.fail_back()
    ann, ben, cem, *_ = failover.users
    ann.like("Hello")
    pipeline.run_until_idle()
    # As left by an event that ended as a dead letter.
    pipeline.redis.hset(f"like:unwritten:{failover.post_id}", ben.id, "1 1")
    failover.like(cem)
    monkeypatch.setattr("workers.redis_failback.MAX_CATCH_UP_SECONDS", 0.0)

    failover.fail_back()

    assert failover.like_count_and_state(cem) == (2, True)


def test_emptied_redis_stays_incomplete_for_the_next_failback_worker(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    failover.fail_back()
    for user in failover.users[:5]:
        user.like("Hello")
    pipeline.bridge.step()
    pipeline.redis.flushall()
    failover.redis_failback.step()  # reports the loss, and dies
    failover.redis_failback.release_lease()
    successor = RedisFailoverHarness(pipeline)

    assert successor.stays_in_failover()

    successor.fail_back()
    assert pipeline.query("select like_count from posts") == [(5,)]
    assert pipeline.redis.get("ingress:incomplete") is None
    assert failover.violations() == []


def test_window_flushed_by_failback_keeps_its_announcement_time(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    for user in failover.users[:5]:
        user.like("Hello")
    pipeline.run_until_idle()
    pipeline.worker_services.services.redis_failover.start_failover("a test")

    failover.fail_back()

    assert pipeline.query("select like_count from posts") == [(5,)]
    assert len(pipeline.alice.toast_messages) == 3
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()
    assert pipeline.alice.toast_messages[3:] == ["Eve and 4 others liked your post"]


def test_emptied_redis_is_detected_rebuilt_and_its_data_loss_reported(
    pipeline: PipelineHarness, failover: RedisFailoverHarness, caplog: pytest.LogCaptureFixture
) -> None:
    failover.fail_back()
    for user in failover.users[:5]:
        user.like("Hello")
    pipeline.bridge.step()
    pipeline.aggregator.step()
    failover.users[5].like("Hello")  # the bridge has not moved it
    failover.redis_failback.step()

    pipeline.redis.flushall()
    failover.redis_failback.step()

    data_loss = failover.redis_failback._redis_failover.read_state().data_loss
    assert data_loss is not None
    assert data_loss["events"] == 1
    assert "Redis was emptied: 1 events" in caplog.text
    failover.fail_back()
    assert failover.like_count_and_state(failover.users[4]) == (5, True)
    assert failover.like_with_redis(failover.users[5]).count == 6
    assert failover.violations() == []


def test_writes_during_failover_bypass_a_responding_redis(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    ann, ben, *_ = failover.users
    ann.like("Hello")
    pipeline.redis.flushall()

    state = failover.like_with_redis(ben)

    assert state.active
    assert pipeline.query("select user_id::text from likes") == [(ben.id,)]
    assert not list(pipeline.redis.scan_iter("like:*"))


def timeout_error() -> Unavailable:
    """The error that app/clients/redis.py raises for a call that was sent."""
    error = RedisUnavailable("Redis timed out")
    error.__cause__ = redis.TimeoutError()
    return error


def test_timed_out_write_is_repeated_through_redis(failover: RedisFailoverHarness) -> None:
    failover.fail_back()
    writer, errors = failover.failover_writer_with_redis, [timeout_error(), None]

    def write_through_redis() -> MembershipState:
        if (error := errors.pop(0)) is not None:
            raise error
        return failover.users[0].like("Hello")

    state = writer.run_with_fallback(
        write_through_redis, lambda: writer.set_membership(failover.like_request(failover.users[1]))
    )

    assert state == MembershipState(True, 1)
    assert (failover.is_redis_enabled(), failover.status) == (True, "normal")


def test_timed_out_toggle_is_not_repeated(pipeline: PipelineHarness, failover: RedisFailoverHarness) -> None:
    failover.fail_back()
    writer = failover.failover_writer_with_redis

    def write_through_redis() -> MembershipState:
        raise timeout_error()

    with pytest.raises(Unavailable):
        writer.run_with_fallback(
            write_through_redis,
            lambda: writer.set_membership(failover.like_request(failover.users[0])),
            is_idempotent=False,
        )

    assert pipeline.query("select count(*) from likes") == [(0,)]


def test_failover_writes_and_their_copies_lead_to_the_same_rows(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    ann, ben, *_ = failover.users
    announced_rows = "select payload from outbox where client_seq is not null"
    pipeline.memory_kafka.is_unavailable = True
    failover.like(ann)
    failover.like(ann, OFF)
    failover.like(ben)

    assert pipeline.query("select like_count from posts") == [(1,)]
    assert failover.count_fallback_rows() == 3
    announced = pipeline.query(announced_rows)
    pipeline.memory_kafka.is_unavailable = False
    failover.fail_back()
    pipeline.run_until_idle()
    assert pipeline.query("select like_count from posts") == [(1,)]
    assert pipeline.query(announced_rows) == announced
    assert failover.violations() == []


def test_each_affected_object_is_noted_once(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    for user in failover.users[:3]:
        failover.like(user)
    ann = failover.users[0]
    failover.actions.set_follow(ann.id, pipeline.alice.id, ON)
    comment = failover.actions.create_comment(ann.id, failover.post_id, "Nice")
    failover.actions.delete_comment(ann.id, comment.id)

    assert sorted(failover.failover_writes.list_affected_objects()) == [
        (Kind.COMMENT, failover.post_id),
        (Kind.FOLLOW, pipeline.alice.id),
        (Kind.LIKE, failover.post_id),
    ]


def test_like_without_redis_and_postgresql_is_refused(failover: RedisFailoverHarness) -> None:
    failover.like(failover.users[0])
    failover.writer._engine = postgres.create_pg_engine("postgresql://nobody@127.0.0.1:1/nothing")

    with pytest.raises(Unavailable):
        failover.like(failover.users[1])
