"""Follows between their acceptance and their rows: listed once, in one place, then forgotten."""

import pytest

from app.actions import Wish
from app.domain.routing import Topic
from app.stores.follows import Follows, Part, Tie
from app.stores.posts import Posts
from tests.house import House, Lanes, Person
from tests.workers.past_redis import PastRedis
from tests.workers.test_aggregator import dies_at

pytestmark = pytest.mark.service


def following(house: House, person: Person) -> list[Tie]:
    pending = house.pending_follows.following(person.id)
    return Follows(house.engine).people("following", person.id, Part(10), pending)


def seconds(ties: list[Tie]) -> list[tuple[str, str]]:
    return [(tie.person.id, tie.since.isoformat(timespec="milliseconds")) for tie in ties]


def test_a_follow_keeps_its_place_when_its_row_is_written(house: House) -> None:
    ann, ben, cem = house.people("Ann", "Ben", "Cem")
    ann.follows(ben)
    ann.follows(cem)
    before = following(house, ann)

    house.run()

    assert [tie.person.id for tie in before] == [cem.id, ben.id]
    assert seconds(following(house, ann)) == seconds(before)
    assert house.redis.keys("follow:pending:*") == []


def test_a_follow_again_is_the_newest_before_and_after_its_row_is_written(house: House) -> None:
    ann, ben, cem = house.people("Ann", "Ben", "Cem")
    ann.follows(ben)
    ann.follows(cem)
    house.run()
    ann.unfollows(ben)
    house.run()
    ann.follows(ben)
    before = following(house, ann)

    house.run()

    assert [tie.person.id for tie in before] == [ben.id, cem.id]
    assert seconds(following(house, ann)) == seconds(before)


def test_an_unfollow_after_the_batch_was_read_stays_pending(house: House) -> None:
    (ann,) = house.people("Ann")
    ann.follows(house.alice)
    house.bridge.step()
    ann.unfollows(house.alice)

    house.aggregator.step()

    assert following(house, ann) == []
    assert house.redis.hlen(f"follow:pending:{ann.id}") == 1
    house.run()
    assert following(house, ann) == []
    assert house.redis.keys("follow:pending:*") == []


def test_an_aggregator_that_dies_before_it_forgets_leaves_nothing_pending(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ann,) = house.people("Ann")
    ann.follows(house.alice)
    house.bridge.step()
    with monkeypatch.context() as patch:
        patch.setattr("workers.aggregator.reach", dies_at("aggregator.written"))
        with pytest.raises(SystemExit):
            house.aggregator.step()
    house.aggregator.lanes[Topic.HIGH]._subscriber.close()
    assert house.redis.hlen(f"follow:pending:{ann.id}") == 1

    house.aggregator = Lanes(house)
    house.run()

    assert house.redis.keys("follow:pending:*") == []
    assert [tie.person.id for tie in following(house, ann)] == [house.alice.id]


def test_a_follow_past_redis_is_listed_before_it_is_written(house: House) -> None:
    past = PastRedis(house)
    ann, ben = house.people("Ann", "Ben")
    past.actions.follow(ann.id, ben.id, Wish.ON)

    assert [tie.person.id for tie in following(house, ann)] == [ben.id]
    past.actions.follow(ann.id, ben.id, Wish.OFF)
    assert following(house, ann) == []


def test_a_like_past_redis_is_listed_before_it_is_written(house: House) -> None:
    past, post = PastRedis(house), house.alice.posts("Hello")
    (ann,) = house.people("Ann")
    past.actions.like(ann.id, post, Wish.ON)

    assert Posts(house.engine).likers(post, 10, None) == [ann.id]
    past.actions.like(ann.id, post, Wish.OFF)
    assert Posts(house.engine).likers(post, 10, None) == []
