"""The ledger under many writers at once, and under any delivery of the same doings."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from app.domain.events import Kind
from app.domain.ledger import Ring
from app.stores.ledger import Batch, Entry
from tests.cast import follow, like, new_id, people
from tests.stores.books import Books

pytestmark = pytest.mark.service


def test_writers_of_one_recipient_take_turns(books: Books, engine: Engine) -> None:
    actors = people(engine, *(f"P{n}" for n in range(24)))

    def write(place: int) -> None:
        books.writes(like(actors[place], books.cast, place + 1))
        books.writes(follow(actors[place], books.cast, place + 1))
        # No counter of a post or person makes the writers of shares wait for each other.
        books.writes(replace(like(actors[place], books.cast, place + 1), kind=Kind.POST_SHARE))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(len(actors))))

    seqs = [frame["seq"] for frame in books.frames()]
    assert seqs == list(range(1, 3 * 24 + 1))
    assert books.like_count == 24
    assert books.ask("select actor_count from notifications") == [(24,)] * 3


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**32 - 1))
def test_any_delivery_of_the_same_words_leaves_the_same_tables(books: Books, seed: int) -> None:
    chance = Random(seed)
    words = [
        (chance.randrange(3), chance.random() < 0.6, chance.choice(list(Ring)))
        for _ in range(chance.randint(1, 8))
    ]
    # Each example likes a post of its own.
    cast = replace(books.cast, post=new_id())
    books.tell(
        "insert into posts (id, user_id) values (:post, :alice)", post=cast.post, alice=cast.alice
    )
    actors = [cast.bob, cast.carol, people(books.engine, "Eva")[0]]
    events = [
        (like(actors[who], cast, seq, active), ring)
        for seq, (who, active, ring) in enumerate(words, 1)
    ]
    last_words = {actors[who]: active for who, active, _ in words}
    arriving = events + chance.choices(events, k=3)
    chance.shuffle(arriving)

    for at in range(0, len(arriving), 3):
        batch = tuple(Entry(event, ring) for event, ring in arriving[at : at + 3])
        books.ledger.write(Batch(batch))

    likers = {who for who, active in last_words.items() if active}
    tables = {
        "likes": {row[0] for row in books.ask(_LIKERS, post=cast.post)},
        "actors": {row[0] for row in books.ask(_ACTORS, post=cast.post)},
        "like_count": books.ask("select like_count from posts where id = :post", post=cast.post),
    }
    assert tables == {"likes": likers, "actors": likers, "like_count": [(len(likers),)]}
    figures = books.ask(_FIGURES, post=cast.post)
    assert all(row[0] == row[1] and row[2] == row[3] for row in figures)


_LIKERS = "select user_id::text from active_likes where post_id = :post"
_ACTORS = """
    select a.actor_id::text from notification_actors a join notifications n
        on n.id = a.notification_id
    where n.object_id = :post and a.active
"""
_FIGURES = """
    select n.actor_count, count(a.actor_id), n.owed_count,
        count(a.actor_id) filter (where not a.announced)
    from notifications n left join notification_actors a on a.notification_id = n.id and a.active
    where n.object_id = :post group by n.id
"""
