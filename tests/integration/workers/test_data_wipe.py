"""Data wipe: nothing that was cleared returns, at whichever stage it was."""

import contextlib

import pytest

from app.delivery.history import ClientEventHistory
from app.domain.errors import Unavailable
from app.operations.data_wipe import EventDataWipe
from tests.support.pipeline_harness import USER_NAMES, WINDOW_AND_JITTER_SECONDS, PipelineHarness
from tests.support.post_counts import count_comments, read_likes

pytestmark = pytest.mark.service
ALL_ZERO = [(0, 0, 0, 0, 0)]
COUNT_ROWS = (
    "select (select count(*) from likes), (select count(*) from follows), "
    "(select count(*) from comments), (select count(*) from notifications), "
    "(select coalesce(sum(like_count + comment_count), 0)::int from posts)"
)


def _create_activity(pipeline: PipelineHarness) -> None:
    """Eight likes, a comment and a follow for Alice."""
    pipeline.alice.create_post("Hello")
    ann, *others = pipeline.create_users(*USER_NAMES)
    ann.follow(pipeline.alice)
    ann.comment("Hello", "Nice one")
    for user in (ann, *others):
        user.like("Hello")


def _wipe(pipeline: PipelineHarness, **hooks: object) -> None:
    shards = pipeline.worker_services.services.settings.limits.ingress_shards
    EventDataWipe(pipeline.engine, pipeline.redis, shards).wipe(pipeline.alice.id, **hooks)  # type: ignore[arg-type]


def _counts(pipeline: PipelineHarness) -> tuple[int, int]:
    post_id = pipeline.post_id_by_caption["Hello"]
    likes, _ = read_likes(pipeline.worker_services.services.memberships, None, post_id)
    return likes, count_comments(pipeline.worker_services.services.memberships, post_id)


# The stage of the events when the tables are cleared, by the number of workers that ran before.
@pytest.mark.parametrize(
    "worker_count", range(6), ids=["ingress", "kafka", "windows", "outbox", "ready", "pushed"]
)
def test_cleared_events_do_not_return_from_any_stage(pipeline: PipelineHarness, worker_count: int) -> None:
    _create_activity(pipeline)
    workers = (
        pipeline.bridge,
        pipeline.aggregator,
        pipeline.flusher,
        pipeline.outbox_relay,
        pipeline.deliverer,
    )
    for worker in workers[:worker_count]:
        while worker.step():
            pass
    toasts_before = pipeline.alice.toast_messages
    _wipe(pipeline)
    pipeline.close_windows()
    assert pipeline.query(COUNT_ROWS) == ALL_ZERO
    assert _counts(pipeline) == (0, 0)
    assert pipeline.alice.toast_messages == toasts_before


def test_events_held_by_a_worker_during_a_wipe_expire(pipeline: PipelineHarness) -> None:
    _create_activity(pipeline)
    pipeline.bridge.step()
    pipeline.aggregator.step()
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.flusher._claimed_windows = pipeline.window_store.claim_due_windows(
        int(pipeline.clock.now() * 1000), 500, 10_000
    )
    _wipe(pipeline)
    pipeline.run_until_idle()
    assert pipeline.query(COUNT_ROWS) == ALL_ZERO


def test_like_right_after_a_wipe_is_counted_and_announced(pipeline: PipelineHarness) -> None:
    _create_activity(pipeline)
    pipeline.run_until_idle()
    ben = pipeline.create_users("Ben")[0]
    _wipe(pipeline)
    assert ben.like("Hello").count == 1
    pipeline.run_until_idle()
    assert pipeline.alice.toast_messages[-1] == "Ben liked your post"
    assert pipeline.query("select count(*) from likes where active") == [(1,)]


def test_like_during_a_wipe_is_refused_and_counted_when_repeated(pipeline: PipelineHarness) -> None:
    """Loading a count from tables that are about to be emptied would restore it."""
    _create_activity(pipeline)
    pipeline.run_until_idle()
    ben = pipeline.create_users("Ben")[0]
    accepted: list[str] = []

    def like() -> None:
        with contextlib.suppress(Unavailable):
            ben.like("Hello")
            accepted.append("liked")

    _wipe(pipeline, on_redis_cleared=like)
    assert accepted == []
    assert _counts(pipeline) == (0, 0)
    assert ben.like("Hello").count == 1


def test_wipe_interrupted_between_redis_and_postgresql_loses_no_written_row(
    pipeline: PipelineHarness,
) -> None:
    _create_activity(pipeline)
    pipeline.close_windows()

    def raise_error() -> None:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        _wipe(pipeline, on_redis_cleared=raise_error)
    assert pipeline.create_users("Ben")[0].like("Hello").count == 9


def test_clients_start_fresh_with_zero_unread_after_a_wipe(pipeline: PipelineHarness) -> None:
    _create_activity(pipeline)
    pipeline.run_until_idle()
    epoch_before = ClientEventHistory(pipeline.engine).load_missed_events(pipeline.alice.id, None).epoch
    _wipe(pipeline)
    pipeline.run_until_idle()
    assert (
        ClientEventHistory(pipeline.engine).load_missed_events(pipeline.alice.id, None).epoch != epoch_before
    )
    assert pipeline.alice.unread_count == 0
