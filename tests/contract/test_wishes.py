"""wish.lua through Memberships: compare, count and append in one step."""

from collections.abc import Callable

import pytest
import redis
from sqlalchemy import Engine

from app.domain.errors import Rejected, Unavailable
from app.domain.events import Kind, from_fields
from app.domain.routing import shard_of
from app.stores.gate import OPEN
from app.stores.memberships import Bounds, Memberships, Standing, Wish
from app.stores.subjects import PERSON, POST
from tests.cast import new_id
from tests.contract.wishing import follows, likes

SHARDS = 4
ALICE, BOB, CAROL, PEN = (new_id() for _ in range(4))
ON, OFF, TOGGLE = Wish.ON, Wish.OFF, Wish.TOGGLE
Make = Callable[..., Memberships]


@pytest.fixture
def make(connection: redis.Redis, absent_engine: Engine) -> Make:
    def make(max_length: int = 1000, deadline_seconds: float = 5.0) -> Memberships:
        return Memberships(connection, absent_engine, Bounds(SHARDS, max_length, deadline_seconds))

    return make


@pytest.fixture
def memberships(make: Make) -> Memberships:
    """Alice's post PEN, known to Redis from its birth."""
    warm = make()
    warm.warming.born(PERSON, ALICE, ALICE)
    warm.warming.born(POST, PEN, ALICE)
    return warm


def entries(connection: redis.Redis) -> list[tuple[str, dict[str, str]]]:
    return [one for n in range(SHARDS + 1) for one in connection.xrange(f"ingress:{n}")]


def wish(memberships: Memberships, actor: str, word: Wish) -> Standing:
    return likes(memberships, actor, PEN, word)


@pytest.mark.parametrize(
    ("wishes", "standing", "events"),
    [
        pytest.param([(BOB, ON)], (True, 1), 1, id="on"),
        pytest.param([(BOB, ON), (BOB, ON)], (True, 1), 2, id="on again is the same"),
        pytest.param([(BOB, OFF)], (False, 0), 1, id="off without on is the same"),
        pytest.param([(BOB, ON), (BOB, OFF)], (False, 0), 2, id="off"),
        pytest.param([(BOB, ON), (BOB, OFF), (BOB, OFF)], (False, 0), 3, id="off again"),
        pytest.param([(BOB, TOGGLE)], (True, 1), 1, id="toggle on"),
        pytest.param([(BOB, TOGGLE), (BOB, TOGGLE)], (False, 0), 2, id="toggle off"),
        pytest.param([(BOB, ON), (CAROL, ON)], (True, 2), 2, id="two people"),
        pytest.param([(BOB, ON), (CAROL, ON), (BOB, OFF)], (False, 1), 3, id="one of two goes"),
    ],
)
def test_wishes(
    connection: redis.Redis,
    memberships: Memberships,
    wishes: list[tuple[str, Wish]],
    standing: tuple[bool, int],
    events: int,
) -> None:
    answers = [wish(memberships, actor, word) for actor, word in wishes]

    assert answers[-1] == Standing(*standing)
    # One that changes nothing is said again: what Redis knows may not be the last word.
    assert len(entries(connection)) == events
    # The count is that of the set, always.
    assert connection.scard(f"like:users:{PEN}") == standing[1]
    assert connection.get(f"like:count:{PEN}") == str(standing[1])


def test_a_like_is_on_the_shard_of_its_post_as_a_whole_event(
    connection: redis.Redis, memberships: Memberships
) -> None:
    event_id, trace = new_id(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    likes(memberships, BOB, PEN, ON, event_id, trace)

    [(stream_id, fields)] = connection.xrange(f"ingress:{shard_of(PEN, SHARDS)}")
    event = from_fields(stream_id, fields)
    assert (event.event_id, event.kind, event.active) == (event_id, Kind.LIKE, True)
    assert (event.actor_id, event.recipient_id, event.object_id) == (BOB, ALICE, PEN)
    assert (event.object_type, event.traceparent) == ("POST", trace)


def test_an_unlike_says_so(connection: redis.Redis, memberships: Memberships) -> None:
    wish(memberships, BOB, ON)

    wish(memberships, BOB, OFF)

    liked, unliked = (from_fields(*one) for one in entries(connection))
    assert (liked.active, unliked.active) == (True, False)
    assert liked.seq < unliked.seq


@pytest.mark.parametrize("is_follower", [True, False])
def test_a_like_tells_whether_its_actor_follows_the_owner(
    connection: redis.Redis, memberships: Memberships, is_follower: bool
) -> None:
    if is_follower:
        follows(memberships, BOB, ALICE, ON)

    wish(memberships, BOB, ON)

    [like] = [one for one in map(_event, entries(connection)) if one.kind is Kind.LIKE]
    assert like.follower is is_follower


def _event(entry: tuple[str, dict[str, str]]):
    return from_fields(*entry)


def test_a_follow_is_counted_and_told_to_the_followed(
    connection: redis.Redis, memberships: Memberships
) -> None:
    standing = follows(memberships, BOB, ALICE, ON)

    [entry] = connection.xrange(f"ingress:{shard_of(ALICE, SHARDS)}")
    event = _event(entry)
    assert standing == Standing(True, 1)
    assert (event.kind, event.actor_id, event.recipient_id) == (Kind.FOLLOW, BOB, ALICE)
    assert connection.get(f"follow:count:{ALICE}") == "1"


def test_a_post_that_is_gone_is_refused(connection: redis.Redis, memberships: Memberships) -> None:
    connection.set(f"post:owner:{PEN}", "")

    with pytest.raises(Rejected) as refused:
        wish(memberships, BOB, ON)

    assert refused.value.status == 404
    assert entries(connection) == []


@pytest.mark.parametrize(
    "forgotten", [f"like:count:{PEN}", f"post:owner:{PEN}", f"follow:count:{ALICE}"]
)
def test_what_redis_does_not_know_it_does_not_guess(
    connection: redis.Redis, memberships: Memberships, forgotten: str
) -> None:
    connection.delete(forgotten)

    with pytest.raises(Unavailable) as refused:  # PostgreSQL, which is not there
        wish(memberships, BOB, ON)

    assert refused.value.code == "postgres_unavailable"
    assert entries(connection) == []


def test_a_call_that_comes_too_late_has_no_effect(
    connection: redis.Redis, memberships: Memberships, make: Make
) -> None:
    late = make(deadline_seconds=-0.5)

    with pytest.raises(Unavailable) as refused:
        wish(late, BOB, ON)

    assert refused.value.code == "late"
    assert entries(connection) == []
    assert memberships.likes_of(BOB, [PEN]) == {PEN: (0, False)}


def test_a_full_ingress_refuses_and_changes_nothing(
    connection: redis.Redis, memberships: Memberships, make: Make
) -> None:
    full = make(max_length=2)
    wish(full, BOB, ON)
    follows(full, BOB, ALICE, ON)  # another shard: all count together

    with pytest.raises(Unavailable) as refused:
        wish(full, CAROL, ON)

    assert refused.value.code == "ingress_full"
    assert memberships.likes_of(CAROL, [PEN]) == {PEN: (1, False)}


def test_a_full_ingress_still_answers_what_changes_nothing(
    memberships: Memberships, make: Make
) -> None:
    wish(memberships, BOB, ON)
    full = make(max_length=1)

    assert wish(full, BOB, ON) == Standing(True, 1)


def test_however_long_the_ingress_grows_nothing_of_it_is_thrown_away(
    connection: redis.Redis, memberships: Memberships
) -> None:
    crowd = [new_id() for _ in range(20)]
    for one in crowd:
        wish(memberships, one, ON)

    assert [fields["actorId"] for _, fields in entries(connection)] == crowd


def test_readers_see_the_wish_at_once(memberships: Memberships) -> None:
    wish(memberships, BOB, ON)

    assert memberships.likes_of(BOB, [PEN]) == {PEN: (1, True)}
    assert memberships.likes_of(None, [PEN]) == {PEN: (1, False)}


def test_a_closed_gate_lets_no_wish_pass(connection: redis.Redis, memberships: Memberships) -> None:
    wish(memberships, BOB, ON)
    connection.delete(OPEN)

    with pytest.raises(Unavailable) as refused:
        wish(memberships, BOB, OFF)

    assert refused.value.code == "gate_closed"
    assert len(entries(connection)) == 1
    assert connection.sismember(f"like:users:{PEN}", BOB)


def test_behind_a_closed_gate_nothing_becomes_warm(connection: redis.Redis, make: Make) -> None:
    connection.delete(OPEN)

    make().warming.born(POST, PEN, ALICE)

    assert connection.keys("*") == []
