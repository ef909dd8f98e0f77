"""Fan-outs (P14): a post or an event is announced to many recipients page by page, to each exactly once."""

from typing import Any

import pytest
from sqlalchemy import text

from app.bootstrap import new_id
from app.domain.errors import Unavailable
from app.domain.events import Event, Kind
from app.domain.grouping import ClientEventType
from app.persistence import fan_out_pages
from app.persistence.fan_out_pages import _SELECT_PAGE, FAN_OUT_PAGE_CHANNEL, FanOutPageWriter
from app.persistence.fan_outs import MANY_RECIPIENTS, Audience
from tests.support.pipeline_harness import PipelineHarness, PipelineUser
from workers.fan_out_pages_log import delivery_log_items_of_page

SUBSCRIBER_COUNT = 25
PAGE_SIZE = 10


@pytest.fixture
def subscribers(pipeline: PipelineHarness, monkeypatch: pytest.MonkeyPatch) -> list[PipelineUser]:
    """Subscribers of Alice, in the order of their ids. Pages have ten recipients."""
    users = pipeline.create_users(*(f"Subscriber {number}" for number in range(SUBSCRIBER_COUNT)))
    for user in users:
        user.subscribe_to(pipeline.alice)
    pipeline.fan_out.worker._pages = FanOutPageWriter(pipeline.engine, pipeline.clock.now, PAGE_SIZE)
    return sorted(users, key=lambda user: user.id)


def fan_out_rows(pipeline: PipelineHarness) -> list[tuple[Any, ...]]:
    return pipeline.query(
        "select processed_count, recipient_count, outcomes, finished_at is not null from fan_outs order by id"
    )


def shown_suppressed(pipeline: PipelineHarness) -> list[tuple[Any, ...]]:
    """The rows that show recipients what they were not told. Nobody relays them: the log has the pages."""
    return pipeline.query(
        "select user_id::text, payload->>'status', payload->'actorIds'->>0, payload->>'postId' from outbox "
        "where client_event = 'ended' and published_at is not null order by id"
    )


def test_each_subscriber_is_notified_of_a_post_once(
    pipeline: PipelineHarness, subscribers: list[PipelineUser]
) -> None:
    pipeline.alice.create_post("Hello")
    pipeline.run_until_idle()
    for user in subscribers:
        assert user.toast_messages == ["Alice posted: Hello"]
        assert [row["message"] for row in user.notifications] == ["Alice posted: Hello"]
        assert user.unread_count == 1
    assert fan_out_rows(pipeline) == [(SUBSCRIBER_COUNT, SUBSCRIBER_COUNT, {"delivered": 25}, True)]
    assert pipeline.alice.notifications == []


def test_publishing_reads_no_subscriber(pipeline: PipelineHarness, subscribers: list[PipelineUser]) -> None:
    pipeline.alice.create_post("Hello")
    assert pipeline.query("select count(*) from notifications") == [(0,)]
    assert fan_out_rows(pipeline) == [(0, None, {}, False)]


@pytest.mark.parametrize("audience", list(Audience))
def test_page_is_read_in_the_order_of_an_index(pipeline: PipelineHarness, audience: Audience) -> None:
    """A page of a million subscribers must not sort the rest of them."""
    values: dict[str, object] = {"fan_out": new_id(), "actor": new_id(), "object": new_id()}
    values |= {"type": "BELL_POST", "created_at": "2026-01-01T00:00:00Z", "mentioned": [], "after": None}
    with pipeline.engine.begin() as conn:
        for method in ("seqscan", "bitmapscan", "sort"):
            conn.execute(text(f"set local enable_{method} = off"))
        plan = (
            conn.execute(text(f"explain {_SELECT_PAGE[audience].text}"), values | {"limit": 1000})
            .scalars()
            .all()
        )
    assert any("Index" in line for line in plan)
    assert not any("Sort" in line for line in plan)


def test_post_without_subscribers_and_mentions_needs_no_fan_out(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    assert fan_out_rows(pipeline) == []


def test_mention_without_subscribers_ends_the_fan_out(pipeline: PipelineHarness) -> None:
    [ann] = pipeline.create_users("Ann")
    username = dict(pipeline.query("select id::text, username from users"))[ann.id]
    pipeline.alice.create_post(f"Hello @{username}")
    pipeline.run_until_idle()
    assert [row["type"] for row in ann.notifications] == ["MENTION"]
    assert fan_out_rows(pipeline) == [(0, 0, {}, True)]


def test_a_page_that_is_written_twice_changes_nothing(
    pipeline: PipelineHarness, subscribers: list[PipelineUser]
) -> None:
    pipeline.alice.create_post("Hello")
    pages = pipeline.fan_out.worker._pages
    first_position = pages.find_next()
    assert first_position is not None
    assert pages.write_next_page(first_position) == {"delivered": PAGE_SIZE}
    # A frozen twin that wakes up with the old position.
    assert pages.write_next_page(first_position) == {}
    # A worker whose position was lost.
    pipeline.execute("update fan_outs set last_recipient_id = null, processed_count = 0")
    pipeline.run_until_idle()
    assert pipeline.query("select count(*), count(distinct user_id) from notifications") == [(25, 25)]
    assert pipeline.query("select client_seq, count(*) from users where client_seq > 0 group by 1") == [
        (1, 25)
    ]


def test_a_page_that_fails_leaves_nothing(
    pipeline: PipelineHarness, subscribers: list[PipelineUser], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Unavailable("killed", "postgres_unavailable")

    pipeline.alice.create_post("Hello")
    with monkeypatch.context() as patch:
        patch.setattr("app.persistence.fan_out_pages.save_progress", fail)
        with pytest.raises(Unavailable):
            pipeline.fan_out.step()
    assert pipeline.query("select count(*) from notifications") == [(0,)]
    pipeline.run_until_idle()
    assert pipeline.query("select count(*) from notifications") == [(SUBSCRIBER_COUNT,)]


def test_subscribers_who_changed_their_mind_before_their_page_get_nothing(
    pipeline: PipelineHarness, subscribers: list[PipelineUser]
) -> None:
    blocking, blocked, muting, muting_post, left, switched_off, deleted = subscribers[-7:]
    alice = pipeline.alice
    alice.create_post("Hello")
    pipeline.fan_out.step()  # the first page
    post_id = pipeline.post_id_by_caption["Hello"]
    pipeline.execute(
        "insert into blocks (user_id, blocked_user_id) values (:blocking, :alice), (:alice, :blocked)",
        blocking=blocking.id, blocked=blocked.id, alice=alice.id,
    )  # fmt: skip
    pipeline.execute(
        "insert into mutes (user_id, muted_user_id, muted_post_id) values (:muting, :alice, null), "
        "(:muting_post, null, :post)",
        muting=muting.id, muting_post=muting_post.id, alice=alice.id, post=post_id,
    )  # fmt: skip
    pipeline.execute("delete from bell_subscriptions where subscriber_id = :left", left=left.id)
    switched_off.set_preferences(matrix={"BELL_POST": {"push": False}})
    pipeline.execute("delete from users where id = :user", user=deleted.id)
    pipeline.run_until_idle()
    for user in (blocking, blocked, muting, muting_post, left, switched_off):
        assert user.notifications == []
        assert user.toast_messages == []
    outcomes = fan_out_rows(pipeline)[0][2]
    assert outcomes == {"delivered": 18, "blocked": 2, "muted": 2, "preference": 1}
    assert set(shown_suppressed(pipeline)) == {
        (blocking.id, "BLOCKED", alice.id, post_id),
        (blocked.id, "BLOCKED", alice.id, post_id),
        (muting.id, "MUTED", alice.id, post_id),
        (muting_post.id, "MUTED", alice.id, post_id),
        (switched_off.id, "FILTERED_PREFS", alice.id, post_id),
    }


def test_page_with_many_who_are_not_notified_has_no_row_for_each(
    pipeline: PipelineHarness, subscribers: list[PipelineUser], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out_pages, "MAX_SHOWN_SUPPRESSED", 1)
    for user in subscribers[-3:]:
        user.set_preferences(matrix={"BELL_POST": {"push": False}})
    subscribers[0].set_preferences(matrix={"BELL_POST": {"push": False}})

    pipeline.alice.create_post("Hello")
    pipeline.run_until_idle()

    assert [row[0] for row in shown_suppressed(pipeline)] == [subscribers[0].id]


def test_quiet_hours_defer_the_announcement(
    pipeline: PipelineHarness, subscribers: list[PipelineUser]
) -> None:
    user = subscribers[3]
    user.set_preferences(dnd_enabled=True, dnd_start_time="00:00", dnd_end_time="23:59:59")
    pipeline.alice.create_post("Hello")
    pipeline.run_until_idle()
    assert user.toast_messages == []
    assert len(user.notifications) == 1
    pipeline.clock.advance(24 * 3600)
    pipeline.quiet_hours_delivery.announce_due_rows()
    pipeline.run_until_idle()
    assert user.toast_messages == ["Alice posted: Hello"]


def test_subscriber_with_email_switched_on_gets_one_email(
    pipeline: PipelineHarness, subscribers: list[PipelineUser]
) -> None:
    subscribers[0].set_preferences(matrix={"BELL_POST": {"email": True}})
    pipeline.alice.create_post("Hello")
    pipeline.run_until_idle()
    assert pipeline.query("select user_id::text, channel, type from outgoing_messages") == [
        (subscribers[0].id, "EMAIL", "BELL_POST")
    ]


def test_post_deleted_during_its_fan_out_is_withdrawn_from_all(
    pipeline: PipelineHarness, subscribers: list[PipelineUser], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.social.removals.MAX_SUBSCRIBERS_AT_ONCE", 5)
    removal = pipeline.removals
    pipeline.alice.create_post("Hello")
    pipeline.fan_out.step()
    removal.delete_post(pipeline.alice.id, pipeline.post_id_by_caption["Hello"])
    with pytest.raises(Unavailable, match="withdrawn"):
        removal.delete_account(pipeline.alice.id)
    pipeline.run_until_idle()
    assert pipeline.query("select count(*) from notifications") == [(0,)]
    notified, others = subscribers[:PAGE_SIZE], subscribers[PAGE_SIZE:]
    for user in notified:
        assert len(user.client_events(ClientEventType.REMOVED)) == 1
        assert user.unread_count == 0
    assert all(user.toast_messages == [] for user in others)
    assert [row[3] for row in fan_out_rows(pipeline)] == [True, True]
    removal.delete_account(pipeline.alice.id)


def test_later_subscriber_is_not_notified(pipeline: PipelineHarness, subscribers: list[PipelineUser]) -> None:
    (late,) = pipeline.create_users("Late")
    pipeline.alice.create_post("Hello")
    pipeline.execute(
        "insert into bell_subscriptions (subscriber_id, target_user_id) values (:late, :alice)",
        late=late.id,
        alice=pipeline.alice.id,
    )
    pipeline.run_until_idle()
    assert late.notifications == []


def test_fan_outs_take_turns(pipeline: PipelineHarness, subscribers: list[PipelineUser]) -> None:
    pipeline.alice.create_post("One")
    pipeline.alice.create_post("Two")
    pipeline.fan_out.step()
    pipeline.fan_out.step()
    assert [row[0] for row in fan_out_rows(pipeline)] == [PAGE_SIZE, PAGE_SIZE]


@pytest.mark.parametrize("kind", [Kind.DIGEST, Kind.MARKETING])
def test_event_for_a_list_of_recipients_is_announced_to_each_once(
    pipeline: PipelineHarness, kind: Kind
) -> None:
    users = pipeline.create_users("Ann", "Ben", "Cem")
    for user in users:
        user.set_preferences(marketing=True)
    event = Event(new_id(), kind, MANY_RECIPIENTS, title="News", message="It is Monday.")
    recipient_ids = [*(user.id for user in users), new_id()]
    pipeline.actions.publish_to_many(event, recipient_ids)
    pipeline.actions.publish_to_many(event, recipient_ids)  # a retry with the same id
    pipeline.run_until_idle()
    for user in users:
        assert user.toast_messages == ["It is Monday."]
        assert [row["title"] for row in user.notifications] == ["News"]
    assert fan_out_rows(pipeline)[0][2] == {"delivered": 3, "expired": 1}


def test_the_delivery_log_gets_a_page_on_which_nobody_is_notified(pipeline: PipelineHarness) -> None:
    """News is off by default, and this event has no actor."""
    [ann] = pipeline.create_users("Ann")
    event = Event(new_id(), Kind.DIGEST, MANY_RECIPIENTS, title="News", message="It is Monday.")
    pipeline.actions.publish_to_many(event, [ann.id])
    pipeline.run_until_idle()
    [record] = pipeline.memory_kafka.records("bulk-notifications")
    [item] = delivery_log_items_of_page(record.value, 0.0)
    assert (item["userId"]["S"], item["status"]["S"]) == (ann.id, "FILTERED_PREFS")


def test_the_delivery_log_gets_each_recipient_of_a_page(
    pipeline: PipelineHarness, subscribers: list[PipelineUser]
) -> None:
    pipeline.execute(
        "insert into mutes (user_id, muted_user_id) values (:user, :alice)",
        user=subscribers[0].id,
        alice=pipeline.alice.id,
    )
    pipeline.alice.create_post("Hello")
    pipeline.run_until_idle()
    records = pipeline.memory_kafka.records("bulk-notifications")
    items = [item for record in records for item in delivery_log_items_of_page(record.value, 0.0)]
    status_by_user = {item["userId"]["S"]: item["status"]["S"] for item in items}
    assert status_by_user == {user.id: "SENT" for user in subscribers} | {subscribers[0].id: "MUTED"}
    assert len({item["id"]["S"] for item in items}) == SUBSCRIBER_COUNT


def test_web_processes_are_notified_of_the_range_of_a_page(
    pipeline: PipelineHarness, subscribers: list[PipelineUser]
) -> None:
    connection = pipeline.engine.raw_connection()
    try:
        connection.set_session(autocommit=True)
        connection.cursor().execute(f"listen {FAN_OUT_PAGE_CHANNEL}")
        pipeline.alice.create_post("Hello")
        pipeline.fan_out.step()
        connection.cursor().execute("select 1")
        connection.poll()
        payloads = [notification.payload for notification in connection.notifies]
    finally:
        connection.invalidate()
    assert payloads == [f"{subscribers[0].id} {subscribers[PAGE_SIZE - 1].id}"]
