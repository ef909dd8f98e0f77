"""Warming: what PostgreSQL knows becomes known to Redis, once, and never over newer words."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import redis
from sqlalchemy import Engine, event, text

from app.domain.errors import Rejected
from app.stores.memberships import Bounds, Memberships, Standing, Wish
from app.stores.subjects import PERSON, POST
from tests.cast import Cast, assemble, new_id, people
from tests.contract.wishing import likes

pytestmark = pytest.mark.service


@pytest.fixture
def cast(engine: Engine) -> Cast:
    return assemble(engine)


@pytest.fixture
def memberships(connection: redis.Redis, engine: Engine) -> Memberships:
    return Memberships(connection, engine, Bounds(4, 1000, 5.0))


def write_like(engine: Engine, cast: Cast, actor: str, active: bool) -> None:
    with engine.begin() as sql:
        sql.execute(
            text("insert into likes (post_id, user_id, active) values (:post, :actor, :active)"),
            {"post": cast.post, "actor": actor, "active": active},
        )


@contextmanager
def counted(engine: Engine) -> Iterator[Counter[str]]:
    """How often each statement runs."""
    seen: Counter[str] = Counter()

    def note(conn, cursor, statement, *_) -> None:
        seen[statement] += 1

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def test_the_first_like_of_a_cold_post_counts_what_stands_in_the_table(
    memberships: Memberships, engine: Engine, cast: Cast
) -> None:
    write_like(engine, cast, cast.carol, active=True)
    write_like(engine, cast, cast.dave, active=False)

    standing = likes(memberships, cast.bob, cast.post, Wish.ON)

    assert standing == Standing(True, 2)
    assert memberships.likes_of(cast.carol, [cast.post]) == {cast.post: (2, True)}


def test_a_like_that_is_in_the_table_is_not_counted_again(
    memberships: Memberships, engine: Engine, cast: Cast
) -> None:
    write_like(engine, cast, cast.carol, active=True)

    assert likes(memberships, cast.carol, cast.post, Wish.ON) == Standing(True, 1)


def test_a_warm_post_asks_no_table(memberships: Memberships, engine: Engine, cast: Cast) -> None:
    memberships.warming.warm(POST, cast.post)

    with counted(engine) as statements:
        likes(memberships, cast.bob, cast.post, Wish.ON)
        memberships.likes_of(cast.bob, [cast.post])

    assert statements.total() == 0


def test_many_first_likers_load_a_cold_post_once(
    memberships: Memberships, engine: Engine, cast: Cast
) -> None:
    actors = people(engine, *(f"P{n}" for n in range(8)))

    with counted(engine) as statements, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(likes, memberships, one, cast.post) for one in actors]
        counts = {one.result().count for one in asked}

    assert counts == set(range(1, 9))
    assert statements[_driver_form(POST.members_sql)] == 1
    assert statements[_driver_form(PERSON.members_sql)] == 1


def _driver_form(sql: str) -> str:
    return sql.replace(":id", "%(id)s")


def test_a_load_that_ends_late_does_not_undo_a_newer_like(
    memberships: Memberships, engine: Engine, cast: Cast
) -> None:
    likes(memberships, cast.bob, cast.post, Wish.ON)

    memberships.warming.born(POST, cast.post, cast.alice)  # an empty set, as a slow loader read it

    assert memberships.likes_of(cast.bob, [cast.post]) == {cast.post: (1, True)}


def test_a_set_of_thousands_is_loaded_whole(
    memberships: Memberships, engine: Engine, cast: Cast
) -> None:
    with engine.begin() as sql:
        sql.execute(
            text(
                "with made as (insert into users (email, username) "
                "select n || '@x', 'n' || n from generate_series(1, 2500) n returning id) "
                "insert into likes (post_id, user_id) select :post, id from made"
            ),
            {"post": cast.post},
        )

    assert likes(memberships, cast.bob, cast.post, Wish.ON).count == 2501


@pytest.mark.parametrize("wish", list(Wish))
def test_a_post_that_nobody_knows_is_refused(memberships: Memberships, wish: Wish) -> None:
    with pytest.raises(Rejected) as refused:
        likes(memberships, new_id(), new_id(), wish)

    assert refused.value.status == 404


def test_readers_of_a_cold_post_are_answered_by_the_table(
    memberships: Memberships, engine: Engine, cast: Cast
) -> None:
    write_like(engine, cast, cast.carol, active=True)
    with engine.begin() as sql:
        sql.execute(text("update posts set like_count = 1"))

    assert memberships.likes_of(cast.carol, [cast.post]) == {cast.post: (1, True)}
    assert memberships.follows_of(cast.bob, [cast.alice]) == {cast.alice: (1, True)}
