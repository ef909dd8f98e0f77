"""Deletions while Redis is unavailable stay in effect after the failback (P7, P2)."""

import uuid
from collections.abc import Callable

import pytest

from app.bootstrap import new_id
from app.domain.clock import TimeAndIdSource
from app.domain.errors import Rejected
from app.domain.grouping import ClientEventType
from app.social.removals import PostAndAccountRemoval
from tests.support.pipeline_harness import PipelineHarness, PipelineUser
from tests.support.post_counts import count_comments, read_likes
from tests.support.redis_failover_harness import RedisFailoverHarness

pytestmark = pytest.mark.service


@pytest.fixture
def failover(failover: RedisFailoverHarness) -> RedisFailoverHarness:
    failover.fail_back()
    return failover


def violations(failover: RedisFailoverHarness) -> list[str]:
    """Violations, except announcements about deleted users."""
    return [violation for violation in failover.violations() if " in events, " not in violation]


def rejection_status(action: Callable[[], object]) -> int:
    with pytest.raises(Rejected) as raised:
        action()
    return raised.value.status


def test_post_deleted_during_failover_accepts_no_events_after_failback(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    post_id = failover.post_id
    for user in failover.users:
        user.like("Hello")
    failover.users[0].comment("Hello", "Nice")
    pipeline.run_until_idle()

    failover.removals.delete_post(pipeline.alice.id, post_id)

    assert failover.status == "failover"
    failover.fail_back()
    ann = failover.users[0]
    actions: list[Callable[[], object]] = [
        lambda: failover.like_with_redis(ann),
        lambda: failover.actions_with_redis.create_comment(ann.id, post_id, "Still here?"),
        lambda: failover.actions_with_redis.share_post(ann.id, post_id),
    ]
    assert [rejection_status(action) for action in actions] == [404, 404, 404]
    assert violations(failover) == []
    assert pipeline.query("select 1 from notifications") == []
    assert pipeline.query("select 1 from redis_updates") == []


def test_announcement_of_an_unwritten_comment_is_removed_with_its_post(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    failover.users[0].comment("Hello", "Look, @alice")  # the mention is announced at once
    pipeline.run_until_idle()
    alice = pipeline.alice
    announced = pipeline.query("select type from notifications where version > 0")
    pipeline.actions.create_comment(
        failover.users[1].id, failover.post_id, f"And @{username_of(pipeline, failover.users[2])}"
    )
    pipeline.run_until_idle()

    failover.removals.delete_post(alice.id, failover.post_id)
    failover.fail_back()
    pipeline.run_until_idle()

    assert pipeline.query("select type from notifications") == []
    assert len(failover.users[2].client_events(ClientEventType.REMOVED)) == 1
    assert len(alice.client_events(ClientEventType.REMOVED)) == len(announced)
    assert violations(failover) == []


def username_of(pipeline: PipelineHarness, user: PipelineUser) -> str:
    return str(dict(pipeline.query("select id::text, username from users"))[user.id])


def test_account_removed_during_failover_leaves_the_counts_after_failback(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    ann, ben, *_ = failover.users
    post_id, memberships = failover.post_id, pipeline.worker_services.services.memberships
    for user in (ann, ben):
        user.like("Hello")
        user.follow(pipeline.alice)
    pipeline.close_windows()

    failover.removals.delete_account(ann.id)
    failover.fail_back()

    assert failover.like_count_and_state(ben) == (1, True)
    assert memberships.get_follower_counts_and_states(ben.id, [pipeline.alice.id]) == {
        pipeline.alice.id: (1, True)
    }
    assert pipeline.redis.scard(f"like:users:{post_id}") == 1
    assert violations(failover) == []


def test_failover_writes_of_a_removed_account_are_not_counted(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    ann, ben, *_ = failover.users
    post_id = failover.post_id
    for user in (ann, ben):
        failover.like(user)
    failover.actions.create_comment(ann.id, post_id, "Nice")

    failover.removals.delete_account(ann.id)

    assert read_likes(failover.memberships, ben.id, post_id) == (1, True)
    assert failover.comments.list_by_post(post_id) == []
    assert count_comments(failover.memberships, post_id) == 0
    failover.fail_back()
    assert failover.like_count_and_state(ben) == (1, True)
    assert violations(failover) == []


def test_redis_update_of_a_process_killed_after_commit_is_made_by_failback(
    pipeline: PipelineHarness, failover: RedisFailoverHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.redis_failback.DELETION_CHECK_INTERVAL_SECONDS", 0.0)
    failover.users[0].like("Hello")
    removal_without_redis_update = PostAndAccountRemoval(
        pipeline.engine,
        pipeline.redis,
        TimeAndIdSource(pipeline.clock.now, new_id),
        run_redis_update=lambda _: None,
    )

    removal_without_redis_update.delete_post(pipeline.alice.id, failover.post_id)
    failover.redis_failback.step()

    assert failover.is_redis_enabled()
    assert rejection_status(lambda: failover.users[1].like("Hello")) == 404


def test_comment_known_to_redis_only_is_deleted_once_written(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    ann = failover.users[0]
    comment_id = ann.comment("Hello", "Too early")
    pipeline.run_until_idle()

    failover.actions.delete_comment(ann.id, comment_id)

    assert failover.comment_count_and_contents()[1] == []
    failover.fail_back()
    assert failover.comment_count_and_contents() == (0, [])
    assert pipeline.query("select active from comments") == [(False,)]
    assert pipeline.query("select 1 from comment_deletions") == []
    assert violations(failover) == []
    assert pipeline.alice.toast_messages == []


def test_comment_known_to_redis_only_is_deleted_by_its_author_only(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    ann, ben, *_ = failover.users
    comment_id = ann.comment("Hello", "Mine")

    failover.actions.delete_comment(ben.id, comment_id)

    failover.fail_back()
    assert failover.comment_count_and_contents() == (1, ["Mine"])
    assert violations(failover) == []


@pytest.mark.parametrize(
    "comment_id",
    [
        pytest.param(str(uuid.uuid4()), id="not a UUIDv7"),
        pytest.param("018f0000-0000-7000-8000-000000000000", id="old id"),
    ],
)
def test_deletion_of_a_comment_that_cannot_be_pending_is_not_found(
    failover: RedisFailoverHarness, comment_id: str
) -> None:
    assert rejection_status(lambda: failover.actions.delete_comment(failover.users[0].id, comment_id)) == 404


def test_deletion_of_an_unknown_new_comment_is_accepted_and_dropped_by_failback(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    failover.actions.delete_comment(failover.users[0].id, new_id())

    failover.fail_back()

    assert pipeline.query("select 1 from comment_deletions") == []
