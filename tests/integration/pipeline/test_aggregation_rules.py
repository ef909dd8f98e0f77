"""The ten rules of aggregation, one test per rule, on real stores."""

import pytest

from app.domain.events import Event, Kind
from app.domain.grouping import ClientEventType
from app.domain.routing import Topic
from app.domain.windows import new_window_due_at_ms
from app.messaging.message_encryption import MessageEncryption
from app.social.notification_status import MARK_READ, NotificationStatusStore
from tests.support.fixtures import new_id
from tests.support.pipeline_harness import PipelineHarness

pytestmark = pytest.mark.service


def columns(pipeline: PipelineHarness, names: str) -> list[tuple[object, ...]]:
    return pipeline.query(f"select {names} from notifications where version > 0 order by generation")  # noqa: S608


def test_rule_1_group_is_one_row_until_read_or_too_old(pipeline: PipelineHarness) -> None:
    ann, ben, cem, dan = pipeline.create_users("Ann", "Ben", "Cem", "Dan")
    pipeline.alice.create_post("Hello")
    for user in (ann, ben):
        user.like("Hello")
        pipeline.run_until_idle()
    assert columns(pipeline, "generation, version, actor_count") == [(1, 2, 2)]

    [(row_id,)] = columns(pipeline, "id::text")
    NotificationStatusStore(pipeline.engine).apply_status_change(pipeline.alice.id, str(row_id), MARK_READ)
    cem.like("Hello")
    pipeline.run_until_idle()
    assert columns(pipeline, "generation, actor_count") == [(1, 2), (2, 1)]
    assert pipeline.alice.unread_count == 1

    pipeline.clock.advance(pipeline.aggregation_rules.group_max_hours * 3600 + 1)
    dan.like("Hello")
    pipeline.run_until_idle()
    assert columns(pipeline, "generation, actor_count") == [(1, 2), (2, 1), (3, 1)]


def test_rule_2_three_likes_are_announced_at_once_and_the_rest_together(
    pipeline: PipelineHarness,
) -> None:
    pipeline.alice.create_post("Hello")
    for user in pipeline.create_users("Ann", "Ben", "Cem", "Dan", "Eve"):
        user.like("Hello")
        pipeline.run_until_idle()
    assert pipeline.alice.toast_messages == [
        f"{username} liked your post" for username in ("Ann", "Ben", "Cem")
    ]

    pipeline.close_windows()

    assert pipeline.alice.toast_messages[3:] == ["Eve and 4 others liked your post"]
    metadata = pipeline.alice.client_events()[-1]["metadata"]
    assert (metadata["newCount"], metadata["aggregatedCount"]) == (2, 5)


def test_rule_3_comments_wait_for_the_window_and_are_readable_at_once(
    pipeline: PipelineHarness,
) -> None:
    post_id = pipeline.alice.create_post("Hello")
    pipeline.create_users("Ann")[0].comment("Hello", "Nice")
    pipeline.run_until_idle()
    assert [
        comment.content for comment in pipeline.worker_services.services.comments.list_by_post(post_id)
    ] == ["Nice"]
    assert pipeline.alice.toast_messages == []

    pipeline.close_windows()

    assert pipeline.alice.toast_messages == ['Ann commented: "Nice"']


def test_rule_4_follows_post_alerts_and_mentions_are_announced_at_once(
    pipeline: PipelineHarness,
) -> None:
    ann, ben = pipeline.create_users("Ann", "Ben")
    for user in (ann, ben):
        user.follow(pipeline.alice)
    with pipeline.engine.begin() as conn:
        conn.exec_driver_sql(
            "insert into bell_subscriptions (subscriber_id, target_user_id) values (%s, %s)",
            (ann.id, pipeline.alice.id),
        )
    [(username,)] = pipeline.query("select username from users where id = :id", id=ben.id)
    pipeline.alice.create_post(f"Hello @{username}")
    pipeline.run_until_idle()

    assert pipeline.alice.toast_messages == [
        "Ann started following you",
        "Ben started following you",
    ]
    kinds = sorted(str(kind) for (kind,) in columns(pipeline, "type"))
    assert kinds == ["BELL_POST", "FOLLOW", "MENTION"]
    assert [len(user.toast_messages) for user in (ann, ben)] == [1, 1]


def test_rule_5_critical_events_bypass_preferences_and_grouping(pipeline: PipelineHarness) -> None:
    with pipeline.engine.begin() as conn:
        conn.exec_driver_sql(
            "insert into notification_preferences (user_id, push_enabled, dnd_enabled, "
            "dnd_start_time, dnd_end_time) values (%s, false, true, '00:00', '23:59')",
            (pipeline.alice.id,),
        )
    for message in ("Your code is 1", "Your code is 2"):
        pipeline.actions.publish_event(Event(new_id(), Kind.OTP, pipeline.alice.id, message=message))
    pipeline.run_until_idle()

    decrypt_event = MessageEncryption(
        pipeline.worker_services.services.settings.web.secret_key
    ).decrypt_login_code
    messages = [decrypt_event(client_event)["message"] for client_event in pipeline.alice.client_events()]
    assert messages == ["Your code is 1", "Your code is 2"]
    assert columns(pipeline, "channels") == [(["PUSH", "EMAIL", "SMS"],)] * 2


def test_rule_6_follower_raises_the_priority_and_is_named_first(pipeline: PipelineHarness) -> None:
    ann, ben, cem = pipeline.create_users("Ann", "Ben", "Cem")
    ann.follow(pipeline.alice)
    pipeline.alice.create_post("Hello")
    pipeline.run_until_idle()
    for user in (ann, ben, cem):
        user.like("Hello")
    pipeline.bridge.step()

    like_count_by_topic = {
        topic: sum(b'"LIKE"' in bytes(record.value or b"") for record in pipeline.memory_kafka.records(topic))
        for topic in (Topic.HIGH, Topic.LOW)
    }
    pipeline.run_until_idle()
    assert like_count_by_topic == {Topic.HIGH: 1, Topic.LOW: 2}
    rows = [
        (row["priority"], row["message"]) for row in pipeline.alice.notifications if row["type"] == "LIKE"
    ]
    assert rows == [("HIGH", "Ann and 2 others liked your post")]


def test_rule_7_retraction_removes_the_actor_and_an_empty_group(pipeline: PipelineHarness) -> None:
    ann, ben = pipeline.create_users("Ann", "Ben")
    pipeline.alice.create_post("Hello")
    pipeline.alice.like("Hello")
    for user in (ann, ben):
        user.like("Hello")
    pipeline.run_until_idle()
    assert pipeline.alice.unread_count == 1

    ben.unlike("Hello")
    pipeline.run_until_idle()
    assert pipeline.alice.client_events(ClientEventType.UPDATED)[-1]["message"] == "Ann liked your post"

    ann.unlike("Hello")
    pipeline.run_until_idle()
    assert (
        len(pipeline.alice.client_events(ClientEventType.REMOVED)),
        pipeline.alice.unread_count,
    ) == (1, 0)


def test_rule_8_quiet_hours_defer_announcements_and_preferences_filter(
    pipeline: PipelineHarness,
) -> None:
    with pipeline.engine.begin() as conn:
        conn.exec_driver_sql(
            "insert into notification_preferences (user_id, social, dnd_enabled, dnd_start_time, "
            "dnd_end_time) values (%s, false, true, '00:00', '23:59')",
            (pipeline.alice.id,),
        )
    (ann,) = pipeline.create_users("Ann")
    pipeline.alice.create_post("Hello")
    ann.like("Hello")
    ann.follow(pipeline.alice)
    pipeline.run_until_idle()
    assert (pipeline.alice.toast_messages, pipeline.alice.unread_count) == ([], 1)
    assert columns(pipeline, "type") == [("LIKE",)]

    pipeline.clock.advance(24 * 3600)
    pipeline.quiet_hours_delivery.announce_due_rows()
    pipeline.run_until_idle()
    assert pipeline.alice.toast_messages == ["Ann liked your post"]


def test_rule_9_window_ends_are_spread_over_the_jitter_band(pipeline: PipelineHarness) -> None:
    due_seconds = [
        new_window_due_at_ms(0, pipeline.aggregation_rules, step / 4_999) / 1000 for step in range(5_000)
    ]
    tenths = {int((seconds - 90) // 6) for seconds in due_seconds if seconds < 150}
    assert (min(due_seconds), max(due_seconds)) == (90, 150)
    assert tenths == set(range(10))


def test_rule_10_text_counts_distinct_actors_and_names_are_plain_text(
    pipeline: PipelineHarness,
) -> None:
    ann, ben = pipeline.create_users("Ann", "<b>Ben</b>")
    pipeline.alice.create_post("Hello")
    for user in (ann, ann, ben):
        user.comment("Hello", "Nice")

    pipeline.close_windows()

    assert pipeline.alice.toast_messages == ["<b>Ben</b> and 1 other commented on your post"]
