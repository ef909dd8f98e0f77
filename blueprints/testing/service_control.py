"""Stops and starts the embedded services: GET /api/test/services, POST /api/test/services/:service.
Testing mode only.

Open to all signed-in users, not only administrators: while PostgreSQL is stopped no role can be read,
and it must be possible to start it again.
"""

from marshmallow import fields, validate

from app.devtools.service_control import URL_VARIABLES, EmbeddedServiceControl, ServiceCommand
from app.devtools.worker_control import WorkerCommand, WorkerControl, WorkerState
from app.domain.worker_loops import WORKER_PROCESSES
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import ObjectSchema, ResponseSchema
from blueprints.http.schemas import RequestSchema, TextField
from blueprints.http.serializers import JsonObject

_COMMANDS = [command.value for command in ServiceCommand]
_SERVICE_PARAMETER = {"name": "service", "in": "path", "schema": {"enum": list(URL_VARIABLES)}}
_WORKER_PARAMETER = {"name": "worker", "in": "path", "schema": {"enum": list(WORKER_PROCESSES)}}


class ServiceCommandBody(RequestSchema):
    required_message = "verb required"
    verb = TextField(required=True, validate=validate.OneOf(_COMMANDS))


class ServiceStateSchema(ObjectSchema):
    state = fields.String()
    port = fields.Integer(allow_none=True)
    command = fields.Enum(ServiceCommand, by_value=True, allow_none=True)
    lastError = fields.String(allow_none=True)


class WorkerCommandBody(RequestSchema):
    required_message = "verb required"
    verb = TextField(required=True, validate=validate.OneOf([command.value for command in WorkerCommand]))


class ServicesResponse(ResponseSchema):
    services = fields.Dict(fields.String(), fields.Nested(ServiceStateSchema))
    workers = fields.Dict(fields.String(), fields.Enum(WorkerState, by_value=True))


class ServiceCommandResponse(ResponseSchema):
    service = fields.String()
    command = fields.Enum(ServiceCommand, by_value=True)


class WorkerCommandResponse(ResponseSchema):
    worker = fields.String()
    command = fields.Enum(WorkerCommand, by_value=True)


def blueprint(
    request_auth: RequestAuth, service_control: EmbeddedServiceControl, worker_control: WorkerControl
) -> ApiBlueprint:
    routes = ApiBlueprint("service_control", __name__, url_prefix="/api/test")

    @routes.get("/services")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(ServicesResponse)
    def list_service_states(_: str) -> JsonObject:
        """The states of the embedded services and of the workers."""
        states = service_control.embedded_service_states()
        return {
            "success": True,
            "services": {name: state.to_dict() for name, state in states.items()},
            "workers": worker_control.read_states(),
        }

    @routes.post("/services/<service>", parameters=[_SERVICE_PARAMETER])
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(ServiceCommandBody)
    @routes.returns(ServiceCommandResponse, 202, errors=(404, 409))
    def run_service_command(_: str, body: JsonObject, service: str) -> tuple[JsonObject, int]:
        """Start a command for an embedded service, without waiting for its end."""
        command = ServiceCommand(body["verb"])
        service_control.start_command(service, command)
        return {"success": True, "service": service, "command": command.value}, 202

    @routes.post("/workers/<worker>", parameters=[_WORKER_PARAMETER])
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(WorkerCommandBody)
    @routes.returns(WorkerCommandResponse, errors=(404,))
    def run_worker_command(_: str, body: JsonObject, worker: str) -> JsonObject:
        """Freeze, resume or kill all processes of a worker."""
        command = WorkerCommand(body["verb"])
        worker_control.signal_worker(worker, command)
        return {"success": True, "worker": worker, "command": command.value}

    return routes
