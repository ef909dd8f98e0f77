"""Events that are not announced are in their recipient's delivery log, with the reason."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from app.domain.events import Event, Kind
from app.domain.grouping import AnnounceWhen
from app.domain.routing import Topic
from app.persistence.delivery_log import build_delivery_log_item
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import (
    FIRST_TEST_SEQ,
    UNKNOWN_ID,
    SampleUsers,
    follow_event,
    insert_users,
    like_event,
    new_id,
    unlike_event,
)
from tests.support.pipeline_harness import USER_NAMES, PipelineHarness
from workers.ready_records import parse_ready_record

pytestmark = pytest.mark.service
OFF = '{"%s": {"push": false, "email": false, "sms": false}}'


def logged_items(writer: EventWriterHarness) -> list[tuple[str, str, int]]:
    """Status, event id and count of each item."""
    rows = writer.query("select payload from outbox where client_event = 'ended' order by id")
    return [(payload["status"], payload["id"], payload["count"]) for (payload,) in rows]


PREFERENCE = (
    "insert into notification_preferences (user_id, matrix) "
    """values (:alice, '{"LIKE": {"push": false, "email": false, "sms": false}}')"""
)
BLOCK = "insert into blocks (user_id, blocked_user_id) values (:alice, :bob)"
CLEARED = (
    f"insert into clear_watermarks (name, seq) values ('clear', {FIRST_TEST_SEQ + 1}) "  # noqa: S608
    "on conflict (name) do update set seq = excluded.seq"
)
EventFactory = Callable[[SampleUsers], Event]


def like(users: SampleUsers) -> Event:
    return like_event(users.bob_id, users, 1)


REASONS: list[tuple[str, EventFactory, str]] = [
    (PREFERENCE, like, "FILTERED_PREFS"),
    ("", lambda users: like_event(users.dave_id, users, 1), "MUTED"),
    (BLOCK, like, "BLOCKED"),
    ("", lambda users: like_event(users.alice_id, users, 1), "SELF"),
    ("", lambda users: replace(like(users), object_id=UNKNOWN_ID), "EXPIRED"),  # a missing post
    ("", lambda users: replace(like(users), actor_id=UNKNOWN_ID, kind=Kind.MENTION), "EXPIRED"),
    (CLEARED, like, "EXPIRED"),
    ("", lambda users: unlike_event(users.bob_id, users, 2), "RETRACTED"),  # before the write
    ("", lambda users: replace(like(users), kind=Kind.MENTION, object_type="X" * 21), "FAILED"),
]


@pytest.mark.parametrize(("setup", "create_event", "status"), REASONS)
def test_suppressed_event_is_logged_with_its_reason(
    writer: EventWriterHarness, setup: str, create_event: EventFactory, status: str
) -> None:
    users = writer.sample_users
    if setup:
        writer.execute(setup, alice=users.alice_id, bob=users.bob_id)
    event = create_event(users)

    writer.write(event, follow_event(users.carol_id, users, 9))

    assert logged_items(writer) == [(status, event.event_id, 1)]
    assert writer.announcement_messages == ["Carol started following you"]


def test_like_retracted_before_its_announcement_is_logged(writer: EventWriterHarness) -> None:
    users = writer.sample_users
    writer.write(like(users), announce_when=AnnounceWhen.DEFERRED)
    retraction = unlike_event(users.bob_id, users, 2)

    writer.write(retraction)

    assert logged_items(writer) == [("RETRACTED", retraction.event_id, 1)]
    assert writer.announcement_messages == []


def test_announced_retraction_needs_no_suppression_entry(writer: EventWriterHarness) -> None:
    users = writer.sample_users
    writer.write(like_event(users.bob_id, users, 1))
    writer.write(unlike_event(users.bob_id, users, 2))

    assert logged_items(writer) == []


def test_event_without_possible_recipient_is_not_logged(writer: EventWriterHarness) -> None:
    users = writer.sample_users
    writer.write(replace(like_event(users.bob_id, users, 1), recipient_id=new_id()))

    assert logged_items(writer) == []


def test_events_suppressed_for_the_same_reason_are_one_entry(
    writer: EventWriterHarness,
) -> None:
    writer.execute(PREFERENCE, alice=writer.sample_users.alice_id)
    actors = insert_users(writer.engine, *(f"P{n}" for n in range(300)))

    writer.close_window(
        *(like_event(actor_id, writer.sample_users, seq) for seq, actor_id in enumerate(actors, 1))
    )

    [(status, _, count)] = logged_items(writer)
    assert (status, count) == ("FILTERED_PREFS", 300)


def test_entry_names_its_post_and_the_first_of_its_actors(writer: EventWriterHarness) -> None:
    sample_users = writer.sample_users
    writer.execute(
        "insert into notification_preferences (user_id, matrix) values (:id, cast(:m as jsonb))",
        id=sample_users.alice_id,
        m=OFF % Kind.LIKE.value,
    )
    writer.write(
        like_event(sample_users.bob_id, sample_users, 1),
        like_event(sample_users.carol_id, sample_users, 2),
        follow_event(sample_users.dave_id, sample_users, 3),  # Dave is muted
    )

    rows = writer.query("select payload from outbox where client_event = 'ended' order by id")

    assert sorted((payload["postId"] or "", payload["actorIds"]) for (payload,) in rows) == [
        ("", [sample_users.dave_id]),
        (sample_users.post_id, [sample_users.bob_id, sample_users.carol_id]),
    ]


def test_repeated_event_is_the_same_log_item(writer: EventWriterHarness) -> None:
    users = writer.sample_users
    event = replace(like_event(users.dave_id, users, 1), kind=Kind.POST_SHARE)

    for _ in range(2):
        writer.write(event)

    rows = writer.query("select id, user_id::text, payload from outbox where client_event = 'ended'")
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
    pipeline.execute(PREFERENCE, alice=pipeline.alice.id)
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
