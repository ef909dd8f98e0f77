"""Deletions while Redis is unavailable stay in effect after the failback (P7, P2)."""

import uuid
from collections.abc import Callable

import pytest

from app.bootstrap import new_id
from app.devtools.checker.store_invariants import StoreInvariants
from app.domain.clock import Clock
from app.domain.errors import Rejected
from app.domain.grouping import ClientEventType
from app.ingest.memberships import DesiredState
from app.social.removals import PostAndAccountRemoval
from tests.support.pipeline_harness import WINDOW_AND_JITTER_SECONDS, PipelineHarness, PipelineUser
from tests.support.redis_failover_harness import RedisFailoverHarness

pytestmark = pytest.mark.service


@pytest.fixture
def failover_harness(pipeline: PipelineHarness, monkeypatch: pytest.MonkeyPatch) -> RedisFailoverHarness:
    monkeypatch.setattr("workers.redis_failback.REST_SECONDS", 0.0)
    monkeypatch.setattr("workers.bridge.FALLBACK_CHECK_INTERVAL_SECONDS", 0.0)  # copies of failover writes
    harness = RedisFailoverHarness(pipeline)
    harness.fail_back()
    return harness


@pytest.fixture
def users(pipeline: PipelineHarness) -> list[PipelineUser]:
    pipeline.alice.create_post("Hello")
    return pipeline.create_users("Ann", "Ben", "Cem", "Dan", "Eve")


def violations(pipeline: PipelineHarness) -> list[str]:
    """Violations, except announcements about deleted users."""
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()
    pipeline.clock.advance(2)
    pipeline.run_until_idle()
    all_violations = StoreInvariants(pipeline.engine, pipeline.redis).find_violations()
    return [violation for violation in all_violations if " in events, " not in violation]


def rejection_status(action: Callable[[], object]) -> int:
    with pytest.raises(Rejected) as raised:
        action()
    return raised.value.status


def test_post_deleted_during_failover_accepts_no_events_after_failback(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    post_id = pipeline.post_id_by_caption["Hello"]
    for user in users:
        user.like("Hello")
    users[0].comment("Hello", "Nice")
    pipeline.run_until_idle()

    failover_harness.removals.delete_post(pipeline.alice.id, post_id)

    assert failover_harness.redis_failover.read_state().status == "failover"
    failover_harness.fail_back()
    ann = users[0]
    actions: list[Callable[[], object]] = [
        lambda: failover_harness.actions_with_redis.set_like(ann.id, post_id, DesiredState.ON),
        lambda: failover_harness.actions_with_redis.create_comment(ann.id, post_id, "Still here?"),
        lambda: failover_harness.actions_with_redis.share_post(ann.id, post_id),
    ]
    assert [rejection_status(action) for action in actions] == [404, 404, 404]
    assert violations(pipeline) == []
    assert pipeline.query("select 1 from notifications") == []
    assert pipeline.query("select 1 from redis_updates") == []


def test_announcement_of_an_unwritten_comment_is_removed_with_its_post(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    users[0].comment("Hello", "Look, @alice")  # the mention is announced at once
    pipeline.run_until_idle()
    alice = pipeline.alice
    announced = pipeline.query("select type from notifications where version > 0")
    pipeline.actions.create_comment(
        users[1].id, pipeline.post_id_by_caption["Hello"], f"And @{username_of(pipeline, users[2])}"
    )
    pipeline.run_until_idle()

    failover_harness.removals.delete_post(alice.id, pipeline.post_id_by_caption["Hello"])
    failover_harness.fail_back()
    pipeline.run_until_idle()

    assert pipeline.query("select type from notifications") == []
    assert len(users[2].client_events(ClientEventType.REMOVED)) == 1
    assert len(alice.client_events(ClientEventType.REMOVED)) == len(announced)
    assert violations(pipeline) == []


def username_of(pipeline: PipelineHarness, user: PipelineUser) -> str:
    return str(dict(pipeline.query("select id::text, username from users"))[user.id])


def test_account_removed_during_failover_leaves_the_counts_after_failback(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    ann, ben, *_ = users
    post_id, memberships = (
        pipeline.post_id_by_caption["Hello"],
        pipeline.worker_services.services.memberships,
    )
    for user in (ann, ben):
        user.like("Hello")
        user.follow(pipeline.alice)
    pipeline.close_windows()

    failover_harness.removals.delete_account(ann.id)
    failover_harness.fail_back()

    assert memberships.get_like_counts_and_states(ben.id, [post_id]) == {post_id: (1, True)}
    assert memberships.get_follower_counts_and_states(ben.id, [pipeline.alice.id]) == {
        pipeline.alice.id: (1, True)
    }
    assert pipeline.redis.scard(f"like:users:{post_id}") == 1
    assert violations(pipeline) == []


def test_failover_writes_of_a_removed_account_are_not_counted(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    ann, ben, *_ = users
    post_id = pipeline.post_id_by_caption["Hello"]
    for user in (ann, ben):
        failover_harness.actions.set_like(user.id, post_id, DesiredState.ON)
    failover_harness.actions.create_comment(ann.id, post_id, "Nice")

    failover_harness.removals.delete_account(ann.id)

    assert failover_harness.memberships.get_like_counts_and_states(ben.id, [post_id]) == {post_id: (1, True)}
    assert failover_harness.comments.list_by_post(post_id) == []
    assert failover_harness.comments.count_by_post([post_id]) == {post_id: 0}
    failover_harness.fail_back()
    assert pipeline.worker_services.services.memberships.get_like_counts_and_states(ben.id, [post_id]) == {
        post_id: (1, True)
    }
    assert violations(pipeline) == []


def test_redis_update_of_a_process_killed_after_commit_is_made_by_failback(
    pipeline: PipelineHarness,
    failover_harness: RedisFailoverHarness,
    users: list[PipelineUser],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.redis_failback.DELETION_CHECK_INTERVAL_SECONDS", 0.0)
    users[0].like("Hello")
    removal_without_redis_update = PostAndAccountRemoval(
        pipeline.engine,
        pipeline.redis,
        Clock(pipeline.clock.now, new_id),
        run_redis_update=lambda _: None,
    )

    removal_without_redis_update.delete_post(pipeline.alice.id, pipeline.post_id_by_caption["Hello"])
    failover_harness.redis_failback.step()

    assert failover_harness.is_redis_enabled()
    assert rejection_status(lambda: users[1].like("Hello")) == 404


def test_comment_known_to_redis_only_is_deleted_once_written(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    ann, post_id = users[0], pipeline.post_id_by_caption["Hello"]
    comment_id = ann.comment("Hello", "Too early")
    pipeline.run_until_idle()

    failover_harness.actions.delete_comment(ann.id, comment_id)

    comments = pipeline.worker_services.services.comments
    assert comments.list_by_post(post_id) == []
    failover_harness.fail_back()
    assert comments.list_by_post(post_id) == []
    assert comments.count_by_post([post_id]) == {post_id: 0}
    assert pipeline.query("select active from comments") == [(False,)]
    assert pipeline.query("select 1 from comment_deletions") == []
    assert violations(pipeline) == []
    assert pipeline.alice.toast_messages == []


def test_comment_known_to_redis_only_is_deleted_by_its_author_only(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    ann, ben, *_ = users
    comment_id = ann.comment("Hello", "Mine")

    failover_harness.actions.delete_comment(ben.id, comment_id)

    comments = pipeline.worker_services.services.comments
    failover_harness.fail_back()
    assert [comment.id for comment in comments.list_by_post(pipeline.post_id_by_caption["Hello"])] == [
        comment_id
    ]
    assert violations(pipeline) == []


@pytest.mark.parametrize(
    "comment_id",
    [
        pytest.param(str(uuid.uuid4()), id="not a UUIDv7"),
        pytest.param("018f0000-0000-7000-8000-000000000000", id="old id"),
    ],
)
def test_deletion_of_a_comment_that_cannot_be_pending_is_not_found(
    failover_harness: RedisFailoverHarness, users: list[PipelineUser], comment_id: str
) -> None:
    assert rejection_status(lambda: failover_harness.actions.delete_comment(users[0].id, comment_id)) == 404


def test_deletion_of_an_unknown_new_comment_is_accepted_and_dropped_by_failback(
    pipeline: PipelineHarness, failover_harness: RedisFailoverHarness, users: list[PipelineUser]
) -> None:
    failover_harness.actions.delete_comment(users[0].id, new_id())

    failover_harness.fail_back()

    assert pipeline.query("select 1 from comment_deletions") == []
