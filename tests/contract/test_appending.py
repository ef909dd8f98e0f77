"""append.lua through Ingress and Comments: all or none, and a comment is readable at once."""

from datetime import UTC, datetime

import pytest
import redis
from sqlalchemy import Engine

from app.domain.errors import Unavailable
from app.domain.events import Event, from_fields
from app.domain.routing import CRITICAL_SHARD, shard_of
from app.stores.comments import Comment, Comments
from app.stores.memberships import Bounds
from app.streams.ingress import Ingress
from tests.cast import Cast, code, comment, follow, like, unknown_cast

SHARDS = 4
CAST = unknown_cast()


def ingress_of(connection: redis.Redis, max_length: int = 1000, seconds: float = 5.0) -> Ingress:
    return Ingress(connection, Bounds(SHARDS, max_length, seconds))


@pytest.fixture
def ingress(connection: redis.Redis) -> Ingress:
    return ingress_of(connection)


@pytest.fixture
def comments(connection: redis.Redis, absent_engine: Engine) -> Comments:
    return Comments(connection, absent_engine)


def said(event: Event, cast: Cast) -> Comment:
    return Comment(
        event.member,
        cast.post,
        str(event.actor_id),
        str(event.metadata["content"]),
        None,
        datetime(2026, 6, 1, tzinfo=UTC),
    )


def lengths(ingress: Ingress) -> int:
    return sum(ingress.lengths().values())


def test_each_event_goes_to_the_shard_of_its_subject(
    connection: redis.Redis, ingress: Ingress
) -> None:
    liked, followed, secret = like(CAST.bob, CAST, 1), follow(CAST.bob, CAST, 2), code(CAST, 3)

    assert ingress.append([liked, followed, secret])

    for event, shard in [
        (liked, shard_of(CAST.post, SHARDS)),
        (followed, shard_of(CAST.alice, SHARDS)),
        (secret, CRITICAL_SHARD),
    ]:
        ids = [fields["eventId"] for _, fields in connection.xrange(f"ingress:{shard}")]
        assert event.event_id in ids


def test_an_event_comes_out_as_it_went_in(connection: redis.Redis, ingress: Ingress) -> None:
    event = comment(CAST.bob, CAST, 1, 'He said "ça va?"\n')

    ingress.append([event])

    [(stream_id, fields)] = connection.xrange(f"ingress:{shard_of(CAST.post, SHARDS)}")
    back = from_fields(stream_id, fields)
    assert back.to_fields() == event.to_fields()


def test_a_comment_is_readable_and_counted_from_the_moment_it_is_accepted(
    connection: redis.Redis, ingress: Ingress, comments: Comments
) -> None:
    event = comment(CAST.bob, CAST, 1)
    comments.born(CAST.post)
    comments.remember_place(said(event, CAST))

    ingress.append([event], said(event, CAST))

    assert comments.find(event.member) == said(event, CAST)
    assert comments.counts([CAST.post]) == {CAST.post: 1}
    assert lengths(ingress) == 1


def test_a_comment_that_is_appended_again_counts_once(
    connection: redis.Redis, ingress: Ingress, comments: Comments
) -> None:
    event = comment(CAST.bob, CAST, 1)
    comments.born(CAST.post)

    for _ in range(2):
        assert ingress.append([event], said(event, CAST))

    assert comments.counts([CAST.post]) == {CAST.post: 1}
    assert lengths(ingress) == 1


def test_a_comment_on_a_post_whose_count_is_unknown_waits_for_it(
    ingress: Ingress, connection: redis.Redis
) -> None:
    event = comment(CAST.bob, CAST, 1)

    accepted = ingress.append([event], said(event, CAST))

    assert not accepted
    assert (lengths(ingress), connection.keys("comment:*")) == (0, [])


@pytest.mark.parametrize(
    ("max_length", "seconds", "word"),
    [
        pytest.param(1, 5.0, "ingress_full", id="full"),
        pytest.param(1000, -0.5, "ingress_late", id="late"),
    ],
)
def test_what_is_refused_has_no_effect(
    connection: redis.Redis, comments: Comments, max_length: int, seconds: float, word: str
) -> None:
    comments.born(CAST.post)
    ingress_of(connection).append([like(CAST.bob, CAST, 1)])
    refusing = ingress_of(connection, max_length, seconds)
    event = comment(CAST.bob, CAST, 2)

    with pytest.raises(Unavailable) as refused:
        refusing.append([event, follow(CAST.bob, CAST, 3)], said(event, CAST))

    assert refused.value.code == word
    assert lengths(refusing) == 1
    assert comments.counts([CAST.post]) == {CAST.post: 0}


def test_a_written_comment_is_forgotten_where_it_waited(
    connection: redis.Redis, ingress: Ingress, comments: Comments
) -> None:
    event = comment(CAST.bob, CAST, 1)
    comments.born(CAST.post)
    comments.remember_place(said(event, CAST))
    ingress.append([event], said(event, CAST))

    comments.forget([(CAST.post, event.member)])

    assert connection.exists(f"comment:pending:{CAST.post}") == 0
    assert connection.exists(f"comment:post:{event.member}") == 0
    assert connection.get(f"comment:count:{CAST.post}") == "1"
