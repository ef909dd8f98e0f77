"""Blocks beside follows and likes that are under way, and what Redis knows of blocks."""

import pytest
import redis

from app.actions import Wish
from app.domain.errors import Rejected
from app.stores.block_cache import CHANGING, BlockCache
from app.stores.memberships import Standing
from tests.conftest import empty_redis
from tests.house import House, Person
from tests.workers.past_redis import PastRedis

pytestmark = pytest.mark.service


@pytest.fixture
def ann(house: House) -> Person:
    (ann,) = house.people("Ann")
    return ann


def edges(house: House) -> list[tuple[object, ...]]:
    return house.rows("select 1 from follows where active")


def counts(house: House, *people: Person) -> list[tuple[int, int]]:
    """Followers of each, as the table and Redis count them."""
    rows = dict(house.rows("select id::text, follower_count from users"))
    return [(rows[one.id], int(house.redis.get(f"follow:count:{one.id}") or 0)) for one in people]


def outcome_count(house: House, outcome: str) -> int:
    return int(house.redis.hget("stage:aggregator", outcome) or 0)


def test_a_follow_that_is_under_way_when_a_block_is_made_leaves_no_edge(
    house: House, ann: Person
) -> None:
    ann.follows(house.alice)
    house.alice.follows(ann)

    house.actions.block(house.alice.id, ann.id)
    house.run()

    assert edges(house) == []
    assert counts(house, ann, house.alice) == [(0, 0), (0, 0)]
    assert ann.frames() == house.alice.frames() == []


@pytest.mark.parametrize("maker", ["followed", "follower"])
def test_a_block_takes_a_written_follow_out_of_table_count_and_list(
    house: House, ann: Person, maker: str
) -> None:
    ann.follows(house.alice)
    house.run()
    pair = (house.alice.id, ann.id) if maker == "followed" else (ann.id, house.alice.id)

    house.actions.block(*pair)
    assert edges(house) == []  # before any worker has moved
    house.run()

    assert edges(house) == []
    assert counts(house, house.alice) == [(0, 0)]
    assert house.rows("select actor_count from notifications") == [(0,)]
    assert house.alice.badge == 0


def test_a_follow_that_the_lanes_bring_after_the_block_is_refused_with_its_reason(
    house: House, ann: Person
) -> None:
    """As from a web process that did not know of the block yet."""
    ann.follows(house.alice)
    house.actions.block(house.alice.id, ann.id)
    house.redis.delete(f"follow:blocked:{house.alice.id}")
    house.redis.sadd(f"follow:blocked:{house.alice.id}", "")
    ann.follows(house.alice)

    house.run()

    assert edges(house) == []
    assert outcome_count(house, "blocked") == 2


def test_a_follow_past_redis_that_overtakes_a_block_leaves_no_edge(
    house: House, ann: Person
) -> None:
    past = PastRedis(house)
    past.actions.follow(ann.id, house.alice.id, Wish.ON)
    past.actions.block(house.alice.id, ann.id)
    house.run()

    assert edges(house) == []
    with pytest.raises(Rejected):
        past.actions.follow(ann.id, house.alice.id, Wish.ON)
    with pytest.raises(Rejected):
        past.actions.follow(house.alice.id, ann.id, Wish.ON)
    past.goes_back()
    assert counts(house, ann, house.alice) == [(0, 0), (0, 0)]


def test_a_block_made_while_redis_is_away_holds_when_it_is_back(house: House, ann: Person) -> None:
    post = house.alice.posts("Hello")
    assert ann.likes("Hello") == Standing(True, 1)
    past = PastRedis(house)

    past.actions.block(house.alice.id, ann.id)
    with pytest.raises(Rejected):
        past.actions.like(ann.id, post, Wish.ON)
    past.goes_back()

    with pytest.raises(Rejected):
        past.back.like(ann.id, post, Wish.ON)


def test_a_block_lifted_while_redis_is_away_is_lifted_when_it_is_back(
    house: House, ann: Person
) -> None:
    post = house.alice.posts("Hello")
    house.actions.block(house.alice.id, ann.id)
    past = PastRedis(house)

    past.actions.unblock(house.alice.id, ann.id)
    past.goes_back()

    assert past.back.like(ann.id, post, Wish.ON) == Standing(True, 1)


def test_a_block_cut_off_before_its_transaction_is_forgotten_by_redis(
    house: House, ann: Person, real_redis: redis.Redis
) -> None:
    house.alice.posts("Hello")
    ann.likes("Hello")
    cache = BlockCache(real_redis, house.engine)

    cache.begin(house.alice.id, ann.id, True)  # and the process dies

    with pytest.raises(Rejected):
        ann.likes("Hello")
    assert 0 < real_redis.pttl(f"follow:blocked:{house.alice.id}") <= 30_000
    real_redis.delete(f"follow:blocked:{house.alice.id}")  # its time is over
    assert ann.likes("Hello") == Standing(True, 1)


def test_blocks_read_before_a_change_are_not_kept_after_it(
    house: House, ann: Person, real_redis: redis.Redis
) -> None:
    cache = BlockCache(real_redis, house.engine)
    real_redis.delete(f"follow:blocked:{house.alice.id}")
    read = cache._fill
    seen: list[object] = []

    def slow(user_id: str, values: list[str]) -> None:
        house.actions.block(house.alice.id, ann.id)  # between the look at the table and the filling
        real_redis.delete(f"follow:blocked:{user_id}")
        seen.append(values)
        read(user_id, values)

    cache._fill = slow  # type: ignore[method-assign]
    cache.load(house.alice.id)

    assert seen
    assert not cache.is_loaded(house.alice.id)
    house.alice.posts("Hello")
    with pytest.raises(Rejected):
        ann.likes("Hello")


def test_blocks_read_during_a_change_are_read_again_soon(
    house: House, ann: Person, real_redis: redis.Redis
) -> None:
    cache = BlockCache(real_redis, house.engine)
    cache.begin(house.alice.id, ann.id, True)
    real_redis.delete(f"follow:blocked:{house.alice.id}")

    cache.load(house.alice.id)

    assert real_redis.exists(CHANGING)
    assert real_redis.pttl(f"follow:blocked:{house.alice.id}") > 0


def test_an_emptied_redis_reads_blocks_afresh(house: House, ann: Person) -> None:
    house.alice.posts("Hello")
    house.actions.block(house.alice.id, ann.id)
    empty_redis(house.redis)

    with pytest.raises(Rejected):
        ann.likes("Hello")


def test_what_both_did_before_leaves_the_others_list(house: House, ann: Person) -> None:
    house.alice.posts("Hello")
    ann.posts("Hi")
    ann.likes("Hello")
    house.alice.likes("Hi")
    house.run()
    assert (house.alice.badge, ann.badge) == (1, 1)

    house.actions.block(house.alice.id, ann.id)
    house.run()

    assert (house.alice.badge, ann.badge) == (0, 0)
    assert house.rows("select count(*) from active_likes") == [(2,)]
