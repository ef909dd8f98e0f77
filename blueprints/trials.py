"""Trying things out: one real event to oneself, and how far events have come. Testing mode only.

In    POST /api/test/demo, GET /api/test/progress?events=...
Out   app/actions.py as any other person would; stores/progress.py
"""

from collections.abc import Callable

from flask import Blueprint, request

from app.actions import Actions, Wish
from app.domain.errors import Rejected, Unavailable
from app.domain.events import Event, Kind
from app.stores.posts import Posts, Slice
from app.stores.progress import Watch
from app.wiring import new_id
from blueprints import actions, parts
from blueprints.identity import person, uuid_of
from blueprints.posts import publish
from blueprints.schemas import DemoBody, body
from blueprints.simulate import event_of, simulated
from blueprints.views import Json

blueprint = Blueprint("trials", __name__, url_prefix="/api/test")
MOST = 50
CAPTION = "A post to try things on"
CODE = "Your code is 123456. It opens nothing: this is a demonstration."
_DEMO = DemoBody()


@blueprint.post("/demo")
def demo() -> Json:
    """Somebody likes, comments, follows; or a code is sent: to who asks."""
    asking = person()
    kind = str(body(_DEMO)["type"])
    event_id = _code(asking) if kind == "otp" else event_of(_doing(kind, asking))
    if event_id is None:
        raise Unavailable("The event was not taken", "busy")
    return {"success": True, "type": kind, "eventId": event_id}


def _doing(kind: str, asking: str) -> Callable[[Actions], object]:
    (somebody,) = simulated(1)
    if kind == "follow":
        return lambda acting: acting.follow(somebody.id, asking, Wish.ON)
    post = _post_of(asking)
    if kind == "comment":
        return lambda acting: acting.comment(somebody.id, post, "What a fine pipeline!")
    return lambda acting: acting.like(somebody.id, post, Wish.ON)


def _post_of(asking: str) -> str:
    """The newest of theirs; who has none yet gets one."""
    found = Posts(parts().engine).newest(asking, Slice(1))
    return found[0].id if found else publish(asking, CAPTION, None)


def _code(asking: str) -> str:
    event = Event(new_id(), Kind.OTP, asking, message=CODE)
    actions().raise_event(event)
    return event.event_id


@blueprint.get("/progress")
def progress() -> Json:
    """Of events whose ids the simulator answered: how far, and until when they wait."""
    person()
    wanted = list(dict.fromkeys(filter(None, request.args.get("events", "").split(","))))
    if not 0 < len(wanted) <= MOST:
        raise Rejected(f"events must be 1 to {MOST} ids", "out_of_range", 400)
    found = Watch(parts().redis, parts().engine).of([uuid_of(one) for one in wanted])
    return {"success": True, "events": [one.shown() for one in found]}
