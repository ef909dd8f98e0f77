"""Quiet hours: notifications are listed at once and announced when the quiet hours end."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from app.domain.grouping import ClientEventType
from app.social.notification_status import DELETE, MARK_READ, NotificationStatusStore, StatusChange
from tests.support.pipeline_harness import PipelineHarness

pytestmark = pytest.mark.service
EMAIL_FOR_FOLLOWS = '{"FOLLOW": {"email": true}}'


def set_clock(pipeline: PipelineHarness, year: int, month: int, day: int, hour: int, minute: int = 0) -> None:
    """Time in UTC."""
    pipeline.clock.unix_seconds = datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()


def enable_quiet_hours(
    pipeline: PipelineHarness, zone: str = "UTC", start: str = "22:00", end: str = "08:00"
) -> None:
    """Sets Alice's quiet hours, in local time of `zone`."""
    with pipeline.engine.begin() as conn:
        conn.execute(
            text(
                "insert into notification_preferences "
                "(user_id, dnd_enabled, dnd_start_time, dnd_end_time, timezone) "
                "values (:alice, true, :start, :end, :zone)"
            ),
            {"alice": pipeline.alice.id, "start": start, "end": end, "zone": zone},
        )


def deliver_deferred(pipeline: PipelineHarness) -> list[str]:
    """The messages that are announced now."""
    before = len(pipeline.alice.toast_messages)
    pipeline.quiet_hours_delivery.announce_due_rows()
    pipeline.run_until_idle()
    return pipeline.alice.toast_messages[before:]


@pytest.fixture
def quiet_hours_pipeline(pipeline: PipelineHarness) -> PipelineHarness:
    """Two users like Alice's post at 23:00, in her quiet hours."""
    set_clock(pipeline, 2026, 6, 1, 23, 0)
    enable_quiet_hours(pipeline)
    pipeline.alice.create_post("Hello")
    for user in pipeline.create_users("Ann", "Ben"):
        user.like("Hello")
    pipeline.run_until_idle()
    return pipeline


def test_notification_in_quiet_hours_is_listed_and_counted_but_not_announced(
    quiet_hours_pipeline: PipelineHarness,
) -> None:
    assert quiet_hours_pipeline.alice.toast_messages == []
    assert (
        len(quiet_hours_pipeline.alice.client_events(ClientEventType.UPDATED)),
        quiet_hours_pipeline.alice.unread_count,
    ) == (2, 1)


def test_end_of_quiet_hours_announces_all_at_once(quiet_hours_pipeline: PipelineHarness) -> None:
    set_clock(quiet_hours_pipeline, 2026, 6, 2, 8, 0)

    assert deliver_deferred(quiet_hours_pipeline) == ["Ben and 1 other liked your post"]
    assert quiet_hours_pipeline.alice.client_events()[-1]["metadata"]["newCount"] == 2
    assert deliver_deferred(quiet_hours_pipeline) == []


def test_email_of_a_deferred_notification_is_sent_after_the_quiet_hours(
    quiet_hours_pipeline: PipelineHarness,
) -> None:
    with quiet_hours_pipeline.engine.begin() as conn:
        conn.execute(
            text("update notification_preferences set matrix = :matrix"), {"matrix": EMAIL_FOR_FOLLOWS}
        )
    (dan,) = quiet_hours_pipeline.create_users("Dan")
    dan.follow(quiet_hours_pipeline.alice)
    quiet_hours_pipeline.run_until_idle()
    assert quiet_hours_pipeline.query("select type from outgoing_messages") == []

    set_clock(quiet_hours_pipeline, 2026, 6, 2, 8, 0)
    deliver_deferred(quiet_hours_pipeline)

    assert quiet_hours_pipeline.query(
        "select type, channel, created_at = cast('2026-06-02 08:00Z' as timestamptz) from outgoing_messages"
    ) == [("FOLLOW", "EMAIL", True)]


def test_deferred_rows_are_announced_with_one_unread_count(
    quiet_hours_pipeline: PipelineHarness,
) -> None:
    quiet_hours_pipeline.create_users("Cem")[0].follow(quiet_hours_pipeline.alice)
    quiet_hours_pipeline.run_until_idle()
    event_count_before = len(
        quiet_hours_pipeline.push_publisher.events_for_user(quiet_hours_pipeline.alice.id, "unread_count")
    )
    set_clock(quiet_hours_pipeline, 2026, 6, 2, 8, 0)

    assert deliver_deferred(quiet_hours_pipeline) == [
        "Ben and 1 other liked your post",
        "Cem started following you",
    ]
    assert (
        len(
            quiet_hours_pipeline.push_publisher.events_for_user(quiet_hours_pipeline.alice.id, "unread_count")
        )
        == event_count_before + 1
    )


@pytest.mark.parametrize("change", [MARK_READ, DELETE], ids=["read", "deleted"])
def test_row_read_during_quiet_hours_is_not_announced(
    quiet_hours_pipeline: PipelineHarness, change: StatusChange
) -> None:
    [(row,)] = quiet_hours_pipeline.query("select id::text from notifications")
    NotificationStatusStore(quiet_hours_pipeline.engine).apply_status_change(
        quiet_hours_pipeline.alice.id, row, change
    )
    set_clock(quiet_hours_pipeline, 2026, 6, 2, 8, 0)

    assert deliver_deferred(quiet_hours_pipeline) == []


def test_row_whose_actors_all_left_in_quiet_hours_is_not_announced(
    pipeline: PipelineHarness,
) -> None:
    set_clock(pipeline, 2026, 6, 1, 23, 0)
    enable_quiet_hours(pipeline)
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
    enable_quiet_hours(pipeline)
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
