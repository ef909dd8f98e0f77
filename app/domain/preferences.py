"""Decides by a recipient's preferences whether, when and by which channels a notification is sent."""

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


class SuppressionReason(StrEnum):
    """Why an event is not announced (outcome codes of the contract)."""

    SELF = "self"
    MUTED = "muted"
    BLOCKED = "blocked"
    PREFERENCE = "preference"


EXCLUDED_TIME_ZONES = frozenset({"localtime", "Factory", "posixrules"})
"""Entries of the time zone database that depend on the machine."""
_SOCIAL_KINDS = frozenset({Kind.FOLLOW, Kind.BELL_POST, Kind.POST_SHARE})
_MARKETING_KINDS = frozenset({Kind.MARKETING, Kind.DIGEST})


@dataclass(frozen=True, slots=True)
class NotificationPreferences:
    """The choices of a user. The defaults are the seed's."""

    push: bool = True
    email: bool = True
    sms: bool = False
    activity: bool = True
    social: bool = True
    marketing: bool = False
    quiet_hours_enabled: bool = False
    quiet_hours_start: time | None = time(22, 0)
    quiet_hours_end: time | None = time(8, 0)
    timezone: str = "UTC"
    channel_matrix: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SendNow:
    channels: tuple[Channel, ...]


@dataclass(frozen=True, slots=True)
class SendAfterQuietHours:
    """The notification is listed at once and announced at `deliver_at`, the end of the quiet hours."""

    channels: tuple[Channel, ...]
    deliver_at: datetime


@dataclass(frozen=True, slots=True)
class Suppress:
    reason: SuppressionReason


DeliveryDecision = SendNow | SendAfterQuietHours | Suppress


def decide_delivery(kind: Kind, preferences: NotificationPreferences, now: datetime) -> DeliveryDecision:
    """Critical kinds are always sent; else the switches decide, then quiet hours. `now` has a time zone."""
    if kind in CRITICAL_KINDS:
        return SendNow((Channel.PUSH, Channel.EMAIL, Channel.SMS))
    channels = _enabled_channels(kind, preferences)
    if not channels:
        return Suppress(SuppressionReason.PREFERENCE)
    quiet_end = current_quiet_hours_end(preferences, now)
    return SendAfterQuietHours(channels, quiet_end) if quiet_end else SendNow(channels)


def preference_category(kind: Kind) -> str:
    """The name of the switch that covers a kind."""
    if kind in _MARKETING_KINDS:
        return "marketing"
    return "social" if kind in _SOCIAL_KINDS else "activity"


def _enabled_channels(kind: Kind, preferences: NotificationPreferences) -> tuple[Channel, ...]:
    """Push unless switched off; e-mail and SMS only where the channel matrix enables them."""
    if not getattr(preferences, preference_category(kind)):
        return ()
    channel_switches = preferences.channel_matrix.get(kind.value, {})
    enabled_by_channel = {
        Channel.PUSH: preferences.push and channel_switches.get("push", True),
        Channel.EMAIL: preferences.email and channel_switches.get("email", False),
        Channel.SMS: preferences.sms and channel_switches.get("sms", False),
    }
    return tuple(channel for channel, is_enabled in enabled_by_channel.items() if is_enabled)


def current_quiet_hours_end(preferences: NotificationPreferences, now: datetime) -> datetime | None:
    """The end (UTC) of the current quiet hours; None outside of them.

    Start and end are local times in the user's time zone. If they are equal or one is missing, there are no
    quiet hours (in the seed, equal times meant always).
    """
    start, end = preferences.quiet_hours_start, preferences.quiet_hours_end
    if not preferences.quiet_hours_enabled or start is None or end is None or start == end:
        return None
    local_now = now.astimezone(time_zone_or_utc(preferences.timezone))
    local_time = local_now.time().replace(tzinfo=None)
    spans_midnight = start > end
    in_quiet_hours = (
        (local_time >= start or local_time < end) if spans_midnight else (start <= local_time < end)
    )
    if not in_quiet_hours:
        return None
    end_date = local_now.date() + timedelta(days=1 if spans_midnight and local_time >= start else 0)
    end_local = datetime.combine(end_date, end, local_now.tzinfo)
    end_utc = end_local.astimezone(UTC)
    # When the clocks go back, an hour comes twice: after the first occurrence, the second is the end.
    return end_utc if end_utc > now else end_local.replace(fold=1).astimezone(UTC)


@cache
def selectable_time_zones() -> frozenset[str]:
    """The names that a user may choose."""
    return frozenset(available_timezones()) - EXCLUDED_TIME_ZONES


def time_zone_or_utc(zone_name: str) -> tzinfo:
    """The zone, or UTC for a name that this machine does not have."""
    try:
        return ZoneInfo(zone_name)
    except ZoneInfoNotFoundError:
        return UTC
