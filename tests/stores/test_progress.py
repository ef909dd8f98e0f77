"""Watching events pass: the same word at each stop that the stop's own books have."""

import pytest

from app.domain.events import Event, Kind
from app.stores.memberships import Wish
from app.stores.progress import Progress, Watch
from app.stores.traces import Traces
from app.wiring import new_id
from tests.house import NAMES, WINDOW_AND_JITTER, House
from tests.house import house as house
from tests.house import wired as wired

pytestmark = pytest.mark.service


@pytest.fixture
def watch(house: House) -> Watch:
    return Watch(house.redis, house.engine)


def _like(house: House, count: int) -> list[str]:
    """Ids of the events of so many likes."""
    ids: list[str] = []

    def draw() -> str:
        ids.append(new_id())
        return ids[-1]

    acting = house.actions.naming(draw)
    for fan in house.people(*NAMES[:count]):
        acting.like(fan.id, house.posts["Hello"], Wish.ON)
    return ids


def _stands(found: list[Progress]) -> list[str]:
    return [one.stand.value for one in found]


def test_five_likes_go_from_accepted_to_announced(house: House, watch: Watch) -> None:
    house.alice.posts("Hello")
    events = _like(house, 5)
    assert _stands(watch.of(events)) == ["accepted"] * 5

    house.bridge.step()
    assert _stands(watch.of(events)) == ["published"] * 5

    house.run()
    found = watch.of(events)
    assert _stands(found) == ["announced"] * 3 + ["held"] * 2
    assert [one.due_at is not None for one in found] == [False] * 3 + [True] * 2
    assert [one.shown()["instant"] for one in found] == [True] * 3 + [False] * 2

    house.clock.forward(WINDOW_AND_JITTER)
    house.run()
    found = watch.of(events)
    assert _stands(found) == ["announced"] * 5
    steps = [step["name"] for step in found[4].shown()["steps"]]
    assert set(steps) >= {"accepted", "published", "aggregated", "written", "closed", "emitted"}


def test_with_kafka_away_they_wait_in_the_queue(house: House, watch: Watch) -> None:
    house.alice.posts("Hello")
    house.kafka.away = True
    events = _like(house, 1)
    house.bridge.step()

    assert _stands(watch.of(events)) == ["queued"]


def test_ones_own_doing_ends_without_a_word(house: House, watch: Watch) -> None:
    house.alice.posts("Hello")
    ids: list[str] = []
    house.actions.naming(lambda: ids.append(new_id()) or ids[-1]).like(
        house.alice.id, house.posts["Hello"], Wish.ON
    )
    house.run()

    (found,) = watch.of(ids)
    assert (found.stand.value, found.shown()["outcome"]) == ("ended", "self")


def test_the_newest_are_listed_without_the_frames(house: House, watch: Watch) -> None:
    house.alice.posts("Hello")
    events = _like(house, 3)
    house.run()

    assert {one.event_id for one in watch.newest(10)} == set(events)
    assert len(watch.newest(2)) == 2


def test_a_code_is_announced_like_anything_else(house: House, watch: Watch) -> None:
    """Its row stands alone: it has no actors, and its time is the ledger's."""
    event = Event(new_id(), Kind.OTP, house.alice.id, message="Your code is 123456.")
    house.actions.raise_event(event)
    house.run()

    assert _stands(watch.of([event.event_id])) == ["announced"]
    steps = [step["name"] for step in Traces(house.redis, house.engine).of(event.event_id)]
    assert {"written", "announced", "emitted"} <= set(steps)
