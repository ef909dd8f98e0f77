"""Client events of the event writer: when they are sent, their texts and their counts."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from app.domain.events import Kind
from app.domain.grouping import AnnounceWhen, GroupKey
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import (
    follow_event,
    insert_users,
    like_event,
    new_id,
    otp_event,
    unlike_event,
)

pytestmark = pytest.mark.service


def announce_three_likes(event_writer_harness: EventWriterHarness) -> list[str]:
    actors = insert_users(event_writer_harness.engine, "Ann", "Ben", "Cem")
    for seq, actor in enumerate(actors, 1):
        event_writer_harness.write(like_event(actor, event_writer_harness.sample_users, seq))
    return actors


def like_group_key(event_writer_harness: EventWriterHarness) -> GroupKey:
    sample_users = event_writer_harness.sample_users
    return GroupKey(sample_users.alice_id, Kind.LIKE, sample_users.post_id)


def test_three_likes_are_announced_at_once_and_the_rest_on_close(
    event_writer_harness: EventWriterHarness,
) -> None:
    sample_users = event_writer_harness.sample_users
    announce_three_likes(event_writer_harness)
    dan, eva = insert_users(event_writer_harness.engine, "Dan", "Eva")

    event_writer_harness.close_window(like_event(dan, sample_users, 4), like_event(eva, sample_users, 5))

    assert event_writer_harness.announcement_messages == [
        "Ann liked your post",
        "Ben liked your post",
        "Cem liked your post",
        "Eva and 4 others liked your post",
    ]
    assert [
        (client_event["metadata"]["newCount"], client_event["metadata"]["aggregatedCount"])
        for client_event in event_writer_harness.client_events()
    ] == [(1, 1), (1, 2), (1, 3), (2, 5)]


def test_follower_is_named_first_and_raises_the_priority(event_writer_harness: EventWriterHarness) -> None:
    sample_users = event_writer_harness.sample_users
    announce_three_likes(event_writer_harness)

    event_writer_harness.close_window(
        like_event(sample_users.bob_id, sample_users, 4, is_follower=True),
        like_event(sample_users.carol_id, sample_users, 5),
    )

    assert event_writer_harness.announcement_messages[-1] == "Bob and 4 others liked your post"
    assert event_writer_harness.notification_row("priority, actor_id::text") == ("HIGH", sample_users.bob_id)


def test_retraction_updates_the_row_and_the_last_one_removes_it(
    event_writer_harness: EventWriterHarness,
) -> None:
    first, second, third = announce_three_likes(event_writer_harness)

    for seq, actor in enumerate([third, second, first], 10):
        event_writer_harness.write(unlike_event(actor, event_writer_harness.sample_users, seq))

    messages = [client_event.get("message") for client_event in event_writer_harness.client_events()][3:]
    assert messages == ["Ben and 1 other liked your post", "Ann liked your post", None]
    assert set(event_writer_harness.client_events()[-1]) == {"id", "version", "seq"}
    assert event_writer_harness.notification_row("removed_at is not null, actor_count") == (True, 0)
    assert event_writer_harness.unread_counts[-1][0] == 0


def test_actors_of_an_early_flush_are_not_visible_before_the_announcement(
    event_writer_harness: EventWriterHarness,
) -> None:
    sample_users = event_writer_harness.sample_users
    event_writer_harness.write(
        like_event(sample_users.bob_id, sample_users, 1), announce_when=AnnounceWhen.DEFERRED
    )
    before = (
        event_writer_harness.notification_row("version, unannounced_count"),
        event_writer_harness.client_events(),
        event_writer_harness.unread_counts,
    )

    event_writer_harness.close_window(group_key=like_group_key(event_writer_harness))

    assert before == ((0, 1), [], [])
    assert event_writer_harness.announcement_messages == ["Bob liked your post"]
    assert event_writer_harness.notification_row("version, unannounced_count") == (1, 0)
    assert event_writer_harness.query("select announced from notification_actors") == [(True,)]


def test_log_in_code_is_not_grouped_and_is_announced_once(event_writer_harness: EventWriterHarness) -> None:
    sample_users = event_writer_harness.sample_users
    codes = [otp_event(sample_users, 1, "Code 1"), otp_event(sample_users, 2, "Code 2")]

    for _ in range(2):
        event_writer_harness.write(*codes)

    assert event_writer_harness.announcement_messages == ["Code 1", "Code 2"]
    assert {client_event["priority"] for client_event in event_writer_harness.client_events()} == {"CRITICAL"}


@pytest.mark.parametrize("kind", [Kind.MENTION, Kind.BELL_POST, Kind.POST_SHARE, Kind.POST_UPDATED])
def test_kinds_without_a_membership_row_are_announced_once(
    event_writer_harness: EventWriterHarness, kind: Kind
) -> None:
    sample_users = event_writer_harness.sample_users
    event = replace(like_event(sample_users.bob_id, sample_users, 1), kind=kind)

    for _ in range(2):
        event_writer_harness.write(event)

    assert len(event_writer_harness.announcement_messages) == 1


def test_hundreds_of_likes_are_one_announcement_with_a_sample_of_names(
    event_writer_harness: EventWriterHarness, engine: Engine
) -> None:
    actors = insert_users(engine, *(f"P{n}" for n in range(300)))

    batch_outcome = event_writer_harness.close_window(
        *(
            like_event(actor_id, event_writer_harness.sample_users, seq)
            for seq, actor_id in enumerate(actors, 1)
        )
    )

    assert batch_outcome.client_event_count == 1
    assert event_writer_harness.announcement_messages == ["P299 and 299 others liked your post"]
    assert event_writer_harness.client_events()[0]["metadata"]["aggregatedActors"] == actors[:-9:-1]


def test_verified_follower_is_marked_as_verified(event_writer_harness: EventWriterHarness) -> None:
    sample_users = event_writer_harness.sample_users
    event_writer_harness.execute(
        "update users set is_verified = true where id = :id", id=sample_users.carol_id
    )

    event_writer_harness.write(follow_event(sample_users.carol_id, sample_users, 1))

    assert event_writer_harness.client_events()[0]["metadata"]["isVerified"] is True


def test_event_for_unknown_recipient_is_expired(event_writer_harness: EventWriterHarness) -> None:
    event = replace(otp_event(event_writer_harness.sample_users, 1), recipient_id=new_id())

    assert event_writer_harness.write(event).outcomes == {event.event_id: "expired"}
