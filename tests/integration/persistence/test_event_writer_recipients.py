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


def insert_preferences(event_writer_harness: EventWriterHarness, **choices: object) -> None:
    """Alice's preferences."""
    names = ", ".join(choices)
    values = ", ".join(f":{name}" for name in choices)
    event_writer_harness.execute(
        f"insert into notification_preferences (user_id, {names}) values (:alice, {values})",  # noqa: S608
        alice=event_writer_harness.sample_users.alice_id,
        **choices,
    )


def insert_block(event_writer_harness: EventWriterHarness, user: str, blocked: str) -> None:
    event_writer_harness.execute(
        "insert into blocks (user_id, blocked_user_id) values (:user, :blocked)", user=user, blocked=blocked
    )


def write_and_get_outcome(event_writer_harness: EventWriterHarness, event: Event) -> str:
    return event_writer_harness.write(event).outcomes[event.event_id]


def test_own_action_is_counted_and_not_announced(event_writer_harness: EventWriterHarness) -> None:
    sample_users = event_writer_harness.sample_users
    assert (
        write_and_get_outcome(event_writer_harness, like_event(sample_users.alice_id, sample_users, 1))
        == "self"
    )
    assert (event_writer_harness.like_count, event_writer_harness.client_events()) == (1, [])


@pytest.mark.parametrize("create_event", [like_event, comment_event])
def test_muted_post_announces_nothing(
    event_writer_harness: EventWriterHarness, create_event: Callable[[str, SampleUsers, int], Event]
) -> None:
    sample_users = event_writer_harness.sample_users
    event_writer_harness.execute(
        "insert into mutes (id, user_id, muted_post_id) values (:id, :alice, :post)",
        id=new_id(),
        alice=sample_users.alice_id,
        post=sample_users.post_id,
    )

    assert (
        write_and_get_outcome(event_writer_harness, create_event(sample_users.bob_id, sample_users, 1))
        == "muted"
    )
    assert event_writer_harness.client_events() == []


@pytest.mark.parametrize("blocker", ["alice", "bob"])
def test_block_suppresses_announcements_in_both_directions(
    event_writer_harness: EventWriterHarness, blocker: str
) -> None:
    sample_users = event_writer_harness.sample_users
    pair = {"alice": sample_users.alice_id, "bob": sample_users.bob_id}
    [blocked] = set(pair) - {blocker}
    insert_block(event_writer_harness, pair[blocker], pair[blocked])

    assert (
        write_and_get_outcome(event_writer_harness, like_event(sample_users.bob_id, sample_users, 1))
        == "blocked"
    )
    assert event_writer_harness.client_events() == []


def test_actor_muted_after_joining_is_still_removed_on_retraction(
    event_writer_harness: EventWriterHarness,
) -> None:
    sample_users = event_writer_harness.sample_users
    event_writer_harness.write(like_event(sample_users.bob_id, sample_users, 1))
    event_writer_harness.execute(
        "insert into mutes (id, user_id, muted_user_id) values (:id, :alice, :bob)",
        id=new_id(),
        alice=sample_users.alice_id,
        bob=sample_users.bob_id,
    )

    assert (
        write_and_get_outcome(event_writer_harness, unlike_event(sample_users.bob_id, sample_users, 2))
        == "retracted"
    )
    assert event_writer_harness.notification_row("actor_count, removed_at is not null") == (0, True)


def test_marketing_is_not_announced_until_enabled(event_writer_harness: EventWriterHarness) -> None:
    marketing_event = replace(otp_event(event_writer_harness.sample_users, 1), kind=Kind.MARKETING)
    first = write_and_get_outcome(event_writer_harness, marketing_event)
    insert_preferences(event_writer_harness, marketing=True)

    second = write_and_get_outcome(event_writer_harness, replace(marketing_event, event_id=new_id()))

    assert (first, second) == ("preference", "delivered")


def test_preferences_of_each_recipient_are_applied_separately(
    event_writer_harness: EventWriterHarness,
) -> None:
    """Alice mutes Dave; Bob, who is followed by him, does not."""
    sample_users = event_writer_harness.sample_users
    for_bob = replace(
        follow_event(sample_users.dave_id, sample_users, 1),
        recipient_id=sample_users.bob_id,
        object_id=sample_users.bob_id,
    )

    batch_outcome = event_writer_harness.write(follow_event(sample_users.dave_id, sample_users, 2), for_bob)

    assert sorted(batch_outcome.outcomes.values()) == ["delivered", "muted"]
