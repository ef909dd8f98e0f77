"""Quiet hours: in the list at once, and a ring for each row when they end."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from app.domain.ledger import Frame
from app.stores.marks import DELETED, READ, Mark, Marks
from tests.house import House, house, wired

__all__ = ["house", "wired"]
pytestmark = pytest.mark.service


def moment(house: House, *when: int) -> None:
    house.clock.seconds = datetime(*when, tzinfo=UTC).timestamp()  # type: ignore[misc]


def quiet(house: House, zone: str = "UTC", start: str = "22:00", end: str = "08:00") -> None:
    """Alice wants to hear nothing from `start` to `end` where she lives."""
    with house.engine.begin() as sql:
        sql.execute(
            text(
                "insert into notification_preferences "
                "(user_id, dnd_enabled, dnd_start_time, dnd_end_time, timezone) "
                "values (:alice, true, :start, :end, :zone)"
            ),
            {"alice": house.alice.id, "start": start, "end": end, "zone": zone},
        )


def rings(house: House) -> list[str]:
    """What rings now."""
    before = len(house.alice.toasts)
    house.held.ring_due()
    house.run()
    return house.alice.toasts[before:]


@pytest.fixture
def night(house: House) -> House:
    """Eleven in the evening; Alice sleeps, and two people like her post."""
    moment(house, 2026, 6, 1, 23, 0)
    quiet(house)
    house.alice.posts("Hello")
    for person in house.people("Ann", "Ben"):
        person.likes("Hello")
    house.run()
    return house


def test_what_comes_at_night_is_in_the_list_and_the_badge_and_does_not_ring(night: House) -> None:
    assert night.alice.toasts == []
    assert (len(night.alice.frames(Frame.UPDATED)), night.alice.badge) == (2, 1)


def test_at_the_end_of_the_night_it_rings_once_for_all(night: House) -> None:
    moment(night, 2026, 6, 2, 8, 0)

    assert rings(night) == ["Ben and 1 other liked your post"]
    assert night.alice.frames()[-1]["metadata"]["newCount"] == 2
    assert rings(night) == []


def test_a_minute_before_the_end_nothing_rings(night: House) -> None:
    moment(night, 2026, 6, 2, 7, 59)

    assert rings(night) == []


def test_all_rows_of_a_night_ring_in_one_burst_with_one_badge(night: House) -> None:
    night.people("Cem")[0].follows(night.alice)
    night.run()
    badges = len(night.push.told(night.alice.id, "unread_count"))
    moment(night, 2026, 6, 2, 8, 0)

    assert rings(night) == ["Ben and 1 other liked your post", "Cem started following you"]
    assert len(night.push.told(night.alice.id, "unread_count")) == badges + 1


@pytest.mark.parametrize("mark", [READ, DELETED], ids=["read", "deleted"])
def test_what_its_owner_dealt_with_at_night_does_not_ring(night: House, mark: Mark) -> None:
    [(row,)] = night.rows("select id::text from notifications")
    Marks(night.engine).mark(night.alice.id, row, mark)
    moment(night, 2026, 6, 2, 8, 0)

    assert rings(night) == []


def test_what_all_withdrew_at_night_does_not_ring(house: House) -> None:
    moment(house, 2026, 6, 1, 23, 0)
    quiet(house)
    house.alice.posts("Hello")
    (ann,) = house.people("Ann")
    ann.likes("Hello")
    house.run()
    ann.unlikes("Hello")
    house.run()
    moment(house, 2026, 6, 2, 8, 0)

    assert rings(house) == []


def test_who_leaves_at_night_what_rang_by_day_makes_nothing_ring(house: House) -> None:
    moment(house, 2026, 6, 1, 21, 0)
    quiet(house)
    house.alice.posts("Hello")
    ann, ben = house.people("Ann", "Ben")
    ann.likes("Hello")
    ben.likes("Hello")
    house.run()
    moment(house, 2026, 6, 1, 23, 0)
    ben.unlikes("Hello")
    house.run()
    moment(house, 2026, 6, 2, 8, 0)

    assert rings(house) == []


@pytest.mark.parametrize(
    ("evening", "before", "morning"),
    [
        pytest.param((2026, 3, 28, 22), (2026, 3, 29, 5, 59), (2026, 3, 29, 6), id="spring"),
        pytest.param((2026, 10, 24, 21), (2026, 10, 25, 6, 59), (2026, 10, 25, 7), id="autumn"),
    ],
)
def test_the_night_ends_at_eight_oclock_when_the_clocks_change(
    house: House, evening: tuple[int, ...], before: tuple[int, ...], morning: tuple[int, ...]
) -> None:
    quiet(house, "Europe/Berlin")
    moment(house, *evening)
    house.alice.posts("Hello")
    house.people("Ann")[0].likes("Hello")
    house.run()

    moment(house, *before)
    assert rings(house) == []
    moment(house, *morning)
    assert rings(house) == ["Ann liked your post"]
