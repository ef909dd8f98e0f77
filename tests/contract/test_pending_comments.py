"""Comments that wait in Redis beside those in the table: together they are what is read."""

from typing import Any

import pytest
import redis
from sqlalchemy import Engine, event, text

from app.domain.errors import Rejected
from app.stores.comments import Comment, Comments
from app.stores.memberships import Bounds
from app.streams.ingress import Ingress
from tests.cast import Cast, assemble, comment, new_id
from tests.contract.test_appending import said

pytestmark = pytest.mark.service


@pytest.fixture
def ingress(connection: redis.Redis) -> Ingress:
    return Ingress(connection, Bounds(4, 1000, 5.0))


@pytest.fixture
def cast(engine: Engine) -> Cast:
    return assemble(engine)


@pytest.fixture
def both(connection: redis.Redis, engine: Engine) -> Comments:
    return Comments(connection, engine)


def test_a_comment_in_both_places_is_one_comment(
    ingress: Ingress, both: Comments, engine: Engine, cast: Cast
) -> None:
    written, waiting = comment(cast.bob, cast, 1), comment(cast.carol, cast, 2)
    for each in (written, waiting):
        both.warm(cast.post)
        ingress.append([each], said(each, cast))
    insert(engine, said(written, cast))

    found = both.of_post(cast.post)

    assert {one.id for one in found} == {written.member, waiting.member}


def test_a_lost_count_is_made_of_both_places_without_doubles(
    connection: redis.Redis,
    ingress: Ingress,
    both: Comments,
    engine: Engine,
    cast: Cast,
) -> None:
    written, waiting = comment(cast.bob, cast, 1), comment(cast.carol, cast, 2)
    both.warm(cast.post)
    for each in (written, waiting):
        ingress.append([each], said(each, cast))
    insert(engine, said(written, cast))
    connection.delete(f"comment:count:{cast.post}")

    both.warm(cast.post)

    assert both.counts([cast.post]) == {cast.post: 2}


def test_a_comment_that_is_written_while_they_are_counted_is_counted(
    connection: redis.Redis, ingress: Ingress, both: Comments, engine: Engine, cast: Cast
) -> None:
    waiting = comment(cast.bob, cast, 1)
    both.warm(cast.post)
    ingress.append([waiting], said(waiting, cast))
    connection.delete(f"comment:count:{cast.post}")

    def flusher(_sql: Any, _cursor: Any, statement: str, *_: Any) -> None:
        """Is quicker: the tables were read, and now they have it."""
        if "from comments" in statement:
            insert(engine, said(waiting, cast))
            both.forget([(cast.post, waiting.member)])

    event.listen(engine, "after_cursor_execute", flusher)
    try:
        both.warm(cast.post)
    finally:
        event.remove(engine, "after_cursor_execute", flusher)

    assert both.counts([cast.post]) == {cast.post: 1}


def test_a_comment_that_nobody_knows_is_refused(both: Comments, cast: Cast) -> None:
    with pytest.raises(Rejected) as refused:
        both.find(new_id())

    assert refused.value.status == 404


def test_the_owner_is_told_by_redis_or_by_the_table(
    connection: redis.Redis, both: Comments, cast: Cast
) -> None:
    assert both.owner_of(cast.post) == cast.alice

    connection.set(f"post:owner:{cast.post}", cast.bob)

    assert both.owner_of(cast.post) == cast.bob


def insert(engine: Engine, one: Comment) -> None:
    with engine.begin() as sql:
        sql.execute(
            text(
                "insert into comments (id, post_id, user_id, content) "
                "values (:id, :post, :user, :content)"
            ),
            {"id": one.id, "post": one.post_id, "user": one.user_id, "content": one.content},
        )
