"""Honest figures (P12): per stage in = out + held + failed, whatever is read twice."""

from collections import Counter

import pytest

from app.domain.routing import Topic
from app.stores.figures import Figures
from app.streams.kafka import Record
from tests.house import NAMES, WINDOW_AND_JITTER, House

pytestmark = pytest.mark.service
STAGES = ("bridge", "aggregator", "flusher", "relay", "deliverer")


def _figures(house: House) -> dict[str, dict[str, int]]:
    return Figures(house.redis).outcomes(STAGES)


def _eight_likes(house: House) -> None:
    house.alice.posts("Hello")
    for person in house.people(*NAMES):
        person.likes("Hello")


def test_each_stage_says_what_became_of_eight_likes(house: House) -> None:
    _eight_likes(house)
    house.run()
    assert _figures(house)["bridge"] == {"published": 8}
    assert _figures(house)["aggregator"] == {"delivered": 3, "gathered": 5}
    assert _figures(house)["flusher"] == {"in": 5}
    house.clock.forward(WINDOW_AND_JITTER)
    house.run()
    assert _figures(house)["flusher"] == {"in": 5, "delivered": 5}
    frames = house.rows("select count(*) from outbox")[0][0]
    assert _figures(house)["relay"] == {"published": frames}
    assert Counter(_figures(house)["deliverer"]).total() == frames


def test_a_like_taken_back_within_its_window_is_merged(house: House) -> None:
    _eight_likes(house)
    gus = house.people("Gus")[0]
    gus.likes("Hello")
    house.run()
    gus.unlikes("Hello")
    house.closes()
    flusher = _figures(house)["flusher"]
    assert flusher["in"] == sum(count for name, count in flusher.items() if name != "in")
    assert flusher["merged"] >= 1


def test_poison_is_failed_and_its_neighbours_are_not(house: House) -> None:
    house.kafka.append(Record(Topic.LOW.value, "x", b"not json"))
    _eight_likes(house)
    house.run()
    assert _figures(house)["aggregator"] == {"delivered": 3, "gathered": 5, "failed": 1}


def test_a_batch_read_twice_counts_once(house: House) -> None:
    _eight_likes(house)
    house.bridge.step()
    house.aggregator.step()
    once = _figures(house)["aggregator"]
    house.kafka.committed.clear()
    house.aggregator = type(house.aggregator)(house)
    house.kafka.members.clear()
    house.run()
    assert _figures(house)["aggregator"] == once


def test_what_goes_to_the_fallback_queue_is_spilled(house: House) -> None:
    house.kafka.away = True
    _eight_likes(house)
    house.bridge.step()
    assert _figures(house)["bridge"] == {"spilled": 8}
