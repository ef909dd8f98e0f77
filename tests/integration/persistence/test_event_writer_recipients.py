"""Which events the event writer announces: own actions, mutes, blocks, preferences and quiet hours."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.domain.events import Event, Kind
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import (
    SampleUsers,
    comment_event,
    follow_event,
    like_event,
    new_id,
    otp_event,
    unlike_event,
)

pytestmark = pytest.mark.service


def insert_preferences(writer: EventWriterHarness, **choices: object) -> None:
    """Alice's preferences."""
    names = ", ".join(choices)
    values = ", ".join(f":{name}" for name in choices)
    writer.execute(
        f"insert into notification_preferences (user_id, {names}) values (:alice, {values})",  # noqa: S608
        alice=writer.sample_users.alice_id,
        **choices,
    )


@pytest.mark.parametrize("create_event", [like_event, comment_event])
def test_muted_post_announces_nothing(
    writer: EventWriterHarness, create_event: Callable[[str, SampleUsers, int], Event]
) -> None:
    users = writer.sample_users
    writer.execute(
        "insert into mutes (id, user_id, muted_post_id) values (:id, :alice, :post)",
        id=new_id(),
        alice=users.alice_id,
        post=users.post_id,
    )

    assert writer.write_and_get_outcome(create_event(users.bob_id, users, 1)) == "muted"
    assert writer.client_events() == []


@pytest.mark.parametrize("blocker", ["alice", "bob"])
def test_block_suppresses_announcements_in_both_directions(writer: EventWriterHarness, blocker: str) -> None:
    users = writer.sample_users
    pair = {"alice": users.alice_id, "bob": users.bob_id}
    [blocked] = set(pair) - {blocker}
    writer.execute(
        "insert into blocks (user_id, blocked_user_id) values (:user, :blocked)",
        user=pair[blocker],
        blocked=pair[blocked],
    )

    assert writer.write_and_get_outcome(like_event(users.bob_id, users, 1)) == "blocked"
    assert writer.client_events() == []


def test_actor_muted_after_joining_is_still_removed_on_retraction(
    writer: EventWriterHarness,
) -> None:
    users = writer.sample_users
    writer.write(like_event(users.bob_id, users, 1))
    writer.execute(
        "insert into mutes (id, user_id, muted_user_id) values (:id, :alice, :bob)",
        id=new_id(),
        alice=users.alice_id,
        bob=users.bob_id,
    )

    assert writer.write_and_get_outcome(unlike_event(users.bob_id, users, 2)) == "retracted"
    assert writer.notification_row("actor_count, removed_at is not null") == (0, True)


def test_marketing_is_not_announced_until_enabled(writer: EventWriterHarness) -> None:
    marketing_event = replace(otp_event(writer.sample_users, 1), kind=Kind.MARKETING)
    first = writer.write_and_get_outcome(marketing_event)
    insert_preferences(writer, marketing=True)

    second = writer.write_and_get_outcome(replace(marketing_event, event_id=new_id()))

    assert (first, second) == ("preference", "delivered")


def test_preferences_of_each_recipient_are_applied_separately(
    writer: EventWriterHarness,
) -> None:
    """Alice mutes Dave; Bob, who is followed by him, does not."""
    users = writer.sample_users
    for_bob = replace(
        follow_event(users.dave_id, users, 1),
        recipient_id=users.bob_id,
        object_id=users.bob_id,
    )

    batch_outcome = writer.write(follow_event(users.dave_id, users, 2), for_bob)

    assert sorted(batch_outcome.outcomes.values()) == ["delivered", "muted"]
