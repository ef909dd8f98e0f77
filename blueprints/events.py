"""Events of other servers (OTP, security, ...): they hold a service key.

In    POST /api/events, /api/events/trigger; header X-Api-Key
Out   app/actions.py: raise_event
"""

from dataclasses import replace

from flask import Blueprint, Response, request

from app.domain.errors import Poisoned, Rejected
from app.domain.events import Event, from_wire
from app.stores.service_keys import ServiceKeys
from app.wiring import new_id
from blueprints import actions, drawn_id, parts
from blueprints.identity import traceparent
from blueprints.once import once
from blueprints.schemas import EventBody, body
from blueprints.views import Json

blueprint = Blueprint("events", __name__, url_prefix="/api/events")
MAX_KEY = 200
_EVENT = EventBody()


@blueprint.post("")
@blueprint.post("/trigger")
def trigger() -> Response:
    key = request.headers.get("X-Api-Key", "")
    _check_key(key)
    return once(key, _accept)


def _accept() -> tuple[Json, int]:
    event = _event(body(_EVENT))
    actions().raise_event(event)
    return {
        "success": True,
        "status": "accepted",
        "message": "Event processing started",
        "eventId": event.event_id,
    }, 202


def _check_key(key: str) -> None:
    if not key or len(key) > MAX_KEY or not ServiceKeys(parts().engine).knows(key):
        raise Rejected("A valid service key is required", "no_service_key", 401)


def _event(given: Json) -> Event:
    """The rules of events hold here too, so that nothing accepted turns out to be poison later."""
    wire: dict[str, object] = {
        "eventId": drawn_id(new_id),
        "seq": 1,
        "traceparent": traceparent(),
    }
    for name, value in given.items():
        is_id = name in ("actorId", "targetId", "targetEntityId")
        wire[name] = str(value) if is_id and value is not None else value
    try:
        event = replace(from_wire(wire), seq=0)
    except Poisoned as fault:
        raise Rejected(f"Missing required fields: {fault}", "invalid", 400) from fault
    if not event.fits:
        raise Rejected("metadata is too large", "invalid", 400)
    return event
