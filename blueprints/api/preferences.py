"""Notification preferences: GET, PUT, PATCH /api/preferences/:userId.

General switches, a matrix of notification type and channel, and quiet hours.
"""

import re
from datetime import time
from typing import Any

from marshmallow import ValidationError, fields

from app.domain.events import CRITICAL_KINDS, Kind
from app.domain.preferences import selectable_time_zones
from app.domain.text import truncate_graphemes
from app.social.preferences import Preferences, PreferenceStore
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import requires_path_user
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import ObjectSchema, ResponseSchema
from blueprints.http.schemas import RequestSchema, TextField
from blueprints.http.serializers import JsonObject

READ_FORBIDDEN_MESSAGE = "Cannot access another user's preferences"
UPDATE_FORBIDDEN_MESSAGE = "Cannot update another user's preferences"
CHANNELS = ("push", "email", "sms")
CONFIGURABLE_KINDS = tuple(kind for kind in Kind if kind is not Kind.POST_UPDATED)
_TIME_OF_DAY_PATTERN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::[0-5][0-9])?", re.ASCII)


class StrictBooleanField(fields.Boolean):
    """True or false; marshmallow would also accept 1, "yes" and others."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false")
        return value


class TimeOfDayField(fields.Field[time]):
    """A time of day as HH:MM."""

    def openapi_schema(self) -> JsonObject:
        return {"type": ["string", "null"] if self.allow_none else "string", "description": "HH:MM"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> time:
        time_match = _TIME_OF_DAY_PATTERN.fullmatch(value) if isinstance(value, str) else None
        if time_match is None:
            raise ValidationError("Must be a time of day such as 22:00")
        return time(int(time_match[1]), int(time_match[2]))


class ChannelMatrixField(fields.Field[dict[str, dict[str, bool]]]):
    """{type: {push, email, sms}}; types and channels may be left out."""

    def openapi_schema(self) -> JsonObject:
        channels = {
            "type": "object",
            "properties": {channel: {"type": "boolean"} for channel in CHANNELS},
        }
        return {"type": "object", "properties": {kind.value: channels for kind in CONFIGURABLE_KINDS}}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError("Must be an object of types")
        for kind, channels in value.items():
            if kind not in CONFIGURABLE_KINDS:
                raise ValidationError(f"Must name known types, not {truncate_graphemes(str(kind), 40)}")
            if not isinstance(channels, dict):
                raise ValidationError(f"Must be an object of channels for {kind}")
            for channel, enabled in channels.items():
                if channel not in CHANNELS:
                    raise ValidationError(
                        f"Must name known channels, not {truncate_graphemes(str(channel), 40)}"
                    )
                if not isinstance(enabled, bool):
                    raise ValidationError(f"Must be true or false for {kind} by {channel}")
        return value


def _validate_time_zone(value: str) -> None:
    if value not in selectable_time_zones():
        raise ValidationError("Must be a time zone such as Europe/Berlin")


class PreferenceFields:
    """Of the body and of the response."""

    emailEnabled = StrictBooleanField()
    smsEnabled = StrictBooleanField()
    pushEnabled = StrictBooleanField()
    marketing = StrictBooleanField()
    activity = StrictBooleanField()
    social = StrictBooleanField()
    dndEnabled = StrictBooleanField()
    dndStartTime = TimeOfDayField(allow_none=True)
    dndEndTime = TimeOfDayField(allow_none=True)
    timezone = TextField(validate=_validate_time_zone, metadata={"example": "Europe/Berlin"})
    matrix = ChannelMatrixField(metadata={"description": "complete in a response"})


class PreferencesBody(PreferenceFields, RequestSchema):
    """Values that are missing keep theirs (PATCH) or get their defaults (PUT)."""


class PreferencesSchema(PreferenceFields, ObjectSchema):
    id = fields.UUID()
    userId = fields.UUID()


class PreferencesResponse(ResponseSchema):
    preferences = fields.Nested(PreferencesSchema)


def _preferences_response(user_id: str, preferences: Preferences) -> JsonObject:
    return {"success": True, "preferences": preferences_json(user_id, preferences)}


def preferences_json(user_id: str, preferences: Preferences) -> JsonObject:
    """The seed's fields in the seed's order, then the time zone and the complete matrix."""
    payload: JsonObject = {"id": user_id, "userId": user_id}
    for name, value in preferences.items():
        payload[name] = value.strftime("%H:%M") if isinstance(value, time) else value
    return payload | {"matrix": _channel_matrix(preferences["matrix"])}


def _channel_matrix(saved_matrix: dict[str, dict[str, bool]]) -> JsonObject:
    """The effective matrix. Critical kinds use every channel (domain/preferences.py)."""
    matrix: JsonObject = {}
    for kind in CONFIGURABLE_KINDS:
        saved_channels = saved_matrix.get(kind.value, {})
        is_critical = kind in CRITICAL_KINDS
        matrix[kind.value] = {
            channel: is_critical or saved_channels.get(channel, channel == "push") for channel in CHANNELS
        }
    return matrix


def blueprint(request_auth: RequestAuth, preference_store: PreferenceStore) -> ApiBlueprint:
    routes = ApiBlueprint("preferences", __name__, url_prefix="/api/preferences")

    @routes.get("/<user_id>")
    @requires_path_user(request_auth.require_self, READ_FORBIDDEN_MESSAGE)
    @routes.returns(PreferencesResponse, errors=(404,))
    def get_preferences(owner_id: str) -> JsonObject:
        """The notification preferences of a user."""
        return _preferences_response(owner_id, preference_store.get(owner_id))

    @routes.put("/<user_id>")
    @requires_path_user(request_auth.require_self, UPDATE_FORBIDDEN_MESSAGE)
    @routes.arguments(PreferencesBody)
    @routes.returns(PreferencesResponse, errors=(404,))
    def replace_preferences(owner_id: str, body: JsonObject) -> JsonObject:
        """Replace all preferences. Missing ones are reset to their defaults."""
        return _preferences_response(owner_id, preference_store.replace(owner_id, body))

    @routes.patch("/<user_id>")
    @requires_path_user(request_auth.require_self, UPDATE_FORBIDDEN_MESSAGE)
    @routes.arguments(PreferencesBody)
    @routes.returns(PreferencesResponse, errors=(404,))
    def update_preferences(owner_id: str, body: JsonObject) -> JsonObject:
        """Change the given preferences, and the given cells of `matrix`."""
        return _preferences_response(owner_id, preference_store.merge(owner_id, body))

    return routes
