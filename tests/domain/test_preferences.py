"""May it go, now, and by which channels?"""

from datetime import UTC, datetime, time

import pytest

from app.domain.events import CRITICAL_KINDS, Kind
from app.domain.preferences import (
    Channel,
    Filter,
    Preferences,
    Reason,
    Send,
    decide,
)

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
PUSH, EMAIL, SMS = Channel.PUSH, Channel.EMAIL, Channel.SMS
SWITCHED_OFF = Preferences(push=False, email=False, sms=False, activity=False, social=False)


@pytest.mark.parametrize(
    ("kind", "preferences", "decision"),
    [
        pytest.param(Kind.LIKE, Preferences(), Send((PUSH,)), id="a like rings unless told not to"),
        pytest.param(Kind.MARKETING, Preferences(), Filter(Reason.PREFERENCE), id="marketing off"),
        pytest.param(Kind.DIGEST, Preferences(), Filter(Reason.PREFERENCE), id="digest too"),
        pytest.param(Kind.MARKETING, Preferences(marketing=True), Send((PUSH,)), id="until asked"),
        pytest.param(
            Kind.LIKE, Preferences(activity=False), Filter(Reason.PREFERENCE), id="activity off"
        ),
        pytest.param(
            Kind.FOLLOW, Preferences(activity=False), Send((PUSH,)), id="a follow is social"
        ),
        pytest.param(
            Kind.FOLLOW, Preferences(social=False), Filter(Reason.PREFERENCE), id="social off"
        ),
        pytest.param(
            Kind.LIKE, Preferences(push=False), Filter(Reason.PREFERENCE), id="no channel is left"
        ),
        pytest.param(
            Kind.LIKE,
            Preferences(matrix={"LIKE": {"push": False}}),
            Filter(Reason.PREFERENCE),
            id="a cell switches one kind off",
        ),
        pytest.param(
            Kind.COMMENT,
            Preferences(matrix={"LIKE": {"push": False}}),
            Send((PUSH,)),
            id="and leaves the others",
        ),
        pytest.param(
            Kind.LIKE,
            Preferences(matrix={"LIKE": {"email": True}}),
            Send((PUSH, EMAIL)),
            id="e-mail where asked",
        ),
        pytest.param(
            Kind.LIKE,
            Preferences(email=False, matrix={"LIKE": {"email": True}}),
            Send((PUSH,)),
            id="not when all e-mail is off",
        ),
        pytest.param(
            Kind.LIKE,
            Preferences(sms=True, matrix={"LIKE": {"sms": True, "push": False}}),
            Send((SMS,)),
            id="SMS alone",
        ),
    ],
)
def test_switches(kind: Kind, preferences: Preferences, decision: object) -> None:
    assert decide(kind, preferences, NOON) == decision


@pytest.mark.parametrize("kind", CRITICAL_KINDS)
@pytest.mark.parametrize(
    "preferences",
    [
        pytest.param(SWITCHED_OFF, id="everything off"),
        pytest.param(
            Preferences(quiet=True, quiet_from=time(0), quiet_until=time(23, 59)), id="quiet hours"
        ),
        pytest.param(Preferences(matrix={one.value: {"push": False} for one in Kind}), id="matrix"),
    ],
)
def test_critical_kinds_pass_everything(kind: Kind, preferences: Preferences) -> None:
    assert decide(kind, preferences, NOON) == Send((PUSH, EMAIL, SMS))
