"""Snoozed notifications leave the list and the unread count, and return when their time has come."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event as sqlalchemy_event

from app.domain.grouping import ClientEventType
from app.persistence.pages import PageRequest
from app.persistence.row_updates import FAILED_ROW_DELAY
from app.persistence.snoozes import SnoozedNotifications
from app.social.notification_status import (
    ARCHIVE,
    DELETE,
    INVALID_SNOOZE,
    MARK_READ,
    MAX_SNOOZE,
    MIN_SNOOZE,
    NotificationStatusStore,
    StatusTransition,
)
from app.social.notifications import NotificationFilter, Notifications
from tests.support.pipeline_harness import PipelineHarness

pytestmark = pytest.mark.service
HOUR = timedelta(hours=1)


@pytest.fixture
def liked_pipeline(pipeline: PipelineHarness) -> PipelineHarness:
    """Ann likes Alice's post, and the like was announced."""
    pipeline.alice.create_post("Hello")
    pipeline.create_users("Ann")[0].like("Hello")
    pipeline.run_until_idle()
    return pipeline


def now(pipeline: PipelineHarness) -> datetime:
    return datetime.fromtimestamp(pipeline.clock.now(), UTC)


def first_row_id(pipeline: PipelineHarness) -> str:
    [(row_id,)] = pipeline.query("select id::text from notifications order by generation limit 1")
    return str(row_id)


def snooze(pipeline: PipelineHarness, duration: timedelta = HOUR) -> None:
    """Snoozes Alice's first notification."""
    NotificationStatusStore(pipeline.engine).snooze(
        pipeline.alice.id, first_row_id(pipeline), now(pipeline) + duration, now(pipeline)
    )
    pipeline.run_until_idle()


def apply_change(pipeline: PipelineHarness, change: StatusTransition) -> None:
    NotificationStatusStore(pipeline.engine).apply_status_change(
        pipeline.alice.id, first_row_id(pipeline), change
    )
    pipeline.run_until_idle()


def return_due(pipeline: PipelineHarness, after: timedelta = HOUR) -> int:
    """Advances the clock; returns the number of rows that returned."""
    pipeline.clock.advance(after.total_seconds())
    count = SnoozedNotifications(pipeline.engine, pipeline.clock.now).return_due_rows()
    pipeline.run_until_idle()
    return count


def set_metadata(pipeline: PipelineHarness, row_id: str, metadata: str) -> None:
    pipeline.execute(
        "update notifications set metadata = cast(:metadata as jsonb) where id = :id",
        metadata=metadata,
        id=row_id,
    )


def listed_messages(pipeline: PipelineHarness) -> list[str]:
    return [row["message"] for row in pipeline.alice.notifications]


def snoozed_count(pipeline: PipelineHarness) -> int:
    store = Notifications(pipeline.engine)
    rows = store.list_newest(pipeline.alice.id, NotificationFilter(snoozed=True), PageRequest(100))
    return len(rows.items)


def test_snoozed_row_leaves_the_list_and_the_unread_count(liked_pipeline: PipelineHarness) -> None:
    snooze(liked_pipeline)

    assert (listed_messages(liked_pipeline), liked_pipeline.alice.unread_count) == ([], 0)
    assert snoozed_count(liked_pipeline) == 1
    [removal] = liked_pipeline.alice.client_events(ClientEventType.REMOVED)
    assert (removal["version"], removal["seq"]) == (2, 2)


def test_snoozed_row_returns_unread_at_the_top_without_an_announcement(
    liked_pipeline: PipelineHarness,
) -> None:
    apply_change(liked_pipeline, MARK_READ)
    snooze(liked_pipeline)
    liked_pipeline.create_users("Ben")[0].follow(liked_pipeline.alice)
    liked_pipeline.run_until_idle()
    toasts_before = liked_pipeline.alice.toast_messages

    assert return_due(liked_pipeline) == 1

    assert listed_messages(liked_pipeline) == ["Ann liked your post", "Ben started following you"]
    assert (snoozed_count(liked_pipeline), liked_pipeline.alice.unread_count) == (0, 2)
    assert liked_pipeline.alice.toast_messages == toasts_before
    returned = liked_pipeline.alice.client_events(ClientEventType.UPDATED)[-1]
    assert (returned["isRead"], returned["seenAt"], returned["metadata"]["newCount"]) == (False, None, 0)
    assert returned["timestamp"] == now(liked_pipeline).isoformat(timespec="milliseconds")[:-6] + "Z"


def test_row_is_not_returned_before_its_time_and_only_once(liked_pipeline: PipelineHarness) -> None:
    snooze(liked_pipeline)

    assert return_due(liked_pipeline, HOUR - timedelta(seconds=1)) == 0
    assert return_due(liked_pipeline, timedelta(seconds=1)) == 1
    assert return_due(liked_pipeline) == 0
    assert len(liked_pipeline.alice.client_events(ClientEventType.UPDATED)) == 1


def test_row_that_another_worker_returned_meanwhile_is_not_returned_again(
    liked_pipeline: PipelineHarness,
) -> None:
    """The second worker returns the row after the first has selected it and before it locks the recipient."""
    snooze(liked_pipeline)
    second = SnoozedNotifications(liked_pipeline.engine, liked_pipeline.clock.now)
    has_run, second_counts = False, []

    def run_second(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal has_run
        if "for no key update" in statement and not has_run:
            has_run = True
            second_counts.append(second.return_due_rows())

    sqlalchemy_event.listen(liked_pipeline.engine, "before_cursor_execute", run_second)
    try:
        count = return_due(liked_pipeline)
    finally:
        sqlalchemy_event.remove(liked_pipeline.engine, "before_cursor_execute", run_second)

    assert (count, second_counts) == (0, [1])
    assert len(liked_pipeline.alice.client_events(ClientEventType.UPDATED)) == 1


def test_new_actor_joins_the_snoozed_row_without_an_announcement(liked_pipeline: PipelineHarness) -> None:
    snooze(liked_pipeline)
    toasts_before = liked_pipeline.alice.toast_messages

    liked_pipeline.create_users("Ben")[0].like("Hello")
    liked_pipeline.close_windows()

    assert liked_pipeline.alice.toast_messages == toasts_before
    assert (listed_messages(liked_pipeline), liked_pipeline.alice.unread_count) == ([], 0)
    assert liked_pipeline.query("select count(*), min(actor_count) from notifications") == [(1, 2)]

    return_due(liked_pipeline)
    returned = liked_pipeline.alice.client_events(ClientEventType.UPDATED)[-1]
    assert returned["group"]["message"] == "Ben and 1 other liked your post"
    assert returned["metadata"]["newCount"] == 0  # else it reads as one that quiet hours hold
    assert liked_pipeline.query(
        "select unannounced_count, (select bool_and(announced) from notification_actors) from notifications"
    ) == [(0, True)]


def test_new_actor_after_a_snoozed_read_row_opens_a_new_row(liked_pipeline: PipelineHarness) -> None:
    apply_change(liked_pipeline, MARK_READ)
    snooze(liked_pipeline)

    liked_pipeline.create_users("Ben")[0].like("Hello")
    liked_pipeline.run_until_idle()

    assert listed_messages(liked_pipeline) == ["Ben liked your post"]
    return_due(liked_pipeline)
    assert listed_messages(liked_pipeline) == ["Ann liked your post", "Ben liked your post"]


def test_row_whose_actors_left_while_it_was_snoozed_does_not_return(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    ann.like("Hello")
    pipeline.run_until_idle()
    snooze(pipeline)

    ann.unlike("Hello")
    pipeline.run_until_idle()
    return_due(pipeline)

    assert (listed_messages(pipeline), snoozed_count(pipeline), pipeline.alice.unread_count) == ([], 0, 0)
    assert pipeline.alice.client_events(ClientEventType.UPDATED) == []


@pytest.mark.parametrize("change", [ARCHIVE, DELETE], ids=["archived", "deleted"])
def test_archived_or_deleted_row_does_not_return(
    liked_pipeline: PipelineHarness, change: StatusTransition
) -> None:
    snooze(liked_pipeline)
    apply_change(liked_pipeline, change)

    assert return_due(liked_pipeline) == 0
    assert (listed_messages(liked_pipeline), snoozed_count(liked_pipeline)) == ([], 0)


def test_row_read_while_it_is_snoozed_stays_out_of_the_list(liked_pipeline: PipelineHarness) -> None:
    snooze(liked_pipeline)
    apply_change(liked_pipeline, MARK_READ)

    assert liked_pipeline.alice.client_events(ClientEventType.UPDATED) == []
    assert (listed_messages(liked_pipeline), snoozed_count(liked_pipeline)) == ([], 1)


def test_cancelled_snooze_returns_the_row_as_it_was(liked_pipeline: PipelineHarness) -> None:
    apply_change(liked_pipeline, MARK_READ)
    [before] = liked_pipeline.alice.notifications
    snooze(liked_pipeline)
    store = NotificationStatusStore(liked_pipeline.engine)
    for _ in range(2):
        store.cancel_snooze(liked_pipeline.alice.id, before["id"])
    liked_pipeline.run_until_idle()

    [after] = liked_pipeline.alice.notifications
    unchanged = ("is_read", "read_at", "updated_at", "snoozed_until")
    assert [after[name] for name in unchanged] == [before[name] for name in unchanged]
    assert liked_pipeline.alice.unread_count == 0
    assert len(liked_pipeline.alice.client_events(ClientEventType.UPDATED)) == 2


def test_actors_of_a_cancelled_snooze_are_announced_when_their_window_closes(
    liked_pipeline: PipelineHarness,
) -> None:
    snooze(liked_pipeline)
    ben, cem, dina, eli = liked_pipeline.create_users("Ben", "Cem", "Dina", "Eli")
    for user in (ben, cem):
        user.like("Hello")
    liked_pipeline.run_until_idle()
    assert liked_pipeline.query("select unannounced_count from notifications") == [(2,)]

    NotificationStatusStore(liked_pipeline.engine).cancel_snooze(
        liked_pipeline.alice.id, first_row_id(liked_pipeline)
    )
    liked_pipeline.run_until_idle()
    returned = liked_pipeline.alice.client_events(ClientEventType.UPDATED)[-1]
    assert returned["metadata"]["newCount"] == 0
    assert liked_pipeline.query(
        "select unannounced_count, (select count(*) from notification_actors where not announced) "
        "from notifications"
    ) == [(2, 2)]

    for user in (dina, eli):
        user.like("Hello")
    liked_pipeline.close_windows()
    announcement = liked_pipeline.alice.client_events()[-1]
    assert announcement["metadata"]["newCount"] == 4
    assert liked_pipeline.query("select unannounced_count from notifications") == [(0,)]


def test_row_that_cannot_be_returned_does_not_stop_the_others(
    liked_pipeline: PipelineHarness, caplog: pytest.LogCaptureFixture
) -> None:
    snooze(liked_pipeline)
    bad_id = first_row_id(liked_pipeline)
    liked_pipeline.create_users("Ben")[0].follow(liked_pipeline.alice)
    liked_pipeline.run_until_idle()
    [good] = liked_pipeline.alice.notifications
    NotificationStatusStore(liked_pipeline.engine).snooze(
        liked_pipeline.alice.id, good["id"], now(liked_pipeline) + HOUR, now(liked_pipeline)
    )
    set_metadata(liked_pipeline, bad_id, "[]")

    assert return_due(liked_pipeline) == 1

    assert listed_messages(liked_pipeline) == ["Ben started following you"]
    assert snoozed_count(liked_pipeline) == 1
    assert "snooze_return_failed" in [getattr(record, "event", "") for record in caplog.records]
    assert return_due(liked_pipeline, timedelta(0)) == 0  # it waits
    set_metadata(liked_pipeline, bad_id, "{}")
    assert return_due(liked_pipeline, FAILED_ROW_DELAY) == 1
    assert snoozed_count(liked_pipeline) == 0


def test_second_snooze_replaces_the_time(liked_pipeline: PipelineHarness) -> None:
    snooze(liked_pipeline)
    snooze(liked_pipeline, 2 * HOUR)

    assert return_due(liked_pipeline) == 0
    assert return_due(liked_pipeline) == 1


@pytest.mark.parametrize(
    "duration", [-HOUR, MIN_SNOOZE - timedelta(seconds=1), MAX_SNOOZE + timedelta(seconds=1)]
)
def test_snooze_that_is_too_short_or_too_long_is_refused(
    liked_pipeline: PipelineHarness, duration: timedelta
) -> None:
    with pytest.raises(INVALID_SNOOZE, match="at least a minute"):
        snooze(liked_pipeline, duration)
    assert liked_pipeline.alice.unread_count == 1
