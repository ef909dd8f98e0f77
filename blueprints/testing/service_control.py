"""Stops and starts the embedded services: GET /api/test/services, POST /api/test/services/:service.
Testing mode only.

Open to all signed-in users, not only administrators: while PostgreSQL is stopped no role can be read,
and it must be possible to start it again.
"""

from flask import Blueprint

from app.devtools.service_control import EmbeddedServiceControl, ServiceCommand
from blueprints.http.request_auth import RequestAuth
from blueprints.http.schemas import ServiceCommandBody, parse_json_body
from blueprints.http.serializers import JsonObject

_COMMAND_SCHEMA = ServiceCommandBody()


def blueprint(request_auth: RequestAuth, service_control: EmbeddedServiceControl) -> Blueprint:
    routes = Blueprint("service_control", __name__, url_prefix="/api/test")

    @routes.get("/services")
    def list_service_states() -> JsonObject:
        request_auth.current_user_id()
        states = service_control.embedded_service_states()
        return {"success": True, "services": {name: state.to_dict() for name, state in states.items()}}

    @routes.post("/services/<service>")
    def run_service_command(service: str) -> tuple[JsonObject, int]:
        request_auth.current_user_id()
        command = ServiceCommand(parse_json_body(_COMMAND_SCHEMA)["verb"])
        service_control.start_command(service, command)
        return {"success": True, "service": service, "command": command.value}, 202

    return routes
