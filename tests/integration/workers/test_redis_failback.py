"""Failback: after a Redis outage writes go through Redis again, whatever processes did meanwhile (P7)."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from sqlalchemy import text

from app.clients import circuit_breaker
from app.clients.redis_health import REDIS_HEALTH
from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.failover.redis_failover import (
    FailbackInProgress,
    NotInFailover,
    RedisFailover,
    lock_shared_and_require_failover,
)
from app.ingest.memberships import MembershipState
from harness.waiting import wait_until
from tests.support.pipeline_harness import PipelineHarness
from tests.support.redis_failover_harness import RedisFailoverHarness
from workers.bridge import FALLBACK_CHECK_INTERVAL_SECONDS

pytestmark = pytest.mark.service


def test_writer_refused_just_before_failback_writes_through_redis(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    request, memberships = (
        failover.like_request(failover.users[0]),
        pipeline.worker_services.services.memberships,
    )
    writer = failover.failover_writer_with_redis
    pipeline.redis.delete("ingress:enabled")

    def write_through_redis() -> MembershipState:
        try:
            return memberships.set_membership(request)
        except Unavailable:
            failover.fail_back()  # between the refusal and the reaction of the writer
            raise

    state = writer.run_with_fallback(write_through_redis, lambda: writer.set_membership(request))

    assert state == MembershipState(True, 1)
    assert (failover.status, failover.is_redis_enabled(), failover.count_fallback_rows()) == (
        "normal",
        True,
        0,
    )


def test_writer_with_open_breaker_writes_through_redis_once_it_answers(
    failover: RedisFailoverHarness,
) -> None:
    failover.fail_back()
    circuit_breaker.configure_all_breakers(failure_threshold=1, reset_seconds=600)
    circuit_breaker.REDIS.on_failure(circuit_breaker.REDIS.admit_call(), redis.ConnectionError("unavailable"))
    assert circuit_breaker.REDIS.state == "open"

    state = failover.like_with_redis(failover.users[0])

    assert state == MembershipState(True, 1)
    assert circuit_breaker.REDIS.state == "closed"
    assert (failover.status, failover.count_fallback_rows()) == ("normal", 0)


def test_late_process_does_not_undo_a_newer_failback(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    failover.fail_back()
    earlier_change = failover.redis_failover.read_state().changed_at
    failover.redis_failover.start_failover("an outage", earlier_change)
    failover.fail_back()

    failover.redis_failover.start_failover("a late process", earlier_change)

    assert failover.status == "normal"


def test_check_during_failback_does_not_start_failover(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    other_process, redis_failover = (
        RedisFailover(pipeline.redis, pipeline.engine),
        failover.redis_failback._redis_failover,
    )
    enable_ingress = redis_failover._enable_ingress_script

    def enable_and_verify(**arguments: Any) -> object:
        result = enable_ingress(**arguments)
        REDIS_HEALTH.require_reverification()
        other_process.verify_ingress_after_failure()
        return result

    redis_failover._enable_ingress_script = enable_and_verify  # type: ignore[assignment]
    failover.fail_back()

    assert failover.is_redis_enabled()


def test_notification_during_a_check_is_not_lost(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    failover.fail_back()
    redis_failover = RedisFailover(pipeline.redis, pipeline.engine)
    read_state = redis_failover.read_state

    def read_then_start_failover() -> object:
        state = read_state()
        redis_failover.start_failover("another process bypasses Redis")
        redis_failover.on_state_change()
        return state

    redis_failover.read_state = read_then_start_failover  # type: ignore[assignment,method-assign]
    REDIS_HEALTH.require_reverification()
    redis_failover.verify_ingress_after_failure()

    assert redis_failover.is_verification_required


def test_ingress_key_set_late_by_a_frozen_redis_is_removed(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    failover.users[0].like("Hello")  # not applied yet, so the failover goes on
    failover.redis_failover.start_failover("a test")
    failover.redis_failback.step()
    pipeline.redis.set("ingress:enabled", "token of an abandoned failback")

    failover.redis_failback.step()

    assert not failover.is_redis_enabled()


def test_late_failback_sets_no_ingress_key(
    pipeline: PipelineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_failover = pipeline.worker_services.services.redis_failover
    pipeline.redis.delete("ingress:enabled")
    redis_failover.start_failover("a test")
    failover_since = redis_failover.read_state().changed_at
    redis_failover.pause_failover_writes(failover_since)
    monkeypatch.setattr("app.failover.redis_failover.MAX_ENABLE_DELAY_SECONDS", -1.0)

    assert not redis_failover.end_failover("kept", "token", failover_since)

    assert pipeline.redis.get("ingress:enabled") is None


def test_failback_worker_whose_pause_was_ended_switches_nothing_back(pipeline: PipelineHarness) -> None:
    redis_failover = pipeline.worker_services.services.redis_failover
    redis_failover.start_failover("a test")
    failover_since = redis_failover.read_state().changed_at
    redis_failover.pause_failover_writes(failover_since)
    redis_failover.resume_failover_writes(failover_since)  # by the other worker

    assert not redis_failover.end_failover("kept", "token", failover_since)

    assert redis_failover.read_state().status == "failover"


def test_write_pause_of_a_dead_failback_worker_ends(
    pipeline: PipelineHarness,
    failover: RedisFailoverHarness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.ingest.failover_path.MAX_WRITE_PAUSE_SECONDS", 0.0)
    failover.redis_failover.start_failover("a test")
    failover.redis_failover.pause_failover_writes(failover.redis_failover.read_state().changed_at)

    state = failover.like(failover.users[0])

    assert state == MembershipState(True, 1)
    assert failover.status == "failover"


@contextmanager
def overlapping_writes(pipeline: PipelineHarness) -> Iterator[Callable[[], int]]:
    """Overlapping transactions without a gap, as with a hundred writes per second."""
    stop_requested, write_count = threading.Event(), [0]

    def write_until_stopped() -> None:
        while not stop_requested.is_set():
            with pipeline.engine.begin() as conn:
                try:
                    lock_shared_and_require_failover(conn)
                except (FailbackInProgress, NotInFailover):
                    return
                conn.execute(text("select pg_sleep(0.03)"))
            write_count[0] += 1

    threads = [threading.Thread(target=write_until_stopped) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: write_count[0]
    finally:
        stop_requested.set()
        for thread in threads:
            thread.join(10)


def test_overlapping_writes_do_not_prevent_the_write_pause(pipeline: PipelineHarness) -> None:
    redis_failover = pipeline.worker_services.services.redis_failover
    redis_failover.start_failover("a test")
    failover_since = redis_failover.read_state().changed_at

    with overlapping_writes(pipeline) as count_written:
        wait_until(lambda: count_written() >= 4, "four writes", 10)
        assert redis_failover.pause_failover_writes(failover_since)


def test_write_pause_gives_up_soon_while_a_write_is_open(pipeline: PipelineHarness) -> None:
    redis_failover = pipeline.worker_services.services.redis_failover
    redis_failover.start_failover("a test")
    failover_since = redis_failover.read_state().changed_at

    with pipeline.engine.begin() as conn:
        lock_shared_and_require_failover(conn)
        started_at = time.monotonic()
        with pytest.raises(Unavailable):
            redis_failover.pause_failover_writes(failover_since)
        assert time.monotonic() - started_at < 1.5

    assert redis_failover.pause_failover_writes(failover_since)


def test_two_data_losses_in_quick_succession_are_both_reported(
    pipeline: PipelineHarness,
    failover: RedisFailoverHarness,
    caplog: pytest.LogCaptureFixture,
) -> None:
    failover.fail_back()
    for _ in range(2):
        pipeline.redis.flushall()
        failover.redis_failback.step()

    assert caplog.text.count("Redis was emptied:") == 2
    assert (failover.redis_failover.read_state().data_loss or {})["times"] == 2


def test_data_loss_during_the_switch_back_is_reported(
    pipeline: PipelineHarness,
    failover: RedisFailoverHarness,
    caplog: pytest.LogCaptureFixture,
) -> None:
    failover.fail_back()
    failover.like(failover.users[0])
    invalidate = failover.failback_steps._invalidate_script

    def empty_redis_first(**arguments: Any) -> object:
        failover.failback_steps._invalidate_script = invalidate
        pipeline.redis.flushall()
        return invalidate(**arguments)

    failover.failback_steps._invalidate_script = empty_redis_first  # type: ignore[assignment]
    failover.fail_back()

    assert caplog.text.count("Redis was emptied:") == 1
    assert failover.like_count_and_state(failover.users[0]) == (1, True)


def test_windows_with_unanswered_claim_do_not_wait_for_the_lease(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    for user in failover.users[:5]:
        user.like("Hello")
    pipeline.bridge.step()
    pipeline.aggregator.aggregator_by_topic[Topic.LOW].step()
    later_ms = int((pipeline.clock.now() + 120) * 1000)
    assert pipeline.window_store.claim_due_windows(later_ms, 10, 1_000)  # the response is lost
    failover.redis_failover.start_failover("a test")
    started_at = pipeline.clock.now()

    failover.fail_back()

    assert pipeline.query("select like_count from posts") == [(5,)]
    assert pipeline.clock.now() - started_at < 25


def test_copy_of_a_failover_write_reaches_kafka_within_seconds(
    pipeline: PipelineHarness, failover: RedisFailoverHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.bridge.FALLBACK_CHECK_INTERVAL_SECONDS", FALLBACK_CHECK_INTERVAL_SECONDS)
    failover.fail_back()  # the bridge has seen an empty fallback queue
    failover.like(failover.users[0])
    assert failover.count_fallback_rows("not processed") == 1

    started_at = time.monotonic()
    wait_until(lambda: pipeline.bridge.step() > 0, "events in the ingress", 10)

    assert time.monotonic() - started_at < 3
    assert failover.count_fallback_rows("not processed") == 0
