"""Status changes of notifications cause one client event each and update the unread count."""

import pytest

from app.domain.grouping import ClientEventType
from app.social.notification_status import (
    ARCHIVE,
    DELETE,
    MARK_READ,
    MARK_SEEN,
    MARK_UNREAD,
    NotificationStatusStore,
    StatusTransition,
)
from tests.support.pipeline_harness import PipelineHarness

pytestmark = pytest.mark.service


@pytest.fixture
def liked_pipeline(pipeline: PipelineHarness) -> PipelineHarness:
    """Ann likes Alice's post, and the like was announced."""
    pipeline.alice.create_post("Hello")
    pipeline.create_users("Ann")[0].like("Hello")
    pipeline.run_until_idle()
    return pipeline


def apply_change(pipeline: PipelineHarness, change: StatusTransition) -> None:
    """Changes the status of Alice's first notification."""
    [(notification_id,)] = pipeline.query("select id::text from notifications order by generation limit 1")
    NotificationStatusStore(pipeline.engine).apply_status_change(pipeline.alice.id, notification_id, change)
    pipeline.run_until_idle()


@pytest.mark.parametrize(
    ("change", "event_type", "unread_count"),
    [
        pytest.param(MARK_READ, ClientEventType.UPDATED, 0, id="read"),
        pytest.param(MARK_SEEN, ClientEventType.UPDATED, 1, id="seen"),
        pytest.param(ARCHIVE, ClientEventType.REMOVED, 0, id="archived"),
        pytest.param(DELETE, ClientEventType.REMOVED, 0, id="deleted"),
    ],
)
def test_status_change_emits_one_client_event_and_one_unread_count(
    liked_pipeline: PipelineHarness, change: StatusTransition, event_type: ClientEventType, unread_count: int
) -> None:
    apply_change(liked_pipeline, change)

    [client_event] = liked_pipeline.alice.client_events(event_type)
    assert (client_event["version"], client_event["seq"]) == (2, 2)
    assert liked_pipeline.alice.unread_count == unread_count


def test_read_notification_can_be_marked_unread(liked_pipeline: PipelineHarness) -> None:
    apply_change(liked_pipeline, MARK_READ)
    apply_change(liked_pipeline, MARK_UNREAD)

    client_events = liked_pipeline.alice.client_events(ClientEventType.UPDATED)
    assert [client_event["isRead"] for client_event in client_events] == [True, False]
    assert liked_pipeline.alice.unread_count == 1


@pytest.mark.parametrize("change", [MARK_READ, MARK_SEEN, ARCHIVE])
def test_repeated_status_change_emits_one_client_event(
    liked_pipeline: PipelineHarness, change: StatusTransition
) -> None:
    apply_change(liked_pipeline, change)
    if change is not ARCHIVE:
        apply_change(liked_pipeline, change)

    assert len(liked_pipeline.alice.client_events(change.client_event_type)) == 1


@pytest.mark.parametrize("change", [ARCHIVE, DELETE], ids=["archived", "deleted"])
def test_archived_notification_stays_archived_when_it_changes(
    liked_pipeline: PipelineHarness, change: StatusTransition
) -> None:
    (ben,) = liked_pipeline.create_users("Ben")
    ben.like("Hello")
    liked_pipeline.run_until_idle()
    apply_change(liked_pipeline, change)
    count_before = len(liked_pipeline.push_publisher.client_events)

    ben.unlike("Hello")
    liked_pipeline.run_until_idle()

    client_events = [
        client_event
        for client_event in liked_pipeline.push_publisher.client_events[count_before:]
        if client_event[0] != "posts_changed"
    ]
    assert client_events == []


def test_like_after_deletion_of_the_row_opens_a_new_row(liked_pipeline: PipelineHarness) -> None:
    apply_change(liked_pipeline, DELETE)

    liked_pipeline.create_users("Ben")[0].like("Hello")
    liked_pipeline.run_until_idle()

    assert liked_pipeline.alice.toast_messages[-1] == "Ben liked your post"
    assert liked_pipeline.alice.unread_count == 1
