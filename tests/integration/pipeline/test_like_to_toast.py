"""The path of a like from the request to the toast, one worker step at a time."""

import pytest

from tests.support.pipeline_harness import USER_NAMES, WINDOW_AND_JITTER_SECONDS, PipelineHarness

pytestmark = pytest.mark.service


def test_three_likes_are_announced_at_once_and_the_rest_together(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")

    for expected_count, user in enumerate(pipeline.create_users(*USER_NAMES[:5]), 1):
        assert user.like("Hello").count == expected_count  # accepted: the count is correct at once
    assert pipeline.bridge.step() == 5  # from Redis to Kafka
    assert pipeline.aggregator.step() == 5  # three announced at once, two gathered
    assert pipeline.outbox_relay.step() == 4  # three announcements and an unread count
    assert pipeline.deliverer.step() == 4  # pushed to the sockets
    assert pipeline.alice.toast_messages == [
        "Ann liked your post",
        "Ben liked your post",
        "Cem liked your post",
    ]
    assert pipeline.alice.unread_count == 1

    assert pipeline.flusher.step() == 0  # the window is open
    pipeline.clock.advance(seconds=WINDOW_AND_JITTER_SECONDS)
    assert pipeline.flusher.step() == 1  # one transaction, one announcement
    assert pipeline.outbox_relay.step() == 2
    assert pipeline.deliverer.step() == 2
    assert pipeline.alice.toast_messages[3:] == ["Eve and 4 others liked your post"]
    assert pipeline.alice.client_events()[3]["metadata"]["newCount"] == 2
    assert pipeline.alice.unread_count == 1


def test_tables_are_complete_after_the_window(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    users = pipeline.create_users(*USER_NAMES[:5])
    for user in users:
        user.like("Hello")

    pipeline.run_until_idle()
    pipeline.clock.advance(seconds=WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()

    post_id = pipeline.post_id_by_caption["Hello"]
    likes = pipeline.query("select user_id::text from active_likes where post_id = :post_id", post_id=post_id)
    assert {row[0] for row in likes} == {user.id for user in users}
    assert pipeline.query("select like_count from posts where id = :post_id", post_id=post_id) == [(5,)]
    rows = pipeline.query("select type, version, actor_count, unannounced_count from notifications")
    assert rows == [("LIKE", 4, 5, 0)]
    assert [row["message"] for row in pipeline.alice.notifications] == ["Eve and 4 others liked your post"]
    assert pipeline.query("select count(*) from outbox where published_at is null") == [(0,)]
    assert pipeline.window_store.count_unsettled() == 0


def test_instant_announcement_has_the_group_text_and_its_actors(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    for user in pipeline.create_users(*USER_NAMES[:2]):
        user.like("Hello")
    pipeline.run_until_idle()

    last = pipeline.alice.client_events()[-1]
    assert last["message"] == "Ben liked your post"
    assert last["group"]["message"] == "Ben and 1 other liked your post"
    assert [actor["name"] for actor in last["actors"]] == ["Ben", "Ann"]
