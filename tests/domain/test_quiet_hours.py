"""Quiet hours: wall-clock times in the zone of the person, over midnight and clock changes."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import Kind
from app.domain.preferences import (
    Channel,
    Filter,
    Hold,
    Preferences,
    Send,
    decide,
    quiet_until,
    time_zones,
)

PUSH = Channel.PUSH
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])


def at(zone: str, year: int, month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone)).astimezone(UTC)


NIGHT = Preferences(quiet=True, quiet_from=time(22), quiet_until=time(8), timezone="Europe/Berlin")
LUNCH = Preferences(quiet=True, quiet_from=time(12), quiet_until=time(13), timezone="Europe/Berlin")
NEW_YORK = Preferences(
    quiet=True, quiet_from=time(22), quiet_until=time(8), timezone="America/New_York"
)
BERLIN, EAST = "Europe/Berlin", "America/New_York"


@pytest.mark.parametrize(
    ("preferences", "now", "until"),
    [
        pytest.param(NIGHT, at(BERLIN, 2026, 6, 1, 21, 59), None, id="a minute before"),
        pytest.param(
            NIGHT, at(BERLIN, 2026, 6, 1, 22), at(BERLIN, 2026, 6, 2, 8), id="from the minute on"
        ),
        pytest.param(
            NIGHT, at(BERLIN, 2026, 6, 1, 23, 59), at(BERLIN, 2026, 6, 2, 8), id="before midnight"
        ),
        pytest.param(
            NIGHT, at(BERLIN, 2026, 6, 2, 0, 1), at(BERLIN, 2026, 6, 2, 8), id="after midnight"
        ),
        pytest.param(NIGHT, at(BERLIN, 2026, 6, 2, 8), None, id="the end is out of it"),
        pytest.param(
            LUNCH, at(BERLIN, 2026, 6, 1, 12, 30), at(BERLIN, 2026, 6, 1, 13), id="within a day"
        ),
        pytest.param(LUNCH, at(BERLIN, 2026, 6, 1, 13), None, id="after lunch"),
        pytest.param(
            NIGHT,
            at(BERLIN, 2026, 3, 28, 23),
            datetime(2026, 3, 29, 6, tzinfo=UTC),
            id="Berlin, the night an hour is missing",
        ),
        pytest.param(
            NIGHT,
            at(BERLIN, 2026, 10, 24, 23),
            datetime(2026, 10, 25, 7, tzinfo=UTC),
            id="Berlin, the night with an hour more",
        ),
        pytest.param(
            NEW_YORK,
            at(EAST, 2026, 3, 7, 23),
            datetime(2026, 3, 8, 12, tzinfo=UTC),
            id="New York, the night an hour is missing",
        ),
        pytest.param(
            NEW_YORK,
            at(EAST, 2026, 10, 31, 23),
            datetime(2026, 11, 1, 13, tzinfo=UTC),
            id="New York, the night with an hour more",
        ),
    ],
)
def test_quiet_hours(preferences: Preferences, now: datetime, until: datetime | None) -> None:
    assert quiet_until(preferences, now) == until


@pytest.mark.parametrize(
    "preferences",
    [
        pytest.param(Preferences(quiet_from=time(0), quiet_until=time(23, 59)), id="not chosen"),
        pytest.param(
            Preferences(quiet=True, quiet_from=time(9), quiet_until=time(9)), id="equal ends"
        ),
        pytest.param(Preferences(quiet=True, quiet_from=None), id="no beginning"),
        pytest.param(Preferences(quiet=True, quiet_until=None), id="no end"),
        pytest.param(Preferences(quiet=True, quiet_from=None, quiet_until=None), id="emptied"),
    ],
)
def test_no_quiet_hours(preferences: Preferences) -> None:
    moments = [datetime(2026, 6, 1, hour, tzinfo=UTC) for hour in range(24)]

    assert not any(quiet_until(preferences, now) for now in moments)


def test_emptied_quiet_hours_hold_nothing() -> None:
    emptied = Preferences(quiet=True, quiet_from=None, quiet_until=None, timezone=BERLIN)

    assert decide(Kind.LIKE, emptied, at(BERLIN, 2026, 6, 1, 23)) == Send((PUSH,))


def test_a_zone_that_this_machine_does_not_know_is_utc() -> None:
    elsewhere = Preferences(quiet=True, timezone="Mars/Olympus")

    until = quiet_until(elsewhere, datetime(2026, 6, 1, 23, tzinfo=UTC))

    assert until == datetime(2026, 6, 2, 8, tzinfo=UTC)


def test_zones_to_choose_name_places() -> None:
    assert {"UTC", BERLIN, EAST, "Asia/Kathmandu"} <= time_zones()
    assert not {"localtime", "Factory", "posixrules"} & time_zones()
    assert not [name for name in time_zones() if name.startswith(("posix/", "right/"))]


def test_in_quiet_hours_it_is_held_until_they_end() -> None:
    night = at(BERLIN, 2026, 6, 1, 23)

    assert decide(Kind.LIKE, NIGHT, night) == Hold((PUSH,), at(BERLIN, 2026, 6, 2, 8))


def test_what_is_switched_off_is_not_held_either() -> None:
    night = at(BERLIN, 2026, 6, 1, 23)

    assert isinstance(decide(Kind.MARKETING, NIGHT, night), Filter)


@given(st.times(), st.times(), ZONES, st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)))
def test_quiet_hours_end_in_the_future_and_are_over_then(
    start: time, end: time, zone: str, moment: datetime
) -> None:
    preferences = Preferences(quiet=True, quiet_from=start, quiet_until=end, timezone=zone)
    now = moment.replace(tzinfo=UTC)

    until = quiet_until(preferences, now)

    assert until is None or until > now


def test_an_end_that_comes_twice_in_a_night_is_not_the_one_that_is_over() -> None:
    """When the clocks go back, 02:30 comes twice; at the second 02:15 the first one is over."""
    preferences = Preferences(
        quiet=True, quiet_from=time(22), quiet_until=time(2, 30), timezone=BERLIN
    )
    second_quarter_past_two = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)

    until = quiet_until(preferences, second_quarter_past_two)

    assert until == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
