"""What is accepted and not written yet is shown wherever it waits; once written, nowhere."""

import pytest

from app.stores.pending import Pending
from tests.house import NAMES, WINDOW_AND_JITTER, House
from tests.house import house as house
from tests.house import wired as wired

pytestmark = pytest.mark.service


@pytest.fixture
def pending(house: House) -> Pending:
    return Pending(house.redis, house.engine, house.wired.parts.ingress.shards)


def _places(pending: Pending, table: str) -> list[str]:
    return [row["where"] for row in pending.of(table, 50)]


def test_a_like_waits_in_the_ingress_then_in_its_window_then_nowhere(
    house: House, pending: Pending
) -> None:
    house.alice.posts("Hello")
    for fan in house.people(*NAMES[:5]):
        fan.likes("Hello")
    assert _places(pending, "likes") == ["ingress"] * 5

    house.run()
    rows = pending.of("likes", 50)
    assert [row["where"] for row in rows] == ["window"] * 2
    assert all(row["dueAt"] for row in rows)

    house.clock.forward(WINDOW_AND_JITTER)
    house.run()
    assert _places(pending, "likes") == []


def test_with_kafka_away_it_waits_in_the_fallback_queue(house: House, pending: Pending) -> None:
    house.alice.posts("Hello")
    (ann,) = house.people("Ann")
    house.kafka.away = True
    ann.likes("Hello")
    house.bridge.step()

    assert _places(pending, "likes") == ["fallback queue"]


def test_each_table_shows_its_own_with_the_columns_it_will_have(
    house: House, pending: Pending
) -> None:
    post = house.alice.posts("Hello")
    (ann,) = house.people("Ann")
    ann.follows(house.alice)
    ann.comments("Hello", "Nice one")

    (follow,) = pending.of("follows", 50)
    assert (follow["followerId"], follow["followingId"]) == (ann.id, house.alice.id)
    (comment,) = pending.of("comments", 50)
    assert (comment["postId"], comment["userId"]) == (post, ann.id)
    assert comment["content"] == "Nice one"
    assert pending.of("likes", 50) == []


def test_an_open_window_is_a_notification_to_be(house: House, pending: Pending) -> None:
    house.alice.posts("Hello")
    ann, ben = house.people("Ann", "Ben")
    ann.comments("Hello", "One")
    ben.comments("Hello", "Two")
    house.run()

    (row,) = pending.of("notification-history", 50)
    assert (row["userId"], row["type"], row["aggregatedCount"]) == (house.alice.id, "COMMENT", 2)


def test_no_more_than_asked_for_and_the_newest_first(house: House, pending: Pending) -> None:
    house.alice.posts("Hello")
    people = house.people(*NAMES)
    for fan in people:
        fan.likes("Hello")

    assert [row["userId"] for row in pending.of("likes", 2)] == [people[-1].id, people[-2].id]
