"""Preferences: switches, the matrix of type and channel, quiet hours.

In    GET, PUT, PATCH /api/preferences/:userId
Out   stores/preferences.py
"""

import re
from datetime import time
from typing import Any

from flask import Blueprint
from marshmallow import ValidationError, fields

from app.domain.events import CRITICAL_KINDS, Kind
from app.domain.preferences import time_zones
from app.domain.text import truncate
from app.stores.preferences import Kept, PreferenceStore
from blueprints import parts
from blueprints.identity import owner
from blueprints.schemas import Body, Text, body
from blueprints.views import Json

blueprint = Blueprint("preferences", __name__, url_prefix="/api/preferences")
NOT_YOURS = "Cannot access another user's preferences"
NOT_YOURS_TO_CHANGE = "Cannot update another user's preferences"
CHANNELS = ("push", "email", "sms")
KINDS = tuple(kind for kind in Kind if kind is not Kind.POST_UPDATED)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::[0-5][0-9])?", re.ASCII)


class Switch(fields.Boolean):
    """True or false, and not what merely looks like it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false")
        return value


class ClockTime(fields.Field[time]):
    """A time of day as HH:MM; null: emptied."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> time:
        found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise ValidationError("Must be a time of day such as 22:00")
        return time(int(found[1]), int(found[2]))


class Matrix(fields.Field[dict[str, dict[str, bool]]]):
    """{type: {push, email, sms}}, any part of it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError("Must be an object of types")
        for kind, cells in value.items():
            if kind not in KINDS:
                raise ValidationError(f"Must name known types, not {truncate(str(kind), 40)}")
            if not isinstance(cells, dict):
                raise ValidationError(f"Must be an object of channels for {kind}")
            for channel, on in cells.items():
                if channel not in CHANNELS:
                    raise ValidationError(
                        f"Must name known channels, not {truncate(str(channel), 40)}"
                    )
                if not isinstance(on, bool):
                    raise ValidationError(f"Must be true or false for {kind} by {channel}")
        return value


def _zone(value: str) -> None:
    if value not in time_zones():
        raise ValidationError("Must be a time zone such as Europe/Berlin")


class PreferencesBody(Body):
    emailEnabled = Switch()
    smsEnabled = Switch()
    pushEnabled = Switch()
    marketing = Switch()
    activity = Switch()
    social = Switch()
    dndEnabled = Switch()
    dndStartTime = ClockTime(allow_none=True)
    dndEndTime = ClockTime(allow_none=True)
    timezone = Text(validate=_zone)
    matrix = Matrix()


_BODY = PreferencesBody()


@blueprint.get("/<user_id>")
def mine(user_id: str) -> Json:
    asking = owner(user_id, NOT_YOURS)
    return _answer(asking, _store().of(asking))


@blueprint.put("/<user_id>")
def replace(user_id: str) -> Json:
    asking = owner(user_id, NOT_YOURS_TO_CHANGE)
    return _answer(asking, _store().replace(asking, body(_BODY)))


@blueprint.patch("/<user_id>")
def merge(user_id: str) -> Json:
    asking = owner(user_id, NOT_YOURS_TO_CHANGE)
    return _answer(asking, _store().merge(asking, body(_BODY)))


def _store() -> PreferenceStore:
    return PreferenceStore(parts().engine, parts().clock)


def _answer(user_id: str, kept: Kept) -> Json:
    return {"success": True, "preferences": shown(user_id, kept)}


def shown(user_id: str, kept: Kept) -> Json:
    """The seed's fields in the seed's order, then the zone and every cell as it holds."""
    found: Json = {"id": user_id, "userId": user_id}
    for name, value in kept.values.items():
        found[name] = value.strftime("%H:%M") if isinstance(value, time) else value
    return found | {"matrix": _cells(kept.values["matrix"])}


def _cells(chosen: dict[str, dict[str, bool]]) -> Json:
    """Critical kinds pass by every channel, whatever their cells say (domain/preferences.py)."""
    rows: Json = {}
    for kind in KINDS:
        given = chosen.get(kind.value, {})
        critical = kind in CRITICAL_KINDS
        rows[kind.value] = {name: critical or given.get(name, name == "push") for name in CHANNELS}
    return rows
