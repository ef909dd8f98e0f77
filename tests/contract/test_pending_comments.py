"""Comments that wait in Redis beside those in the table: together they are what is read."""

import pytest
import redis
from sqlalchemy import Engine, text

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
    for event in (written, waiting):
        both.warm(cast.post)
        ingress.append([event], said(event, cast))
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
    for event in (written, waiting):
        ingress.append([event], said(event, cast))
    insert(engine, said(written, cast))
    connection.delete(f"comment:count:{cast.post}")

    both.warm(cast.post)

    assert both.counts([cast.post]) == {cast.post: 2}


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
