"""The flusher: a claimed window is written and told once, whoever dies or dawdles."""

from dataclasses import replace

import pytest
import redis
from sqlalchemy import Engine

from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.wiring import WorkerParts
from drills.books import Books
from tests.house import LEASE_SECONDS, NAMES, RULES, WINDOW_AND_JITTER, House
from tests.inbox import announced

pytestmark = pytest.mark.service


def gathered(house: House, *names: str) -> None:
    """Everybody likes; those after the third wait in a window that has just fallen due."""
    house.alice.posts("Hello")
    for person in house.people(*names):
        person.likes("Hello")
    house.bridge.step()
    house.aggregator.step()
    house.clock.forward(WINDOW_AND_JITTER)


def likes_in_table(house: House) -> int:
    return int(house.rows("select count(*) from active_likes")[0][0])


def lines(house: House) -> list[str]:
    return [frame["message"] for frame in announced(house.engine)]


def _away(*_: object) -> None:
    raise Unavailable("away, says the test")


def _is_refused(monkeypatch: pytest.MonkeyPatch, house: House) -> None:
    """The flusher claims, and PostgreSQL does not take it."""
    with monkeypatch.context() as patch:
        patch.setattr(house.engine.pool, "connect", _away)
        with pytest.raises(Unavailable):
            house.flusher.step()


def test_a_claim_that_postgres_did_not_take_is_kept_and_written_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered(house, *NAMES[:5])

    _is_refused(monkeypatch, house)
    assert likes_in_table(house) == 3

    assert house.flusher.step() == 1  # at once: it need not wait for its own lease
    assert likes_in_table(house) == 5


def test_a_claim_that_postgres_did_not_take_outlives_its_flusher(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered(house, *NAMES[:5])
    _is_refused(monkeypatch, house)

    house.flusher = house.new_flusher()  # the first one is killed
    house.clock.forward(LEASE_SECONDS)

    assert house.flusher.step() == 1
    assert likes_in_table(house) == 5


def test_two_flushers_never_hold_the_same_window(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered(house, *NAMES[:5])
    _is_refused(monkeypatch, house)

    assert house.new_flusher().step() == 0


def test_the_window_of_a_dead_flusher_is_taken_over_when_its_lease_ran_out(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered(house, *NAMES[:5])
    _dies_at(monkeypatch, "flusher.claimed", house)
    second = house.new_flusher()
    assert second.step() == 0

    house.clock.forward(LEASE_SECONDS)
    assert second.step() == 1
    assert lines(house)[3:] == ["Eve and 4 others liked your post"]


@pytest.mark.parametrize("point", ["flusher.claimed", "flusher.written", "flusher.settled"])
def test_a_flusher_that_dies_anywhere_tells_once(
    house: House, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    gathered(house, *NAMES[:5])
    _dies_at(monkeypatch, point, house)

    house.flusher = house.new_flusher()
    house.clock.forward(LEASE_SECONDS)
    house.run()
    house.clock.forward(LEASE_SECONDS)
    house.run()

    assert lines(house)[3:] == ["Eve and 4 others liked your post"]
    assert Books(house.engine, house.redis).faults() == []


def _dies_at(monkeypatch: pytest.MonkeyPatch, point: str, house: House) -> None:
    def reach(name: str) -> None:
        if name == point:
            raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("workers.flusher.reach", reach)
        with pytest.raises(SystemExit):
            house.flusher.step()


def test_many_windows_close_in_one_transaction(house: House) -> None:
    for caption in ("One", "Two", "Three"):
        house.alice.posts(caption)
    for person in house.people(*NAMES[:5]):
        for caption in ("One", "Two", "Three"):
            person.likes(caption)
    while house.bridge.step() + house.aggregator.step():
        pass
    house.clock.forward(WINDOW_AND_JITTER)

    assert house.flusher.step() == 3
    late = house.rows(
        "select distinct xmin::text from likes where user_id in "
        "(select id from users where name in ('Dan', 'Eve'))"
    )
    assert len(late) == 1


def test_an_unlike_before_the_end_is_never_mentioned(house: House) -> None:
    house.alice.posts("Hello")
    everybody = house.people(*NAMES[:5])
    for person in everybody:
        person.likes("Hello")
    house.run()
    everybody[4].unlikes("Hello")
    everybody[3].unlikes("Hello")
    house.closes()

    assert len(house.alice.toasts) == 3
    assert likes_in_table(house) == 3


def test_the_rows_of_a_full_window_are_told_even_if_their_flusher_died_before_its_end(
    wired: WorkerParts,
    engine: Engine,
    real_redis: "redis.Redis",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.bridge.WAIT_SECONDS", 0.001)
    house = House(wired, replace(RULES, flush_max_rows=2))
    house.alice.posts("Hello")
    everybody = house.people(*NAMES[:6])
    for person in everybody[:4]:
        person.likes("Hello")
    house.run()
    house.clock.forward(RULES.window_seconds - 10)
    everybody[4].likes("Hello")  # the second of a page: it is written early
    house.bridge.step()
    house.aggregator.step()
    _dies_at(monkeypatch, "flusher.claimed", house)
    everybody[5].likes("Hello")
    house.bridge.step()
    house.aggregator.step()

    house.flusher = house.new_flusher()
    house.clock.forward(15)  # the window ends, while the page is still leased to the dead one
    house.run()
    house.clock.forward(LEASE_SECONDS)
    house.closes()

    assert Books(house.engine, house.redis).faults() == []
    assert sum(frame["metadata"]["newCount"] for frame in house.alice.frames()) == 6


def test_the_lanes_may_overtake_each_other(house: House) -> None:
    """A like by a follower goes HIGH; the unlike of somebody who unfollowed meanwhile goes LOW."""
    house.alice.posts("Hello")
    (ann,) = house.people("Ann")
    ann.follows(house.alice)
    house.run()
    ann.likes("Hello")
    ann.unfollows(house.alice)
    ann.unlikes("Hello")
    while house.bridge.step():
        pass

    house.aggregator.lanes[Topic.LOW].step()
    house.aggregator.lanes[Topic.HIGH].step()
    house.run()

    assert likes_in_table(house) == 0
    assert "Ann liked your post" not in lines(house)
