"""Flusher: a claimed window is written and announced once, even if flushers die or are slow."""

from dataclasses import replace

import pytest

from app.devtools.checker.store_invariants import StoreInvariants
from app.domain.errors import Unavailable
from app.domain.routing import Topic
from tests.support.mail_folder import list_announcements
from tests.support.pipeline_harness import (
    AFTER_CLAIM_LEASE_SECONDS,
    AGGREGATION_RULES,
    USER_NAMES,
    WINDOW_AND_JITTER_SECONDS,
    PipelineHarness,
    die_at,
)

pytestmark = pytest.mark.service


def gather_likes(pipeline: PipelineHarness, *names: str) -> None:
    """All users like the post; likes after the third are in a window that has just become due."""
    pipeline.alice.create_post("Hello")
    for user in pipeline.create_users(*names):
        user.like("Hello")
    pipeline.bridge.step()
    pipeline.aggregator.step()
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)


def announcement_texts(pipeline: PipelineHarness) -> list[str]:
    return [client_event["message"] for client_event in list_announcements(pipeline.engine)]


def test_claim_not_written_by_postgresql_is_kept_and_retried(pipeline: PipelineHarness) -> None:
    gather_likes(pipeline, *USER_NAMES[:5])

    with pipeline.without_postgresql(), pytest.raises(Unavailable):
        pipeline.flusher.step()
    assert pipeline.count_active_likes() == 3

    assert pipeline.flusher.step() == 1  # at once, without waiting for its own lease
    assert pipeline.count_active_likes() == 5


@pytest.mark.parametrize("point", ["flusher.claimed", "flusher.written", "flusher.settled"])
def test_flusher_killed_at_any_fail_point_announces_once(pipeline: PipelineHarness, point: str) -> None:
    gather_likes(pipeline, *USER_NAMES[:5])
    die_at(point, pipeline.flusher.step)

    pipeline.flusher = pipeline.new_flusher()
    pipeline.clock.advance(AFTER_CLAIM_LEASE_SECONDS)
    pipeline.run_until_idle()
    pipeline.clock.advance(AFTER_CLAIM_LEASE_SECONDS)
    pipeline.run_until_idle()

    assert announcement_texts(pipeline)[3:] == ["Eve and 4 others liked your post"]
    assert StoreInvariants(pipeline.engine, pipeline.redis).find_violations() == []


def test_many_windows_close_in_one_transaction(pipeline: PipelineHarness) -> None:
    for caption in ("One", "Two", "Three"):
        pipeline.alice.create_post(caption)
    for user in pipeline.create_users(*USER_NAMES[:5]):
        for caption in ("One", "Two", "Three"):
            user.like(caption)
    while pipeline.bridge.step() + pipeline.aggregator.step():
        pass
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)

    assert pipeline.flusher.step() == 3
    transaction_ids = pipeline.query(
        "select distinct xmin::text from likes where user_id in "
        "(select id from users where name in ('Dan', 'Eve'))"
    )
    assert len(transaction_ids) == 1


@pytest.mark.parametrize("pipeline", [replace(AGGREGATION_RULES, flush_max_rows=2)], indirect=True)
def test_rows_of_a_full_window_are_announced_though_its_flusher_died(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    users = pipeline.create_users(*USER_NAMES[:6])
    for user in users[:4]:
        user.like("Hello")
    pipeline.run_until_idle()
    pipeline.clock.advance(AGGREGATION_RULES.window_seconds - 10)
    users[4].like("Hello")  # the second of a full batch: it is flushed early
    pipeline.bridge.step()
    pipeline.aggregator.step()
    die_at("flusher.claimed", pipeline.flusher.step)
    users[5].like("Hello")
    pipeline.bridge.step()
    pipeline.aggregator.step()

    pipeline.flusher = pipeline.new_flusher()
    pipeline.clock.advance(15)  # the window is due while the batch is still leased to the dead flusher
    pipeline.run_until_idle()
    pipeline.clock.advance(AFTER_CLAIM_LEASE_SECONDS)
    pipeline.close_windows()

    assert StoreInvariants(pipeline.engine, pipeline.redis).find_violations() == []
    assert sum(client_event["metadata"]["newCount"] for client_event in pipeline.alice.client_events()) == 6


def test_unlike_that_overtakes_its_like_leaves_no_like_and_no_announcement(pipeline: PipelineHarness) -> None:
    """A like by a follower has priority HIGH; the unlike after an unfollow has priority LOW."""
    pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    ann.follow(pipeline.alice)
    pipeline.run_until_idle()
    ann.like("Hello")
    ann.unfollow(pipeline.alice)
    ann.unlike("Hello")
    while pipeline.bridge.step():
        pass

    pipeline.aggregator.aggregator_by_topic[Topic.LOW].step()
    pipeline.aggregator.aggregator_by_topic[Topic.HIGH].step()
    pipeline.run_until_idle()

    assert pipeline.count_active_likes() == 0
    assert "Ann liked your post" not in announcement_texts(pipeline)
