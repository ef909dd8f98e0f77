"""Quiet hours: notifications are listed at once and announced when the quiet hours end."""

from datetime import UTC, datetime

import pytest

from app.domain.grouping import ClientEventType
from app.persistence.row_updates import FAILED_ROW_DELAY
from app.social.notification_status import DELETE, MARK_READ, NotificationStatusStore, StatusTransition
from tests.support.pipeline_harness import PipelineHarness

pytestmark = pytest.mark.service


def set_clock(pipeline: PipelineHarness, year: int, month: int, day: int, hour: int, minute: int = 0) -> None:
    """Time in UTC."""
    pipeline.clock.unix_seconds = datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()


def deliver_deferred(pipeline: PipelineHarness) -> list[str]:
    """The messages that are announced now."""
    before = len(pipeline.alice.toast_messages)
    pipeline.quiet_hours_delivery.announce_due_rows()
    pipeline.run_until_idle()
    return pipeline.alice.toast_messages[before:]


@pytest.fixture
def quiet(pipeline: PipelineHarness) -> PipelineHarness:
    """Two users like Alice's post at 23:00, in her quiet hours."""
    set_clock(pipeline, 2026, 6, 1, 23, 0)
    pipeline.alice.set_preferences(dnd_enabled=True, dnd_start_time="22:00", dnd_end_time="08:00")
    pipeline.alice.create_post("Hello")
    for user in pipeline.create_users("Ann", "Ben"):
        user.like("Hello")
    pipeline.run_until_idle()
    return pipeline


def test_notification_in_quiet_hours_is_listed_and_counted_but_not_announced(
    quiet: PipelineHarness,
) -> None:
    assert quiet.alice.toast_messages == []
    assert (
        len(quiet.alice.client_events(ClientEventType.UPDATED)),
        quiet.alice.unread_count,
    ) == (2, 1)


def test_end_of_quiet_hours_announces_all_at_once(quiet: PipelineHarness) -> None:
    set_clock(quiet, 2026, 6, 2, 8, 0)

    assert deliver_deferred(quiet) == ["Ben and 1 other liked your post"]
    assert quiet.alice.client_events()[-1]["metadata"]["newCount"] == 2
    assert deliver_deferred(quiet) == []


def test_email_of_a_deferred_notification_is_sent_after_the_quiet_hours(
    quiet: PipelineHarness,
) -> None:
    quiet.alice.set_preferences(matrix={"FOLLOW": {"email": True}})
    (dan,) = quiet.create_users("Dan")
    dan.follow(quiet.alice)
    quiet.run_until_idle()
    assert quiet.query("select type from outgoing_messages") == []

    set_clock(quiet, 2026, 6, 2, 8, 0)
    deliver_deferred(quiet)

    assert quiet.query(
        "select type, channel, created_at = cast('2026-06-02 08:00Z' as timestamptz) from outgoing_messages"
    ) == [("FOLLOW", "EMAIL", True)]


def test_deferred_rows_are_announced_with_one_unread_count(
    quiet: PipelineHarness,
) -> None:
    quiet.create_users("Cem")[0].follow(quiet.alice)
    quiet.run_until_idle()
    event_count_before = len(quiet.push_publisher.events_for_user(quiet.alice.id, "unread_count"))
    set_clock(quiet, 2026, 6, 2, 8, 0)

    assert deliver_deferred(quiet) == [
        "Ben and 1 other liked your post",
        "Cem started following you",
    ]
    assert len(quiet.push_publisher.events_for_user(quiet.alice.id, "unread_count")) == event_count_before + 1


@pytest.mark.parametrize("change", [MARK_READ, DELETE], ids=["read", "deleted"])
def test_row_read_during_quiet_hours_is_not_announced(
    quiet: PipelineHarness, change: StatusTransition
) -> None:
    [(row,)] = quiet.query("select id::text from notifications")
    NotificationStatusStore(quiet.engine).apply_status_change(quiet.alice.id, row, change)
    set_clock(quiet, 2026, 6, 2, 8, 0)

    assert deliver_deferred(quiet) == []


def test_row_whose_actors_all_left_in_quiet_hours_is_not_announced(
    pipeline: PipelineHarness,
) -> None:
    set_clock(pipeline, 2026, 6, 1, 23, 0)
    pipeline.alice.set_preferences(dnd_enabled=True, dnd_start_time="22:00", dnd_end_time="08:00")
    pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    ann.like("Hello")
    pipeline.run_until_idle()
    ann.unlike("Hello")
    pipeline.run_until_idle()
    set_clock(pipeline, 2026, 6, 2, 8, 0)

    assert deliver_deferred(pipeline) == []


def test_leaving_in_quiet_hours_after_an_earlier_announcement_announces_nothing(
    pipeline: PipelineHarness,
) -> None:
    set_clock(pipeline, 2026, 6, 1, 21, 0)
    pipeline.alice.set_preferences(dnd_enabled=True, dnd_start_time="22:00", dnd_end_time="08:00")
    pipeline.alice.create_post("Hello")
    ann, ben = pipeline.create_users("Ann", "Ben")
    ann.like("Hello")
    ben.like("Hello")
    pipeline.run_until_idle()
    set_clock(pipeline, 2026, 6, 1, 23, 0)
    ben.unlike("Hello")
    pipeline.run_until_idle()
    set_clock(pipeline, 2026, 6, 2, 8, 0)

    assert deliver_deferred(pipeline) == []


def test_recipient_whose_row_cannot_be_announced_does_not_stop_the_others(quiet: PipelineHarness) -> None:
    set_clock(quiet, 2026, 6, 2, 8, 0)
    (other,) = quiet.create_users("Eve")
    quiet.execute("update notifications set metadata = '[]'")
    quiet.execute(
        "insert into notifications (id, user_id, type, priority, object_id, version, actor_count, "
        "deferred_until) values (uuidv7(), :user, 'FOLLOW', 'HIGH', uuidv7(), 1, 1, :due)",
        user=other.id,
        due=datetime(2026, 6, 2, 8, tzinfo=UTC),
    )

    assert deliver_deferred(quiet) == []

    assert quiet.query(
        "select user_id::text, deferred_until from notifications order by deferred_until nulls first"
    ) == [
        (other.id, None),
        (quiet.alice.id, datetime(2026, 6, 2, 8, tzinfo=UTC) + FAILED_ROW_DELAY),
    ]
