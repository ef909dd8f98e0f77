"""Rows of the event writer: what a batch changes in any order, and which events it leaves out."""

from dataclasses import replace

import pytest

from app.domain.events import Event
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import comment_event, follow_event, like_event, new_id, unlike_event

pytestmark = pytest.mark.service


def active_liker_ids(writer: EventWriterHarness) -> set[str]:
    return {row[0] for row in writer.query("select user_id::text from active_likes")}


def test_likes_are_rows_and_counted(writer: EventWriterHarness) -> None:
    users = writer.sample_users

    batch_outcome = writer.write(like_event(users.bob_id, users, 1), like_event(users.carol_id, users, 2))

    assert active_liker_ids(writer) == {users.bob_id, users.carol_id}
    assert writer.like_count == 2
    assert set(batch_outcome.outcomes.values()) == {"delivered"}


@pytest.mark.parametrize(
    ("order", "is_active"),
    [
        pytest.param([1, 2], False, id="like, unlike"),
        pytest.param([2, 1], False, id="the unlike first: the late like brings nothing back"),
        pytest.param([1, 2, 3], True, id="like, unlike, like"),
        pytest.param([3, 1, 2], True, id="the newest event first"),
        pytest.param([2, 3, 1], True, id="any order"),
        pytest.param([1, 1, 1], True, id="repeats"),
    ],
)
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "a batch each"])
def test_last_event_of_an_actor_decides_the_row(
    writer: EventWriterHarness, order: list[int], is_active: bool, together: bool
) -> None:
    """Odd seqs are likes, even ones unlikes."""
    users = writer.sample_users
    event_by_seq = {
        1: like_event(users.bob_id, users, 1),
        2: unlike_event(users.bob_id, users, 2),
        3: like_event(users.bob_id, users, 3),
    }
    events = [event_by_seq[seq] for seq in order]

    for batch in [events] if together else [[event] for event in events]:
        writer.write(*batch)

    assert active_liker_ids(writer) == ({users.bob_id} if is_active else set())
    assert writer.like_count == (1 if is_active else 0)


def test_unlike_keeps_an_inactive_row(writer: EventWriterHarness) -> None:
    users = writer.sample_users
    writer.write(like_event(users.bob_id, users, 1))

    writer.write(unlike_event(users.bob_id, users, 2))

    assert writer.query("select user_id::text, active from likes") == [(users.bob_id, False)]


def test_repeated_batch_changes_nothing(writer: EventWriterHarness) -> None:
    users = writer.sample_users
    batch = [
        like_event(users.bob_id, users, 1),
        follow_event(users.carol_id, users, 2),
        comment_event(users.carol_id, users, 3),
    ]
    writer.write(*batch)
    tables = ("likes", "follows", "comments", "notifications", "notification_actors", "outbox")
    before = [writer.query(f"select * from {table} order by 1, 2") for table in tables]  # noqa: S608

    batch_outcome = writer.write(*batch)

    assert [writer.query(f"select * from {t} order by 1, 2") for t in tables] == before  # noqa: S608
    assert set(batch_outcome.outcomes.values()) == {"merged"}
    assert batch_outcome.client_event_count == 0


def test_follows_are_rows_and_counted(writer: EventWriterHarness) -> None:
    users = writer.sample_users

    writer.write(
        follow_event(users.carol_id, users, 1),
        follow_event(users.bob_id, users, 2, active=False),
    )

    counts = writer.query("select follower_count from users where id = :id", id=users.alice_id)
    followers = writer.query("select follower_id::text from follows where active")
    assert (counts, followers) == ([(1,)], [(users.carol_id,)])


def test_comments_are_rows_and_counted_in_their_post(
    writer: EventWriterHarness,
) -> None:
    users = writer.sample_users
    first = comment_event(users.bob_id, users, 1, "One")
    second = comment_event(users.bob_id, users, 2, "Two")

    writer.close_window(first, second)
    writer.close_window(replace(first, active=False, seq=second.seq + 1, event_id=new_id()))

    assert writer.query("select content from comments where active") == [("Two",)]
    assert writer.query("select comment_count from posts") == [(1,)]


def _event_about_deleted(writer: EventWriterHarness, name: str) -> Event:
    users, unknown_id = writer.sample_users, new_id()
    return {
        "the post": like_event(users.bob_id, replace(users, post_id=unknown_id), 1),
        "the actor": like_event(unknown_id, users, 1),
        "the followed": follow_event(users.bob_id, replace(users, alice_id=unknown_id), 1),
        "the follower": follow_event(unknown_id, users, 1),
        "the commented post": comment_event(users.bob_id, replace(users, post_id=unknown_id), 1),
        "the commenter": comment_event(unknown_id, users, 1),
    }[name]


@pytest.mark.parametrize(
    "deleted_object",
    [
        "the post",
        "the actor",
        "the followed",
        "the follower",
        "the commented post",
        "the commenter",
    ],
)
def test_event_about_deleted_object_is_skipped_and_the_rest_is_written(
    writer: EventWriterHarness, deleted_object: str
) -> None:
    users, event = (
        writer.sample_users,
        _event_about_deleted(writer, deleted_object),
    )
    other_events = [
        like_event(users.carol_id, users, 5),
        follow_event(users.carol_id, users, 6),
        comment_event(users.bob_id, users, 7),
    ]

    batch_outcome = writer.write(event, *other_events)

    assert batch_outcome.outcomes[event.event_id] == "expired"
    assert [batch_outcome.outcomes[other.event_id] for other in other_events] == ["delivered"] * 3
    assert batch_outcome.rejected_events == []


@pytest.mark.parametrize("bad_index", [0, 3, 6])
def test_row_rejected_by_postgresql_does_not_affect_others(
    writer: EventWriterHarness, bad_index: int
) -> None:
    """The domain rejects NUL. Data that it may let through one day must not fail the other events."""
    users = writer.sample_users
    batch = [comment_event(users.bob_id, users, seq) for seq in range(1, 8)]
    original = batch[bad_index]
    batch[bad_index] = bad_event = replace(original, metadata={**original.metadata, "content": "a\x00b"})

    batch_outcome = writer.close_window(*batch)

    assert [event for event, _ in batch_outcome.rejected_events] == [bad_event]
    assert batch_outcome.outcomes[bad_event.event_id] == "failed"
    assert writer.count_rows("comments") == 6
    assert writer.query("select comment_count from posts") == [(6,)]


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"parentId": "no uuid"}, id="a parent that is no UUID"),
        pytest.param({"content": "\ud800"}, id="half a character"),
        pytest.param({"commentId": "no uuid"}, id="an id that is no UUID"),
    ],
)
def test_row_rejected_by_postgresql_is_reported(
    writer: EventWriterHarness, metadata: dict[str, object]
) -> None:
    users = writer.sample_users
    event = comment_event(users.bob_id, users, 1)
    bad_event = replace(event, metadata={**event.metadata, **metadata})

    batch_outcome = writer.close_window(bad_event)

    assert [(rejected, reason.partition(":")[0]) for rejected, reason in batch_outcome.rejected_events] == [
        (bad_event, "refused by PostgreSQL")
    ]


def test_self_follow_is_rejected_and_the_rest_is_written(
    writer: EventWriterHarness,
) -> None:
    """By a check of the table. The action rejects it earlier."""
    users = writer.sample_users
    self_follow = follow_event(users.alice_id, users, 1)

    batch_outcome = writer.write(self_follow, like_event(users.bob_id, users, 2))

    assert [event for event, _ in batch_outcome.rejected_events] == [self_follow]
    assert writer.like_count == 1
