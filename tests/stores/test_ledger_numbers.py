"""Numbers: seqs without gaps, badges that only rise."""

from itertools import pairwise

import pytest

from tests.cast import comment, follow, like, people, unlike
from tests.stores.books import Books

pytestmark = pytest.mark.service


def test_seqs_have_no_gaps_and_badges_only_rise(books: Books) -> None:
    actors = people(books.engine, *(f"P{n}" for n in range(6)))
    for seq, actor in enumerate(actors, 1):
        books.writes(like(actor, books.cast, seq), follow(actor, books.cast, 100 + seq))
        books.writes(unlike(actors[0], books.cast, 200 + seq))
        books.closes(comment(actor, books.cast, 300 + seq))

    seqs = [frame["seq"] for frame in books.frames()]
    assert seqs == list(range(1, len(seqs) + 1))
    assert all(one[1] < other[1] for one, other in pairwise(books.badges))


def test_each_row_carries_the_seq_of_its_last_frame(books: Books) -> None:
    books.writes(like(books.cast.bob, books.cast, 1))
    books.writes(like(books.cast.carol, books.cast, 2))

    assert books.row("seq") == (books.frames()[-1]["seq"],)


def test_a_badge_counts_unread_groups_and_follows_the_frames(books: Books) -> None:
    books.writes(like(books.cast.bob, books.cast, 1), follow(books.cast.carol, books.cast, 2))

    kinds = [row[0] for row in books.ask("select frame from outbox order by id")]
    assert kinds == ["notification", "notification", "unread_count"]
    assert [count for count, _ in books.badges] == [2]
