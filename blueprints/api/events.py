"""Events sent by other servers (OTP, security alerts, ...): POST /api/events and /api/events/trigger with
a service key in X-Api-Key.
"""

from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID

from flask import request
from marshmallow import ValidationError, fields, validate, validates_schema

from app.accounts.service_keys import ServiceKeys
from app.domain.errors import Poisoned, Rejected
from app.domain.event_codec import event_from_wire
from app.domain.events import FAN_OUT_KINDS, Event, Kind
from app.persistence.fan_outs import MANY_RECIPIENTS
from app.trace_context import get_or_create_traceparent
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.idempotency import IdempotentRequests
from blueprints.http.response_schemas import ResponseSchema
from blueprints.http.schemas import (
    MAX_CAPTION_LENGTH,
    MetadataField,
    RequestSchema,
    SingleLineField,
    TextField,
    ValidationFailed,
)
from blueprints.http.serializers import JsonObject
from blueprints.http.write_actions import WriteActions

MAX_SERVICE_KEY_LENGTH = 200
MAX_TARGET_COUNT = 10_000
"""Recipients of one event; about half of the largest request body."""


class EventBody(RequestSchema):
    required_message: ClassVar[str] = "Missing required fields"
    type = TextField(required=True, validate=validate.OneOf([kind.value for kind in Kind]))
    targetId = fields.UUID(allow_none=True, metadata={"description": "the recipient"})
    targetIds = fields.List(
        fields.UUID(),
        allow_none=True,
        validate=validate.Length(min=1, max=MAX_TARGET_COUNT),
        metadata={"description": f"in place of targetId, for {', '.join(sorted(FAN_OUT_KINDS))}"},
    )
    actorId = fields.UUID(allow_none=True)
    targetType = SingleLineField(allow_none=True, validate=validate.Length(max=20))
    targetEntityId = fields.UUID(allow_none=True)
    title = SingleLineField(allow_none=True, validate=validate.Length(max=200))
    message = TextField(allow_none=True, validate=validate.Length(max=MAX_CAPTION_LENGTH))
    metadata = MetadataField(keys=TextField(), allow_none=True)

    @validates_schema
    def validate_targets(self, data: dict[str, Any], **_: object) -> None:
        """One target, or a list of them for the kinds that a fan-out announces."""
        target_ids = data.get("targetIds")
        if data.get("targetId") is None and target_ids is None:
            raise ValidationFailed(self.required_message, {"targetId": ["Missing or empty"]})
        if data.get("targetId") is not None and target_ids is not None:
            raise ValidationError("Only one of targetId and targetIds is allowed", "targetIds")
        if target_ids is not None and data.get("type") not in FAN_OUT_KINDS:
            kinds = ", ".join(sorted(FAN_OUT_KINDS))
            raise ValidationError(f"targetIds is for the types {kinds}", "targetIds")


class AcceptedEventResponse(ResponseSchema):
    status = fields.String(validate=validate.OneOf(["accepted"]))
    message = fields.String()
    eventId = fields.UUID()


def _parse_event(payload: JsonObject, event_id: str) -> Event:
    """Applies the parser of the pipeline, so that no accepted event turns out to be invalid later."""
    wire_event: dict[str, object] = {
        "eventId": event_id,
        "seq": 1,
        "traceparent": get_or_create_traceparent(),
    }
    for name, value in payload.items():
        is_id = name in ("actorId", "targetId", "targetEntityId")
        wire_event[name] = str(value) if is_id and value is not None else value
    try:
        event = replace(event_from_wire(wire_event), seq=0)
    except Poisoned as error:
        raise Rejected(f"Missing required fields: {error}", "invalid", 400) from error
    if not event.is_metadata_within_size_limit:
        raise Rejected("metadata is too large", "invalid", 400)
    return event


def blueprint(idempotent_requests: IdempotentRequests, service_keys: ServiceKeys) -> ApiBlueprint:
    routes = ApiBlueprint("events", __name__, url_prefix="/api/events")

    def _require_service_key() -> str:
        service_key = request.headers.get("X-Api-Key", "")
        if (
            not service_key
            or len(service_key) > MAX_SERVICE_KEY_LENGTH
            or not service_keys.is_valid(service_key)
        ):
            raise Rejected("A valid service key is required", "no_service_key", 401)
        return service_key

    @routes.post("")
    @routes.post("/trigger")
    @requires(Authority.SERVICE, _require_service_key)
    @idempotent_requests.route
    @routes.arguments(EventBody)
    @routes.returns(AcceptedEventResponse, 202)
    def post_event(_: str, request_actions: WriteActions, body: JsonObject) -> tuple[JsonObject, int]:
        """Accept an event of another server."""
        target_ids: list[UUID] | None = body.pop("targetIds", None)
        if target_ids is None:
            event = _parse_event(body, request_actions.new_id())
            request_actions.checked().publish_event(event)
        else:
            event = _parse_event(body | {"targetId": MANY_RECIPIENTS}, request_actions.new_id())
            request_actions.checked().publish_to_many(event, [str(target_id) for target_id in target_ids])
        return {
            "success": True,
            "status": "accepted",
            "message": "Event processing started",
            "eventId": event.event_id,
        }, 202

    return routes
