"""The books balance after an ordinary day; each kind of damage, done by hand, is found."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from drills.books import Books
from tests.house import WINDOW_AND_JITTER, House, house, wired

__all__ = ["house", "wired"]
pytestmark = pytest.mark.service
Damage = Callable[[House], object]


@pytest.fixture
def day(house: House) -> House:
    """Five like, one of them changes her mind, one comments, one follows; all is told."""
    house.alice.posts("Hello")
    crowd = house.people("Ann", "Ben", "Cem", "Dan", "Eve")
    for person in crowd:
        person.likes("Hello")
    crowd[0].comments("Hello", "Nice")
    crowd[1].follows(house.alice)
    house.run()
    crowd[2].unlikes("Hello")
    house.clock.forward(WINDOW_AND_JITTER)
    house.run()
    return house


def sql(statement: str) -> Damage:
    def damage(house: House) -> None:
        with house.engine.begin() as connection:
            assert connection.execute(text(statement)).rowcount

    damage.__name__ = statement
    return damage


def redis_counts_one_more(house: House) -> None:
    house.redis.incr(f"like:count:{house.posts['Hello']}")


def a_window_is_left(house: House) -> None:
    house.redis.zadd("windows:due", {"somebody:LIKE:something": 1})


def a_comment_stays_pending(house: House) -> None:
    house.redis.hset("comment:pending:some-post", "id", "text")


def an_entry_is_left(house: House) -> None:
    house.redis.xadd("ingress:0", {"type": "LIKE"})


def test_an_ordinary_day_balances(day: House) -> None:
    assert Books(day.engine, day.redis).faults() == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (sql("update outbox set published_at = null where id = 1"), "frames in the outbox"),
        (a_window_is_left, "windows"),
        (a_comment_stays_pending, "comment:pending"),
        (an_entry_is_left, "entries in the ingress"),
        (redis_counts_one_more, "Redis=5"),
        (sql("update posts set like_count = like_count + 1"), "counter=5"),
        (
            sql(
                "update likes set active = false where (post_id, user_id) = "
                "(select post_id, user_id from likes where active limit 1)"
            ),
            "LIKE: missing set() extra",
        ),
        (
            sql("delete from notification_actors where event_id is not null and active"),
            "LIKE: missing",
        ),
        (sql("update notifications set actor_count = actor_count + 1"), "count"),
        (sql("update notifications set owed_count = 1 where type = 'LIKE'"), "owed 1"),
        (sql("delete from outbox where frame = 'notification' and id = 1"), "rang"),
        (sql("update notification_actors set announced = false"), "never told"),
        (sql("delete from outbox where seq = 2"), "frames of"),
        (sql("update users set frame_seq = frame_seq + 1 where frame_seq > 0"), "counter"),
        (sql("update notifications set version = version + 1"), "told"),
        (sql("update notifications set is_read = true"), "badge of"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.__name__[:40],
)
def test_damage_is_found(day: House, damage: Damage, words: str) -> None:
    damage(day)

    assert any(words in one for one in Books(day.engine, day.redis).faults())
