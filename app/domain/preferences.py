"""May it go, now, and by which channels? One pure answer, asked wherever that matters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from app.domain.events import CRITICAL_KINDS, Kind


class Channel(StrEnum):
    PUSH = "PUSH"
    EMAIL = "EMAIL"
    SMS = "SMS"


class Reason(StrEnum):
    """Why an actor's doing is not told (contract's coded outcomes)."""

    SELF = "self"
    MUTED = "muted"
    BLOCKED = "blocked"
    PREFERENCE = "preference"


NOT_ZONES = frozenset({"localtime", "Factory", "posixrules"})
"""Files of the time zone database that name no place: what they mean depends on the machine."""
_SOCIAL = frozenset({Kind.FOLLOW, Kind.BELL_POST, Kind.POST_SHARE})
_MARKETING = frozenset({Kind.MARKETING, Kind.DIGEST})


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a person chose. The defaults are the seed's (seed-notes 4.1)."""

    push: bool = True
    email: bool = True
    sms: bool = False
    activity: bool = True
    social: bool = True
    marketing: bool = False
    quiet: bool = False
    quiet_from: time | None = time(22, 0)
    quiet_until: time | None = time(8, 0)
    timezone: str = "UTC"
    matrix: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Send:
    channels: tuple[Channel, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """It enters the list at once and rings at `until`, the end of the quiet hours."""

    channels: tuple[Channel, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class Filter:
    reason: Reason


Decision = Send | Hold | Filter


def decide(kind: Kind, preferences: Preferences, now: datetime) -> Decision:
    """Critical kinds pass everything; else switches first, then quiet hours. `now` is aware."""
    if kind in CRITICAL_KINDS:
        return Send((Channel.PUSH, Channel.EMAIL, Channel.SMS))
    channels = _channels(kind, preferences)
    if not channels:
        return Filter(Reason.PREFERENCE)
    until = quiet_until(preferences, now)
    return Hold(channels, until) if until else Send(channels)


def category(kind: Kind) -> str:
    """The switch that covers a kind."""
    if kind in _MARKETING:
        return "marketing"
    return "social" if kind in _SOCIAL else "activity"


def _channels(kind: Kind, preferences: Preferences) -> tuple[Channel, ...]:
    """Push unless switched off; e-mail and SMS of social doings only where the matrix asks."""
    if not getattr(preferences, category(kind)):
        return ()
    cells = preferences.matrix.get(kind.value, {})
    wanted = {
        Channel.PUSH: preferences.push and cells.get("push", True),
        Channel.EMAIL: preferences.email and cells.get("email", False),
        Channel.SMS: preferences.sms and cells.get("sms", False),
    }
    return tuple(channel for channel, on in wanted.items() if on)


def quiet_until(preferences: Preferences, now: datetime) -> datetime | None:
    """The end of the quiet hours that hold now, in UTC; None outside of them.

    Wall-clock times in the person's zone, so a change to summer time moves the moment, not the
    hour. Equal ends mean no quiet hours (the seed took them for always, and dropped everything),
    and so does an end that was emptied.
    """
    start, end = preferences.quiet_from, preferences.quiet_until
    if not preferences.quiet or start is None or end is None or start == end:
        return None
    local = now.astimezone(zone(preferences.timezone))
    clock = local.time().replace(tzinfo=None)
    overnight = start > end
    inside = (clock >= start or clock < end) if overnight else (start <= clock < end)
    if not inside:
        return None
    day = local.date() + timedelta(days=1 if overnight and clock >= start else 0)
    ends = datetime.combine(day, end, local.tzinfo)
    until = ends.astimezone(UTC)
    # When the clocks go back an hour comes twice: once its first copy is over, the second is meant.
    return until if until > now else ends.replace(fold=1).astimezone(UTC)


@cache
def time_zones() -> frozenset[str]:
    """The names that a person may choose."""
    return frozenset(available_timezones()) - NOT_ZONES


def zone(name: str) -> tzinfo:
    """UTC for a name that this machine does not know: whatever was chosen elsewhere, news go on."""
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        return UTC
