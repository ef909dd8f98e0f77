"""Events that are not announced are in their recipient's delivery log, with the reason."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from app.domain.events import Event, Kind
from app.domain.grouping import AnnounceWhen
from app.domain.routing import Topic
from app.persistence.delivery_log import build_delivery_log_item
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import comment_event, follow_event, insert_users, like_event, new_id, unlike_event
from tests.support.pipeline_harness import USER_NAMES, PipelineHarness
from workers.ready_records import parse_ready_record

pytestmark = pytest.mark.service
OFF = '{"%s": {"push": false, "email": false, "sms": false}}'


def disable_kind(event_writer_harness: EventWriterHarness, kind: Kind) -> None:
    event_writer_harness.execute(
        "insert into notification_preferences (user_id, matrix) values (:id, cast(:m as jsonb))",
        id=event_writer_harness.sample_users.alice_id,
        m=OFF % kind.value,
    )


def logged_items(event_writer_harness: EventWriterHarness) -> list[tuple[str, str, int]]:
    """Status, event id and count of each item."""
    rows = event_writer_harness.query("select payload from outbox where client_event = 'ended' order by id")
    return [(payload["status"], payload["id"], payload["count"]) for (payload,) in rows]


def by_preference(event_writer_harness: EventWriterHarness) -> Event:
    sample_users = event_writer_harness.sample_users
    disable_kind(event_writer_harness, Kind.LIKE)
    return like_event(sample_users.bob_id, sample_users, 1)


def by_mute(event_writer_harness: EventWriterHarness) -> Event:
    sample_users = event_writer_harness.sample_users
    return like_event(sample_users.dave_id, sample_users, 1)


def by_block(event_writer_harness: EventWriterHarness) -> Event:
    sample_users = event_writer_harness.sample_users
    event_writer_harness.execute(
        "insert into blocks (user_id, blocked_user_id) values (:a, :b)",
        a=sample_users.alice_id,
        b=sample_users.bob_id,
    )
    return like_event(sample_users.bob_id, sample_users, 1)


def by_own_action(event_writer_harness: EventWriterHarness) -> Event:
    sample_users = event_writer_harness.sample_users
    return like_event(sample_users.alice_id, sample_users, 1)


def by_a_missing_post(event_writer_harness: EventWriterHarness) -> Event:
    sample_users = event_writer_harness.sample_users
    return replace(like_event(sample_users.bob_id, sample_users, 1), object_id=new_id())


def by_a_missing_actor(event_writer_harness: EventWriterHarness) -> Event:
    return replace(like_event(new_id(), event_writer_harness.sample_users, 1), kind=Kind.MENTION)


def by_a_clear_watermark(event_writer_harness: EventWriterHarness) -> Event:
    sample_users = event_writer_harness.sample_users
    event = like_event(sample_users.bob_id, sample_users, 1)
    event_writer_harness.execute(
        "insert into clear_watermarks (name, seq) values ('clear', :seq) "
        "on conflict (name) do update set seq = excluded.seq",
        seq=event.seq,
    )
    return event


def by_retraction_before_the_write(event_writer_harness: EventWriterHarness) -> Event:
    sample_users = event_writer_harness.sample_users
    return unlike_event(sample_users.bob_id, sample_users, 2)


def by_retraction_before_the_announcement(event_writer_harness: EventWriterHarness) -> Event:
    sample_users = event_writer_harness.sample_users
    event_writer_harness.write(
        like_event(sample_users.bob_id, sample_users, 1), announce_when=AnnounceWhen.DEFERRED
    )
    return unlike_event(sample_users.bob_id, sample_users, 2)


def by_invalid_data(event_writer_harness: EventWriterHarness) -> Event:
    sample_users = event_writer_harness.sample_users
    return replace(
        comment_event(sample_users.bob_id, sample_users, 1), kind=Kind.MENTION, object_type="X" * 21
    )


REASONS: list[tuple[Callable[[EventWriterHarness], Event], str]] = [
    (by_preference, "FILTERED_PREFS"),
    (by_mute, "MUTED"),
    (by_block, "BLOCKED"),
    (by_own_action, "SELF"),
    (by_a_missing_post, "EXPIRED"),
    (by_a_missing_actor, "EXPIRED"),
    (by_a_clear_watermark, "EXPIRED"),
    (by_retraction_before_the_write, "RETRACTED"),
    (by_retraction_before_the_announcement, "RETRACTED"),
    (by_invalid_data, "FAILED"),
]


@pytest.mark.parametrize(("create_event", "status"), REASONS)
def test_suppressed_event_is_logged_with_its_reason(
    event_writer_harness: EventWriterHarness, create_event: Callable[[EventWriterHarness], Event], status: str
) -> None:
    sample_users = event_writer_harness.sample_users
    event = create_event(event_writer_harness)

    event_writer_harness.write(event, follow_event(sample_users.carol_id, sample_users, 9))

    assert logged_items(event_writer_harness) == [(status, event.event_id, 1)]
    assert event_writer_harness.announcement_messages == ["Carol started following you"]


def test_announced_retraction_needs_no_suppression_entry(event_writer_harness: EventWriterHarness) -> None:
    sample_users = event_writer_harness.sample_users
    event_writer_harness.write(like_event(sample_users.bob_id, sample_users, 1))
    event_writer_harness.write(unlike_event(sample_users.bob_id, sample_users, 2))

    assert logged_items(event_writer_harness) == []


def test_event_without_possible_recipient_is_not_logged(event_writer_harness: EventWriterHarness) -> None:
    sample_users = event_writer_harness.sample_users
    event_writer_harness.write(
        replace(like_event(sample_users.bob_id, sample_users, 1), recipient_id=new_id())
    )

    assert logged_items(event_writer_harness) == []


def test_events_suppressed_for_the_same_reason_are_one_entry(
    event_writer_harness: EventWriterHarness,
) -> None:
    disable_kind(event_writer_harness, Kind.LIKE)
    actors = insert_users(event_writer_harness.engine, *(f"P{n}" for n in range(300)))

    event_writer_harness.close_window(
        *(
            like_event(actor_id, event_writer_harness.sample_users, seq)
            for seq, actor_id in enumerate(actors, 1)
        )
    )

    [(status, _, count)] = logged_items(event_writer_harness)
    assert (status, count) == ("FILTERED_PREFS", 300)


def test_entry_names_its_post_and_the_first_of_its_actors(event_writer_harness: EventWriterHarness) -> None:
    sample_users = event_writer_harness.sample_users
    disable_kind(event_writer_harness, Kind.LIKE)
    event_writer_harness.write(
        like_event(sample_users.bob_id, sample_users, 1),
        like_event(sample_users.carol_id, sample_users, 2),
        follow_event(sample_users.dave_id, sample_users, 3),  # Dave is muted
    )

    rows = event_writer_harness.query("select payload from outbox where client_event = 'ended' order by id")

    assert sorted((payload["postId"] or "", payload["actorIds"]) for (payload,) in rows) == [
        ("", [sample_users.dave_id]),
        (sample_users.post_id, [sample_users.bob_id, sample_users.carol_id]),
    ]


def test_repeated_event_is_the_same_log_item(event_writer_harness: EventWriterHarness) -> None:
    sample_users = event_writer_harness.sample_users
    event = replace(like_event(sample_users.dave_id, sample_users, 1), kind=Kind.POST_SHARE)

    for _ in range(2):
        event_writer_harness.write(event)

    rows = event_writer_harness.query(
        "select id, user_id::text, payload from outbox where client_event = 'ended'"
    )
    items = [
        build_delivery_log_item(
            {
                "id": outbox_id,
                "targetId": user_id,
                "clientEvent": "ended",
                "at": f"{outbox_id}",
                "data": data,
            },
            0,
        )
        for outbox_id, user_id, data in rows
    ]
    assert len(items) == 2
    assert items[0] == items[1]


def ready_records(pipeline: PipelineHarness) -> list[dict[str, Any]]:
    return [parse_ready_record(record.value) for record in pipeline.memory_kafka.records(Topic.READY.value)]


def test_suppressed_event_reaches_the_log_and_no_socket(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    with pipeline.engine.begin() as conn:
        conn.execute(
            text(
                "insert into notification_preferences (user_id, matrix) "
                "values (:alice, cast(:matrix as jsonb))"
            ),
            {"alice": pipeline.alice.id, "matrix": OFF % "LIKE"},
        )
    for user in pipeline.create_users(*USER_NAMES):
        user.like("Hello")

    pipeline.close_windows()

    client_events = pipeline.push_publisher.client_events
    assert [event for event in client_events if event[0] != "posts_changed"] == []
    items = [build_delivery_log_item(record, 0) for record in ready_records(pipeline)]
    assert {item["status"]["S"] for item in items} == {"FILTERED_PREFS"}
    assert sum(int(item["count"]["N"]) for item in items) == len(USER_NAMES)
    assert (
        orjson.dumps(ready_records(pipeline)).count(b'"clientEvent":"ended"') == len(items) <= len(USER_NAMES)
    )
