"""Who is told: oneself, mutes, blocks, preferences and quiet hours."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.events import Event, Kind
from tests.cast import code, comment, follow, like, new_id, unlike
from tests.stores.books import Books

pytestmark = pytest.mark.service


def chooses(books: Books, **choices: object) -> None:
    """Alice's preferences."""
    names = ", ".join(choices)
    values = ", ".join(f":{name}" for name in choices)
    books.tell(
        f"insert into notification_preferences (user_id, {names}) values (:alice, {values})",  # noqa: S608
        alice=books.cast.alice,
        **choices,
    )


def blocks(books: Books, user: str, blocked: str) -> None:
    books.tell(
        "insert into blocks (user_id, blocked_user_id) values (:user, :blocked)",
        user=user,
        blocked=blocked,
    )


def outcome(books: Books, event: Event) -> str:
    return books.writes(event).outcomes[event.event_id]


def test_ones_own_doing_counts_and_is_not_told(books: Books) -> None:
    assert outcome(books, like(books.cast.alice, books.cast, 1)) == "self"
    assert (books.like_count, books.frames()) == (1, [])


def test_a_muted_persons_like_counts_and_is_not_told(books: Books) -> None:
    assert outcome(books, like(books.cast.dave, books.cast, 1)) == "muted"
    assert (books.like_count, books.frames()) == (1, [])


@pytest.mark.parametrize("make", [like, comment])
def test_a_muted_post_is_silent(books: Books, make) -> None:
    books.tell(
        "insert into mutes (id, user_id, muted_post_id) values (:id, :alice, :post)",
        id=new_id(),
        alice=books.cast.alice,
        post=books.cast.post,
    )

    assert outcome(books, make(books.cast.bob, books.cast, 1)) == "muted"
    assert books.frames() == []


@pytest.mark.parametrize("blocker", ["alice", "bob"])
def test_a_block_silences_both_ways(books: Books, blocker: str) -> None:
    pair = {"alice": books.cast.alice, "bob": books.cast.bob}
    [other] = set(pair) - {blocker}
    blocks(books, pair[blocker], pair[other])

    assert outcome(books, like(books.cast.bob, books.cast, 1)) == "blocked"
    assert books.frames() == []


def test_who_was_muted_meanwhile_still_leaves(books: Books) -> None:
    books.writes(like(books.cast.bob, books.cast, 1))
    books.tell(
        "insert into mutes (id, user_id, muted_user_id) values (:id, :alice, :bob)",
        id=new_id(),
        alice=books.cast.alice,
        bob=books.cast.bob,
    )

    assert outcome(books, unlike(books.cast.bob, books.cast, 2)) == "retracted"
    assert books.row("actor_count, removed_at is not null") == (0, True)


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        pytest.param({"activity": False}, "preference", id="activity off"),
        pytest.param({"push_enabled": False}, "preference", id="push off"),
        pytest.param({"social": False}, "delivered", id="social off: a like is none"),
        pytest.param({"matrix": '{"LIKE": {"push": false}}'}, "preference", id="a cell"),
    ],
)
def test_preferences(books: Books, choices: dict[str, object], reason: str) -> None:
    chooses(books, **choices)

    assert outcome(books, like(books.cast.bob, books.cast, 1)) == reason
    assert len(books.lines) == (1 if reason == "delivered" else 0)


def test_marketing_is_off_until_asked_for(books: Books) -> None:
    letter = replace(code(books.cast, 1), kind=Kind.MARKETING)
    first = outcome(books, letter)
    chooses(books, marketing=True)

    second = outcome(books, replace(letter, event_id=new_id()))

    assert (first, second) == ("preference", "delivered")


def test_a_log_in_code_passes_everything(books: Books) -> None:
    chooses(books, push_enabled=False, activity=False, dnd_enabled=True)

    assert outcome(books, code(books.cast, 1)) == "delivered"
    assert books.frames()[0]["metadata"]["channels"] == ["PUSH", "EMAIL", "SMS"]


@pytest.mark.parametrize("emptied", ["dnd_start_time", "dnd_end_time"])
def test_quiet_hours_whose_times_were_emptied_hold_nothing(books: Books, emptied: str) -> None:
    now = datetime.fromtimestamp(books.clock.now(), UTC)
    hours = {
        "dnd_start_time": (now - timedelta(hours=1)).time(),
        "dnd_end_time": (now + timedelta(hours=1)).time(),
    }
    chooses(books, dnd_enabled=True, **hours | {emptied: None})

    books.writes(follow(books.cast.carol, books.cast, 1))

    assert books.lines == ["Carol started following you"]


def test_in_quiet_hours_it_is_in_the_list_and_the_badge_and_does_not_ring(books: Books) -> None:
    now = datetime.fromtimestamp(books.clock.now(), UTC)
    chooses(
        books,
        dnd_enabled=True,
        dnd_start_time=(now - timedelta(hours=1)).time(),
        dnd_end_time=(now + timedelta(hours=1)).time(),
    )

    books.writes(follow(books.cast.carol, books.cast, 1))

    until = (now + timedelta(hours=1)).replace(microsecond=0)
    assert books.lines == []
    assert [frame["message"] for frame in books.frames("notification_updated")] == [
        "Carol started following you"
    ]
    assert books.row("date_trunc('second', held_until)") == (until,)
    assert books.badges == [(1, 1)]


def test_each_recipient_is_asked_alone(books: Books) -> None:
    """Alice mutes Dave; Bob, who is followed by him, does not."""
    for_bob = replace(
        follow(books.cast.dave, books.cast, 1),
        recipient_id=books.cast.bob,
        object_id=books.cast.bob,
    )

    settled = books.writes(follow(books.cast.dave, books.cast, 2), for_bob)

    assert sorted(settled.outcomes.values()) == ["delivered", "muted"]
