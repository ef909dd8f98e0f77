"""Events sent by other servers (OTP, security alerts, ...): POST /api/events and /api/events/trigger with
a service key in X-Api-Key.
"""

from dataclasses import replace
from uuid import UUID

from flask import Blueprint, Response, request

from app.accounts.service_keys import ServiceKeys
from app.domain.errors import Poisoned, Rejected
from app.domain.event_codec import event_from_wire
from app.domain.events import Event
from app.persistence.fan_outs import MANY_RECIPIENTS
from app.trace_context import get_or_create_traceparent
from blueprints.http.idempotency import IdempotentRequests
from blueprints.http.schemas import EventBody, parse_json_body
from blueprints.http.serializers import JsonObject
from blueprints.http.write_actions import WriteActions

MAX_SERVICE_KEY_LENGTH = 200
_EVENT_SCHEMA = EventBody()


def _accept_event(write_actions: WriteActions) -> tuple[JsonObject, int]:
    body = parse_json_body(_EVENT_SCHEMA)
    target_ids: list[UUID] | None = body.pop("targetIds", None)
    if target_ids is None:
        event = _parse_event(body, write_actions.new_id())
        write_actions.checked().publish_event(event)
    else:
        event = _parse_event(body | {"targetId": MANY_RECIPIENTS}, write_actions.new_id())
        write_actions.checked().publish_to_many(event, [str(target_id) for target_id in target_ids])
    return {
        "success": True,
        "status": "accepted",
        "message": "Event processing started",
        "eventId": event.event_id,
    }, 202


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


def blueprint(idempotent_requests: IdempotentRequests, service_keys: ServiceKeys) -> Blueprint:
    routes = Blueprint("events", __name__, url_prefix="/api/events")

    @routes.post("")
    @routes.post("/trigger")
    def post_event() -> Response:
        service_key = request.headers.get("X-Api-Key", "")
        _require_service_key(service_key)
        return idempotent_requests.run(service_key, _accept_event)

    def _require_service_key(service_key: str) -> None:
        if (
            not service_key
            or len(service_key) > MAX_SERVICE_KEY_LENGTH
            or not service_keys.is_valid(service_key)
        ):
            raise Rejected("A valid service key is required", "no_service_key", 401)

    return routes
