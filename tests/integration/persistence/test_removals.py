"""Deleted posts, deleted accounts and blocked users disappear from rows, groups, counts and texts."""

from typing import Any

import pytest

from app.bootstrap import new_id
from app.devtools.checker.store_invariants import StoreInvariants
from app.domain.clock import TimeAndIdSource
from app.domain.errors import Rejected
from app.domain.grouping import ClientEventType
from app.social.mutes import MutesAndBlocks
from tests.support.pipeline_harness import PipelineHarness, PipelineUser

pytestmark = pytest.mark.service


@pytest.fixture
def ann(pipeline: PipelineHarness) -> PipelineUser:
    pipeline.alice.create_post("Hello")
    return pipeline.create_users("Ann")[0]


def clock(pipeline: PipelineHarness) -> TimeAndIdSource:
    return TimeAndIdSource(pipeline.clock.now, new_id)


def find_violations(pipeline: PipelineHarness) -> list[str]:
    """Without announcements of actors who were deleted, which are expected here."""
    violations = StoreInvariants(pipeline.engine, pipeline.redis).find_violations()
    return [violation for violation in violations if " in events, " not in violation]


def cached_count(pipeline: PipelineHarness, kind: str = "like") -> Any:
    object_id = pipeline.alice.id if kind == "follow" else pipeline.post_id_by_caption["Hello"]
    return pipeline.redis.get(f"{kind}:count:{object_id}")


def test_deleting_a_post_removes_its_notifications_live(pipeline: PipelineHarness, ann: PipelineUser) -> None:
    (ben,) = pipeline.create_users("Ben")
    ann.like("Hello")
    pipeline.alice.reply(ann.comment("Hello", "Nice"), "Thanks")
    ben.follow(pipeline.alice)
    pipeline.close_windows()
    assert (pipeline.alice.unread_count, ann.unread_count) == (3, 1)

    pipeline.removals.delete_post(pipeline.alice.id, pipeline.post_id_by_caption["Hello"])
    pipeline.run_until_idle()

    assert (
        len(pipeline.alice.client_events(ClientEventType.REMOVED)),
        len(ann.client_events(ClientEventType.REMOVED)),
    ) == (2, 1)
    assert (pipeline.alice.unread_count, ann.unread_count) == (1, 0)
    assert pipeline.query("select type from notifications") == [("FOLLOW",)]


def test_events_waiting_for_a_deleted_post_are_not_announced(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    ann.like("Hello")
    ann.comment("Hello", "Nice")
    pipeline.actions.share_post(ann.id, pipeline.post_id_by_caption["Hello"])

    pipeline.removals.delete_post(pipeline.alice.id, pipeline.post_id_by_caption["Hello"])
    pipeline.close_windows()

    assert pipeline.query("select 1 from notifications") == []
    assert (pipeline.alice.toast_messages, pipeline.alice.unread_count) == ([], 0)


def test_deleted_post_accepts_no_likes_and_no_comments(pipeline: PipelineHarness, ann: PipelineUser) -> None:
    pipeline.removals.delete_post(pipeline.alice.id, pipeline.post_id_by_caption["Hello"])

    for action in (lambda: ann.like("Hello"), lambda: ann.comment("Hello", "Nice")):
        with pytest.raises(Rejected) as rejection:
            action()
        assert rejection.value.status == 404


@pytest.mark.parametrize("written", [True, False], ids=["written", "not written"])
def test_deleted_account_is_removed_from_counts_groups_unread_counts_and_texts(
    pipeline: PipelineHarness, ann: PipelineUser, written: bool
) -> None:
    (ben,) = pipeline.create_users("Ben")
    for user in (ann, ben):
        user.like("Hello")
        user.follow(pipeline.alice)
    ann.comment("Hello", "Nice")
    if written:
        pipeline.close_windows()

    pipeline.removals.delete_account(ann.id)
    pipeline.close_windows()

    assert [cached_count(pipeline, kind) for kind in ("like", "follow")] == ["1", "1"]
    assert cached_count(pipeline, "comment") in (None, "0")
    rows = {row["type"]: row["message"] for row in pipeline.alice.notifications}
    assert rows == {"FOLLOW": "Ben started following you", "LIKE": "Ben liked your post"}
    assert (pipeline.alice.unread_count, find_violations(pipeline)) == (2, [])


def test_deleting_an_account_deletes_its_posts_and_their_notifications(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    pipeline.alice.follow(ann)
    ann.create_post("By Ann")
    pipeline.alice.like("By Ann")
    pipeline.alice.reply(ann.comment("By Ann", "First"), "Second")
    pipeline.close_windows()

    pipeline.removals.delete_account(ann.id)
    pipeline.close_windows()

    assert pipeline.query("select 1 from posts where caption = 'By Ann'") == []
    assert find_violations(pipeline) == []


def test_removing_an_account_twice_is_not_found(pipeline: PipelineHarness, ann: PipelineUser) -> None:
    pipeline.removals.delete_account(ann.id)

    with pytest.raises(Rejected) as rejection:
        pipeline.removals.delete_account(ann.id)

    assert rejection.value.status == 404


def test_blocked_users_event_in_an_open_window_is_not_announced(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    ann.comment("Hello", "Nice")
    pipeline.run_until_idle()

    MutesAndBlocks(pipeline.engine, clock(pipeline)).block_user(pipeline.alice.id, ann.id)
    pipeline.close_windows()

    assert (pipeline.alice.toast_messages, pipeline.alice.unread_count) == ([], 0)
    assert cached_count(pipeline, "comment") == "1"


def test_mute_keeps_existing_notifications_and_suppresses_new_ones(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    ann.like("Hello")
    pipeline.run_until_idle()

    MutesAndBlocks(pipeline.engine, clock(pipeline)).set_user_mute(pipeline.alice.id, ann.id, True)
    ann.follow(pipeline.alice)
    pipeline.run_until_idle()

    assert pipeline.alice.toast_messages == ["Ann liked your post"]
    assert pipeline.alice.unread_count == 1
