"""Stops and starts the embedded services: GET /api/test/services, POST /api/test/services/:service.
Testing mode only.

Open to all signed-in users, not only administrators: while PostgreSQL is stopped no role can be read,
and it must be possible to start it again.
"""

from marshmallow import fields, validate

from app.devtools.service_control import URL_VARIABLES, EmbeddedServiceControl, ServiceCommand
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import ObjectSchema, ResponseSchema
from blueprints.http.schemas import RequestSchema, TextField
from blueprints.http.serializers import JsonObject

_COMMANDS = [command.value for command in ServiceCommand]
_SERVICE_PARAMETER = {"name": "service", "in": "path", "schema": {"enum": list(URL_VARIABLES)}}


class ServiceCommandBody(RequestSchema):
    required_message = "verb required"
    verb = TextField(required=True, validate=validate.OneOf(_COMMANDS))


class ServiceStateSchema(ObjectSchema):
    state = fields.String()
    port = fields.Integer(allow_none=True)
    command = fields.Enum(ServiceCommand, by_value=True, allow_none=True)
    lastError = fields.String(allow_none=True)


class ServicesResponse(ResponseSchema):
    services = fields.Dict(fields.String(), fields.Nested(ServiceStateSchema))


class ServiceCommandResponse(ResponseSchema):
    service = fields.String()
    command = fields.Enum(ServiceCommand, by_value=True)


def blueprint(request_auth: RequestAuth, service_control: EmbeddedServiceControl) -> ApiBlueprint:
    routes = ApiBlueprint("service_control", __name__, url_prefix="/api/test")

    @routes.get("/services")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(ServicesResponse)
    def list_service_states(_: str) -> JsonObject:
        """The states of the embedded services."""
        states = service_control.embedded_service_states()
        return {"success": True, "services": {name: state.to_dict() for name, state in states.items()}}

    @routes.post("/services/<service>", parameters=[_SERVICE_PARAMETER])
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(ServiceCommandBody)
    @routes.returns(ServiceCommandResponse, 202, errors=(404, 409))
    def run_service_command(_: str, body: JsonObject, service: str) -> tuple[JsonObject, int]:
        """Start a command for an embedded service, without waiting for its end."""
        command = ServiceCommand(body["verb"])
        service_control.start_command(service, command)
        return {"success": True, "service": service, "command": command.value}, 202

    return routes
