"""Rows: what a batch changes in the tables, whatever its order, and what it leaves out."""

from dataclasses import replace

import pytest

from app.domain.events import Event
from tests.cast import comment, follow, like, new_id, unlike
from tests.stores.books import Books

pytestmark = pytest.mark.service


def liked(books: Books) -> set[str]:
    return {row[0] for row in books.ask("select user_id::text from active_likes")}


def test_a_like_is_a_row_and_a_count(books: Books) -> None:
    cast = books.cast

    settled = books.writes(like(cast.bob, cast, 1), like(cast.carol, cast, 2))

    assert liked(books) == {cast.bob, cast.carol}
    assert books.like_count == 2
    assert set(settled.outcomes.values()) == {"delivered"}


@pytest.mark.parametrize(
    ("order", "stands"),
    [
        pytest.param([1, 2], False, id="like, unlike"),
        pytest.param([2, 1], False, id="the unlike first: the late like brings nothing back"),
        pytest.param([1, 2, 3], True, id="like, unlike, like"),
        pytest.param([3, 1, 2], True, id="the last word first"),
        pytest.param([2, 3, 1], True, id="any order"),
        pytest.param([1, 1, 1], True, id="repeats"),
    ],
)
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "a batch each"])
def test_the_last_word_stands(books: Books, order: list[int], stands: bool, together: bool) -> None:
    """Odd seqs are likes, even ones unlikes."""
    cast = books.cast
    words = {1: like(cast.bob, cast, 1), 2: unlike(cast.bob, cast, 2), 3: like(cast.bob, cast, 3)}
    events = [words[seq] for seq in order]

    for batch in [events] if together else [[event] for event in events]:
        books.writes(*batch)

    assert liked(books) == ({cast.bob} if stands else set())
    assert books.like_count == (1 if stands else 0)


def test_an_unlike_stays_as_a_row(books: Books) -> None:
    cast = books.cast
    books.writes(like(cast.bob, cast, 1))

    books.writes(unlike(cast.bob, cast, 2))

    assert books.ask("select user_id::text, active from likes") == [(cast.bob, False)]


def test_the_same_batch_again_changes_nothing(books: Books) -> None:
    cast = books.cast
    batch = [like(cast.bob, cast, 1), follow(cast.carol, cast, 2), comment(cast.carol, cast, 3)]
    books.writes(*batch)
    tables = ("likes", "follows", "comments", "notifications", "notification_actors", "outbox")
    before = [books.ask(f"select * from {table} order by 1, 2") for table in tables]  # noqa: S608

    settled = books.writes(*batch)

    assert [books.ask(f"select * from {t} order by 1, 2") for t in tables] == before  # noqa: S608
    assert set(settled.outcomes.values()) == {"merged"}
    assert settled.frames == 0


def test_follows_are_rows_and_counted(books: Books) -> None:
    cast = books.cast

    books.writes(follow(cast.carol, cast, 1), follow(cast.bob, cast, 2, active=False))

    counts = books.ask("select follower_count from users where id = :id", id=cast.alice)
    followers = books.ask("select follower_id::text from follows where active")
    assert (counts, followers) == ([(1,)], [(cast.carol,)])


def test_comments_are_rows_and_counted_in_their_post(books: Books) -> None:
    cast = books.cast
    one, other = comment(cast.bob, cast, 1, "One"), comment(cast.bob, cast, 2, "Two")

    books.closes(one, other)
    books.closes(replace(one, active=False, seq=other.seq + 1, event_id=new_id()))

    assert books.ask("select content from comments where active") == [("Two",)]
    assert books.ask("select comment_count from posts") == [(1,)]


def test_the_counters_are_those_of_the_tables_after_many_batches(books: Books) -> None:
    cast = books.cast
    people = [cast.bob, cast.carol, cast.dave]
    for seq in range(1, 40):
        make = unlike if seq % 3 == 0 else like
        books.writes(make(people[seq % len(people)], cast, seq), make(people[seq % 2], cast, seq))

        assert books.like_count == len(liked(books))


def _gone(books: Books, name: str) -> Event:
    cast, nobody = books.cast, new_id()
    return {
        "the post": like(cast.bob, replace(cast, post=nobody), 1),
        "the actor": like(nobody, cast, 1),
        "the followed": follow(cast.bob, replace(cast, alice=nobody), 1),
        "the follower": follow(nobody, cast, 1),
        "the commented post": comment(cast.bob, replace(cast, post=nobody), 1),
        "the commenter": comment(nobody, cast, 1),
    }[name]


@pytest.mark.parametrize(
    "gone",
    [
        "the post",
        "the actor",
        "the followed",
        "the follower",
        "the commented post",
        "the commenter",
    ],
)
def test_what_is_gone_is_left_out_and_its_neighbours_are_written(books: Books, gone: str) -> None:
    cast, event = books.cast, _gone(books, gone)
    neighbours = [
        like(cast.carol, cast, 5),
        follow(cast.carol, cast, 6),
        comment(cast.bob, cast, 7),
    ]

    settled = books.writes(event, *neighbours)

    assert settled.outcomes[event.event_id] == "expired"
    assert [settled.outcomes[one.event_id] for one in neighbours] == ["delivered"] * 3
    assert settled.refused == []


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_row_that_postgresql_refuses_stands_alone(books: Books, place: int) -> None:
    """The domain lets no NUL in; whatever it will overlook one day must not stop the others."""
    cast = books.cast
    batch = [comment(cast.bob, cast, seq) for seq in range(1, 8)]
    good = batch[place]
    batch[place] = bad = replace(good, metadata={**good.metadata, "content": "a\x00b"})

    settled = books.closes(*batch)

    assert [event for event, _ in settled.refused] == [bad]
    assert settled.outcomes[bad.event_id] == "failed"
    assert books.count("comments") == 6
    assert books.ask("select comment_count from posts") == [(6,)]


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"parentId": "no uuid"}, id="a parent that is no UUID"),
        pytest.param({"content": "\ud800"}, id="half a character"),
        pytest.param({"commentId": "no uuid"}, id="an id that is no UUID"),
    ],
)
def test_whatever_postgresql_refuses_it_is_named(books: Books, metadata: dict[str, object]) -> None:
    cast = books.cast
    event = comment(cast.bob, cast, 1)
    bad = replace(event, metadata={**event.metadata, **metadata})

    settled = books.closes(bad)

    assert [(one, reason.partition(":")[0]) for one, reason in settled.refused] == [
        (bad, "refused by PostgreSQL")
    ]


def test_a_follow_of_oneself_is_refused_alone(books: Books) -> None:
    """The table's own check; the action refuses it long before."""
    cast = books.cast
    odd = follow(cast.alice, cast, 1)

    settled = books.writes(odd, like(cast.bob, cast, 2))

    assert [event for event, _ in settled.refused] == [odd]
    assert books.like_count == 1


def test_nothing_to_write_is_no_transaction(books: Books) -> None:
    assert books.writes().outcomes == {}
