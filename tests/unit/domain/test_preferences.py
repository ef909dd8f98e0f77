"""Preferences: whether and by which channels a notification is sent."""

from datetime import UTC, datetime, time

import pytest

from app.domain.events import CRITICAL_KINDS, Kind
from app.domain.preferences import (
    Channel,
    NotificationPreferences,
    SendNow,
    Suppress,
    SuppressionReason,
    decide_delivery,
)

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
PUSH, EMAIL, SMS = Channel.PUSH, Channel.EMAIL, Channel.SMS
SWITCHED_OFF = NotificationPreferences(push=False, email=False, sms=False, activity=False, social=False)


@pytest.mark.parametrize(
    ("kind", "preferences", "decision"),
    [
        pytest.param(
            Kind.LIKE,
            NotificationPreferences(),
            SendNow((PUSH,)),
            id="a like is sent by default",
        ),
        pytest.param(
            Kind.MARKETING,
            NotificationPreferences(),
            Suppress(SuppressionReason.PREFERENCE),
            id="marketing off",
        ),
        pytest.param(
            Kind.DIGEST,
            NotificationPreferences(),
            Suppress(SuppressionReason.PREFERENCE),
            id="digest too",
        ),
        pytest.param(
            Kind.MARKETING,
            NotificationPreferences(marketing=True),
            SendNow((PUSH,)),
            id="marketing on",
        ),
        pytest.param(
            Kind.LIKE,
            NotificationPreferences(activity=False),
            Suppress(SuppressionReason.PREFERENCE),
            id="activity off",
        ),
        pytest.param(
            Kind.FOLLOW,
            NotificationPreferences(activity=False),
            SendNow((PUSH,)),
            id="a follow is social",
        ),
        pytest.param(
            Kind.FOLLOW,
            NotificationPreferences(social=False),
            Suppress(SuppressionReason.PREFERENCE),
            id="social off",
        ),
        pytest.param(
            Kind.LIKE,
            NotificationPreferences(push=False),
            Suppress(SuppressionReason.PREFERENCE),
            id="no channel left",
        ),
        pytest.param(
            Kind.LIKE,
            NotificationPreferences(channel_matrix={"LIKE": {"push": False}}),
            Suppress(SuppressionReason.PREFERENCE),
            id="the matrix switches one kind off",
        ),
        pytest.param(
            Kind.COMMENT,
            NotificationPreferences(channel_matrix={"LIKE": {"push": False}}),
            SendNow((PUSH,)),
            id="other kinds are unaffected",
        ),
        pytest.param(
            Kind.LIKE,
            NotificationPreferences(channel_matrix={"LIKE": {"email": True}}),
            SendNow((PUSH, EMAIL)),
            id="e-mail enabled in the matrix",
        ),
        pytest.param(
            Kind.LIKE,
            NotificationPreferences(email=False, channel_matrix={"LIKE": {"email": True}}),
            SendNow((PUSH,)),
            id="not when all e-mail is off",
        ),
        pytest.param(
            Kind.LIKE,
            NotificationPreferences(sms=True, channel_matrix={"LIKE": {"sms": True, "push": False}}),
            SendNow((SMS,)),
            id="SMS alone",
        ),
    ],
)
def test_switches_and_matrix_decide_the_channels(
    kind: Kind, preferences: NotificationPreferences, decision: object
) -> None:
    assert decide_delivery(kind, preferences, NOON) == decision


@pytest.mark.parametrize("kind", sorted(CRITICAL_KINDS))
@pytest.mark.parametrize(
    "preferences",
    [
        pytest.param(SWITCHED_OFF, id="everything off"),
        pytest.param(
            NotificationPreferences(
                quiet_hours_enabled=True, quiet_hours_start=time(0), quiet_hours_end=time(23, 59)
            ),
            id="quiet hours",
        ),
        pytest.param(
            NotificationPreferences(channel_matrix={kind.value: {"push": False} for kind in Kind}),
            id="matrix",
        ),
    ],
)
def test_critical_kinds_are_always_sent(kind: Kind, preferences: NotificationPreferences) -> None:
    assert decide_delivery(kind, preferences, NOON) == SendNow((PUSH, EMAIL, SMS))
