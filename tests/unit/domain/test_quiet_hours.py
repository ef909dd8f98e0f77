"""Quiet hours: local times in the time zone of the user, over midnight and clock changes."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import Kind
from app.domain.preferences import (
    Channel,
    NotificationPreferences,
    SendAfterQuietHours,
    Suppress,
    current_quiet_hours_end,
    decide_delivery,
    selectable_time_zones,
)

PUSH = Channel.PUSH
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])


def utc_time(zone: str, year: int, month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone)).astimezone(UTC)


NIGHT = NotificationPreferences(
    quiet_hours_enabled=True,
    quiet_hours_start=time(22),
    quiet_hours_end=time(8),
    timezone="Europe/Berlin",
)
LUNCH = NotificationPreferences(
    quiet_hours_enabled=True,
    quiet_hours_start=time(12),
    quiet_hours_end=time(13),
    timezone="Europe/Berlin",
)
NEW_YORK = NotificationPreferences(
    quiet_hours_enabled=True,
    quiet_hours_start=time(22),
    quiet_hours_end=time(8),
    timezone="America/New_York",
)
BERLIN, NEW_YORK_ZONE = "Europe/Berlin", "America/New_York"


@pytest.mark.parametrize(
    ("preferences", "now", "quiet_end"),
    [
        pytest.param(NIGHT, utc_time(BERLIN, 2026, 6, 1, 21, 59), None, id="a minute before"),
        pytest.param(
            NIGHT, utc_time(BERLIN, 2026, 6, 1, 22), utc_time(BERLIN, 2026, 6, 2, 8), id="from the minute on"
        ),
        pytest.param(
            NIGHT, utc_time(BERLIN, 2026, 6, 1, 23, 59), utc_time(BERLIN, 2026, 6, 2, 8), id="before midnight"
        ),
        pytest.param(
            NIGHT, utc_time(BERLIN, 2026, 6, 2, 0, 1), utc_time(BERLIN, 2026, 6, 2, 8), id="after midnight"
        ),
        pytest.param(NIGHT, utc_time(BERLIN, 2026, 6, 2, 8), None, id="the end is exclusive"),
        pytest.param(
            LUNCH, utc_time(BERLIN, 2026, 6, 1, 12, 30), utc_time(BERLIN, 2026, 6, 1, 13), id="within a day"
        ),
        pytest.param(LUNCH, utc_time(BERLIN, 2026, 6, 1, 13), None, id="after lunch"),
        pytest.param(
            NIGHT,
            utc_time(BERLIN, 2026, 3, 28, 23),
            datetime(2026, 3, 29, 6, tzinfo=UTC),
            id="Berlin, the night an hour is missing",
        ),
        pytest.param(
            NIGHT,
            utc_time(BERLIN, 2026, 10, 24, 23),
            datetime(2026, 10, 25, 7, tzinfo=UTC),
            id="Berlin, the night with an hour more",
        ),
        pytest.param(
            NEW_YORK,
            utc_time(NEW_YORK_ZONE, 2026, 3, 7, 23),
            datetime(2026, 3, 8, 12, tzinfo=UTC),
            id="New York, the night an hour is missing",
        ),
        pytest.param(
            NEW_YORK,
            utc_time(NEW_YORK_ZONE, 2026, 10, 31, 23),
            datetime(2026, 11, 1, 13, tzinfo=UTC),
            id="New York, the night with an hour more",
        ),
    ],
)
def test_end_of_quiet_hours(
    preferences: NotificationPreferences, now: datetime, quiet_end: datetime | None
) -> None:
    assert current_quiet_hours_end(preferences, now) == quiet_end


@pytest.mark.parametrize(
    "preferences",
    [
        pytest.param(
            NotificationPreferences(quiet_hours_start=time(0), quiet_hours_end=time(23, 59)),
            id="disabled",
        ),
        pytest.param(
            NotificationPreferences(
                quiet_hours_enabled=True, quiet_hours_start=time(9), quiet_hours_end=time(9)
            ),
            id="equal ends",
        ),
        pytest.param(
            NotificationPreferences(quiet_hours_enabled=True, quiet_hours_start=None),
            id="no start",
        ),
        pytest.param(NotificationPreferences(quiet_hours_enabled=True, quiet_hours_end=None), id="no end"),
        pytest.param(
            NotificationPreferences(quiet_hours_enabled=True, quiet_hours_start=None, quiet_hours_end=None),
            id="neither",
        ),
    ],
)
def test_incomplete_or_disabled_quiet_hours_never_apply(preferences: NotificationPreferences) -> None:
    times = [datetime(2026, 6, 1, hour, tzinfo=UTC) for hour in range(24)]

    assert not any(current_quiet_hours_end(preferences, now) for now in times)


def test_unknown_time_zone_is_utc() -> None:
    preferences = NotificationPreferences(quiet_hours_enabled=True, timezone="Mars/Olympus")

    quiet_end = current_quiet_hours_end(preferences, datetime(2026, 6, 1, 23, tzinfo=UTC))

    assert quiet_end == datetime(2026, 6, 2, 8, tzinfo=UTC)


def test_time_zones_offered_are_named_after_places() -> None:
    assert {"UTC", BERLIN, NEW_YORK_ZONE, "Asia/Kathmandu"} <= selectable_time_zones()
    assert not {"localtime", "Factory", "posixrules"} & selectable_time_zones()
    assert not [name for name in selectable_time_zones() if name.startswith(("posix/", "right/"))]


def test_notification_in_quiet_hours_is_deferred_until_their_end() -> None:
    night = utc_time(BERLIN, 2026, 6, 1, 23)

    assert decide_delivery(Kind.LIKE, NIGHT, night) == SendAfterQuietHours(
        (PUSH,), utc_time(BERLIN, 2026, 6, 2, 8)
    )


def test_disabled_notification_is_not_deferred() -> None:
    night = utc_time(BERLIN, 2026, 6, 1, 23)

    assert isinstance(decide_delivery(Kind.MARKETING, NIGHT, night), Suppress)


@given(st.times(), st.times(), ZONES, st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)))
def test_quiet_hours_end_in_the_future_and_are_over_then(
    start: time, end: time, zone: str, moment: datetime
) -> None:
    preferences = NotificationPreferences(
        quiet_hours_enabled=True, quiet_hours_start=start, quiet_hours_end=end, timezone=zone
    )
    now = moment.replace(tzinfo=UTC)

    quiet_end = current_quiet_hours_end(preferences, now)

    assert quiet_end is None or quiet_end > now


def test_quiet_hours_end_at_the_second_ambiguous_time_once_the_first_is_over() -> None:
    """When the clocks go back, 02:30 comes twice; at the second 02:15 the first one is over."""
    preferences = NotificationPreferences(
        quiet_hours_enabled=True,
        quiet_hours_start=time(22),
        quiet_hours_end=time(2, 30),
        timezone=BERLIN,
    )
    second_quarter_past_two = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)

    quiet_end = current_quiet_hours_end(preferences, second_quarter_past_two)

    assert quiet_end == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
