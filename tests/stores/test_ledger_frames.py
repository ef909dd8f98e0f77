"""Frames: what the recipient is told, in which words, under which numbers."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from app.domain.events import Kind
from app.domain.ledger import GroupKey, Ring
from tests.cast import code, comment, follow, like, new_id, people, unlike
from tests.stores.books import Books

pytestmark = pytest.mark.service


def three_instants(books: Books) -> list[str]:
    actors = people(books.engine, "Ann", "Ben", "Cem")
    for seq, actor in enumerate(actors, 1):
        books.writes(like(actor, books.cast, seq))
    return actors


def likes_of(books: Books) -> GroupKey:
    return GroupKey(books.cast.alice, Kind.LIKE, books.cast.post)


def test_three_instants_and_a_close(books: Books) -> None:
    three_instants(books)
    dan, eva = people(books.engine, "Dan", "Eva")

    books.closes(like(dan, books.cast, 4), like(eva, books.cast, 5))

    assert books.lines == [
        "Ann liked your post",
        "Ben liked your post",
        "Cem liked your post",
        "Eva and 4 others liked your post",
    ]
    assert [
        (frame["metadata"]["newCount"], frame["metadata"]["aggregatedCount"])
        for frame in books.frames()
    ] == [(1, 1), (1, 2), (1, 3), (2, 5)]


def test_a_follower_is_named_first_and_lifts_the_lane(books: Books) -> None:
    three_instants(books)

    books.closes(
        like(books.cast.bob, books.cast, 4, follower=True), like(books.cast.carol, books.cast, 5)
    )

    assert books.lines[-1] == "Bob and 4 others liked your post"
    assert books.row("priority, actor_id::text") == ("HIGH", books.cast.bob)


def test_the_row_reads_for_the_whole_group(books: Books) -> None:
    three_instants(books)

    assert books.message == "Cem and 2 others liked your post"
    assert books.row("title, actor_count, owed_count, version") == (
        "3 new likes",
        3,
        0,
        3,
    )


def test_a_single_comment_quotes_and_more_are_counted(books: Books) -> None:
    books.closes(comment(books.cast.bob, books.cast, 1, "Lovely"))
    books.closes(comment(books.cast.carol, books.cast, 2, "Indeed"))

    assert books.lines == ['Bob commented: "Lovely"', "Carol and 1 other commented on your post"]


def test_a_retraction_corrects_and_the_last_one_removes(books: Books) -> None:
    first, second, third = three_instants(books)

    for seq, actor in enumerate([third, second, first], 10):
        books.writes(unlike(actor, books.cast, seq))

    told = [frame.get("message") for frame in books.frames()][3:]
    assert told == ["Ben and 1 other liked your post", "Ann liked your post", None]
    assert set(books.frames()[-1]) == {"id", "version", "seq"}
    assert books.row("removed_at is not null, actor_count") == (True, 0)
    assert books.badges[-1][0] == 0


def test_a_removed_row_returns_with_the_next_actor(books: Books) -> None:
    books.writes(like(books.cast.bob, books.cast, 1))
    books.writes(unlike(books.cast.bob, books.cast, 2))

    books.writes(like(books.cast.carol, books.cast, 3))

    assert books.message == "Carol liked your post"
    assert books.row("removed_at, version") == (None, 3)
    assert books.badges[-1][0] == 1


def test_after_reading_a_new_row_is_opened(books: Books) -> None:
    three_instants(books)
    books.tell("update notifications set is_read = true")

    books.writes(like(books.cast.bob, books.cast, 4))

    assert books.ask("select generation, actor_count from notifications order by 1") == [
        (1, 3),
        (2, 1),
    ]


def test_an_old_row_takes_no_more(books: Books) -> None:
    three_instants(books)
    books.clock.forward(12 * 3600)

    books.writes(like(books.cast.bob, books.cast, 4))

    assert books.count("notifications") == 2


def test_what_was_written_early_is_seen_by_nobody_before_it_is_told(books: Books) -> None:
    books.writes(like(books.cast.bob, books.cast, 1), ring=Ring.LATER)
    before = (books.row("version, owed_count"), books.frames(), books.badges)

    books.closes(group=likes_of(books))

    assert before == ((0, 1), [], [])
    assert books.lines == ["Bob liked your post"]
    assert books.row("version, owed_count") == (1, 0)
    assert books.ask("select announced from notification_actors") == [(True,)]


def test_an_early_written_actor_is_told_once_even_when_the_close_is_repeated(books: Books) -> None:
    books.writes(like(books.cast.bob, books.cast, 1), ring=Ring.LATER)

    for _ in range(2):
        books.closes(group=likes_of(books))

    assert len(books.frames()) == 1


def test_a_log_in_code_stands_alone_and_is_told_once(books: Books) -> None:
    one, other = code(books.cast, 1, "Code 1"), code(books.cast, 2, "Code 2")

    for _ in range(2):
        books.writes(one, other)

    assert books.lines == ["Code 1", "Code 2"]
    assert {frame["priority"] for frame in books.frames()} == {"CRITICAL"}


@pytest.mark.parametrize("kind", [Kind.MENTION, Kind.BELL_POST, Kind.POST_SHARE, Kind.POST_UPDATED])
def test_kinds_without_rows_are_told_once(books: Books, kind: Kind) -> None:
    event = replace(like(books.cast.bob, books.cast, 1), kind=kind)

    for _ in range(2):
        books.writes(event)

    assert len(books.lines) == 1


def test_thousands_are_one_transaction_with_a_sample_of_names(books: Books, engine: Engine) -> None:
    actors = people(engine, *(f"P{n}" for n in range(300)))

    settled = books.closes(*(like(one, books.cast, n) for n, one in enumerate(actors, 1)))

    assert settled.frames == 1
    assert books.lines == ["P299 and 299 others liked your post"]
    assert books.frames()[0]["metadata"]["aggregatedActors"] == actors[:-9:-1]


def test_a_verified_follower_is_marked(books: Books) -> None:
    books.tell("update users set is_verified = true where id = :id", id=books.cast.carol)

    books.writes(follow(books.cast.carol, books.cast, 1))

    assert books.frames()[0]["metadata"]["isVerified"] is True


def test_an_event_for_nobody_is_expired(books: Books) -> None:
    stranger = replace(code(books.cast, 1), recipient_id=new_id())

    assert books.writes(stranger).outcomes == {stranger.event_id: "expired"}
