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


def announce_three_likes(writer: EventWriterHarness) -> list[str]:
    actors = insert_users(writer.engine, "Ann", "Ben", "Cem")
    for seq, actor in enumerate(actors, 1):
        writer.write(like_event(actor, writer.sample_users, seq))
    return actors


def like_group_key(writer: EventWriterHarness) -> GroupKey:
    users = writer.sample_users
    return GroupKey(users.alice_id, Kind.LIKE, users.post_id)


def test_three_likes_are_announced_at_once_and_the_rest_on_close(
    writer: EventWriterHarness,
) -> None:
    users = writer.sample_users
    announce_three_likes(writer)
    dan, eva = insert_users(writer.engine, "Dan", "Eva")

    writer.close_window(like_event(dan, users, 4), like_event(eva, users, 5))

    assert writer.announcement_messages == [
        "Ann liked your post",
        "Ben liked your post",
        "Cem liked your post",
        "Eva and 4 others liked your post",
    ]
    assert [
        (client_event["metadata"]["newCount"], client_event["metadata"]["aggregatedCount"])
        for client_event in writer.client_events()
    ] == [(1, 1), (1, 2), (1, 3), (2, 5)]


def test_follower_is_named_first_and_raises_the_priority(writer: EventWriterHarness) -> None:
    users = writer.sample_users
    announce_three_likes(writer)

    writer.close_window(
        like_event(users.bob_id, users, 4, is_follower=True),
        like_event(users.carol_id, users, 5),
    )

    assert writer.announcement_messages[-1] == "Bob and 4 others liked your post"
    assert writer.notification_row("priority, actor_id::text") == ("HIGH", users.bob_id)


def test_retraction_updates_the_row_and_the_last_one_removes_it(
    writer: EventWriterHarness,
) -> None:
    first, second, third = announce_three_likes(writer)

    for seq, actor in enumerate([third, second, first], 10):
        writer.write(unlike_event(actor, writer.sample_users, seq))

    messages = [client_event.get("message") for client_event in writer.client_events()][3:]
    assert messages == ["Ben and 1 other liked your post", "Ann liked your post", None]
    assert set(writer.client_events()[-1]) == {"id", "version", "seq"}
    assert writer.notification_row("removed_at is not null, actor_count") == (True, 0)
    assert writer.unread_counts[-1][0] == 0


def test_actors_of_an_early_flush_are_not_visible_before_the_announcement(
    writer: EventWriterHarness,
) -> None:
    users = writer.sample_users
    writer.write(like_event(users.bob_id, users, 1), announce_when=AnnounceWhen.DEFERRED)
    before = (
        writer.notification_row("version, unannounced_count"),
        writer.client_events(),
        writer.unread_counts,
    )

    writer.close_window(group_key=like_group_key(writer))

    assert before == ((0, 1), [], [])
    assert writer.announcement_messages == ["Bob liked your post"]
    assert writer.notification_row("version, unannounced_count") == (1, 0)
    assert writer.query("select announced from notification_actors") == [(True,)]


def test_log_in_code_is_not_grouped_and_is_announced_once(writer: EventWriterHarness) -> None:
    users = writer.sample_users
    codes = [otp_event(users, 1, "Code 1"), otp_event(users, 2, "Code 2")]

    for _ in range(2):
        writer.write(*codes)

    assert writer.announcement_messages == ["Code 1", "Code 2"]
    assert {client_event["priority"] for client_event in writer.client_events()} == {"CRITICAL"}


@pytest.mark.parametrize("kind", [Kind.MENTION, Kind.BELL_POST, Kind.POST_SHARE, Kind.POST_UPDATED])
def test_kinds_without_a_membership_row_are_announced_once(writer: EventWriterHarness, kind: Kind) -> None:
    users = writer.sample_users
    event = replace(like_event(users.bob_id, users, 1), kind=kind)

    for _ in range(2):
        writer.write(event)

    assert len(writer.announcement_messages) == 1


def test_hundreds_of_likes_are_one_announcement_with_a_sample_of_names(
    writer: EventWriterHarness, engine: Engine
) -> None:
    actors = insert_users(engine, *(f"P{n}" for n in range(300)))

    batch_outcome = writer.close_window(
        *(like_event(actor_id, writer.sample_users, seq) for seq, actor_id in enumerate(actors, 1))
    )

    assert batch_outcome.client_event_count == 1
    assert writer.announcement_messages == ["P299 and 299 others liked your post"]
    assert writer.client_events()[0]["metadata"]["aggregatedActors"] == actors[:-9:-1]


def test_verified_follower_is_marked_as_verified(writer: EventWriterHarness) -> None:
    users = writer.sample_users
    writer.execute("update users set is_verified = true where id = :id", id=users.carol_id)

    writer.write(follow_event(users.carol_id, users, 1))

    assert writer.client_events()[0]["metadata"]["isVerified"] is True


def test_event_for_unknown_recipient_is_expired(writer: EventWriterHarness) -> None:
    event = replace(otp_event(writer.sample_users, 1), recipient_id=new_id())

    assert writer.write(event).outcomes == {event.event_id: "expired"}
