"""The switches of the embedded services, to see the design work. Testing mode only.

In    GET /api/test/services, POST /api/test/services/:service {verb}
Out   app/switches.py

For everybody who is signed in, not for administrators alone: whoever stopped PostgreSQL must be
able to start it again, and then nobody can look up a role.
"""

from typing import cast

from flask import Blueprint, current_app

from app.switches import Switches, Verb
from blueprints import parts
from blueprints.identity import person
from blueprints.schemas import SwitchBody, body
from blueprints.views import Json

blueprint = Blueprint("switches", __name__, url_prefix="/api/test")
_BODY = SwitchBody()


@blueprint.get("/services")
def services() -> Json:
    person()
    found = _switches().states()
    return {"success": True, "services": {name: one.shown() for name, one in found.items()}}


@blueprint.post("/services/<service>")
def turn(service: str) -> tuple[Json, int]:
    person()
    verb = Verb(body(_BODY)["verb"])
    _switches().turn(service, verb)
    return {"success": True, "service": service, "doing": verb.value}, 202


def _switches() -> Switches:
    """Made when first asked: few web processes ever are."""
    known = current_app.extensions.get("switches")
    if known is None:
        settings = parts().settings
        known = Switches(settings.data_dir, settings.addresses.as_variables())
        current_app.extensions["switches"] = known
    return cast("Switches", known)
