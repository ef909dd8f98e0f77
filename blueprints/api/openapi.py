"""GET /openapi.json (OpenAPI 3.1) and GET /docs (the same as a page).

Built once per process from blueprints/api/routes.py and the schemas that validate request bodies.
"""

from functools import cache
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, render_template
from marshmallow import Schema, fields

from app.devtools.service_control import URL_VARIABLES
from app.domain.events import Kind, Priority
from app.operations.database_viewer import TABLE_VIEWS
from app.persistence.bounded_counts import MAX_LISTED_ROWS
from blueprints.api.preferences import (
    CHANNELS,
    CONFIGURABLE_KINDS,
    ChannelMatrixField,
    TimeOfDayField,
)
from blueprints.api.routes import ROUTES
from blueprints.http.route_spec import RequiredAuthority, RouteSpec
from blueprints.http.serializers import JsonObject

STATUS_DESCRIPTIONS = {
    400: "Something in the request is not valid; details per field where a body is",
    401: "No valid token or key, or wrong credentials",
    403: "Not allowed for this user",
    404: "Does not exist, or is not visible to this user",
    409: "Already exists, or the first request with this Idempotency-Key is still running",
    408: "The body took more than 15 seconds",
    413: "The body is larger than 1 MiB",
    422: "This Idempotency-Key was used with another body",
    429: "Too many requests; Retry-After has the seconds to wait",
    503: "Temporarily unavailable; Retry-After has the seconds to wait",
}
_UUID_SCHEMA: JsonObject = {"type": "string", "format": "uuid"}
_QUERY_PARAM_SCHEMAS: dict[str, JsonObject] = {
    "page": {
        "type": "integer",
        "minimum": 1,
        "description": f"reaches the first {MAX_LISTED_ROWS:,} rows; beyond, use cursor",
    },
    "limit": {"type": "integer", "minimum": 1},
    "cursor": {"type": "string", "description": "nextCursor of the previous page"},
    "q": {"type": "string", "minLength": 1, "maxLength": 100},
    "userId": _UUID_SCHEMA,
    "postId": _UUID_SCHEMA,
    "postIds": {"type": "string", "description": "ids, separated by commas"},
    "unreadOnly": {"enum": ["true", "false"]},
    "priority": {"enum": [priority.value for priority in Priority]},
    "type": {"enum": [kind.value for kind in Kind]},
    "table": {"enum": sorted(TABLE_VIEWS)},
    "events": {"type": "string", "description": "ids of events, separated by commas, at most 50"},
}
_PATH_PARAM_SCHEMAS: dict[str, JsonObject] = {
    "id": _UUID_SCHEMA,
    "name": {"enum": sorted(TABLE_VIEWS)},
    "service": {"enum": sorted(URL_VARIABLES)},
}
_SECURITY_BY_AUTHORITY: dict[RequiredAuthority, list[dict[str, list[str]]]] = {
    RequiredAuthority.OPEN: [{}, {"token": []}],
    RequiredAuthority.SERVICE: [{"serviceKey": []}],
}
_ERROR_SCHEMA: JsonObject = {
    "type": "object",
    "required": ["success", "error", "code"],
    "properties": {
        "success": {"const": False},
        "error": {"type": "string", "description": "message for people"},
        "code": {"type": "string", "description": "code for programs"},
        "details": {"type": "object", "additionalProperties": {"type": "array"}},
        "retryAfter": {"type": "integer", "description": "seconds, with 429"},
    },
}
_TEXT_CONTENT_TYPES = {"/metrics": "text/plain", "/docs": "text/html"}


def build_openapi(routes: list[RouteSpec]) -> JsonObject:
    plugin = MarshmallowPlugin(schema_name_resolver=_component_name)
    spec = APISpec(
        "Chime",
        "1",
        "3.1.0",
        plugins=[plugin],
        info={"description": "Times are UTC with milliseconds; ids are UUIDs."},
    )
    converter = plugin.converter
    if converter is None:
        raise RuntimeError("the plugin is not attached to the document")
    converter.add_attribute_function(_custom_field_schema)  # type: ignore[no-untyped-call]
    bearer_scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    spec.components.security_scheme("token", bearer_scheme)
    spec.components.security_scheme("serviceKey", {"type": "apiKey", "in": "header", "name": "X-Api-Key"})
    spec.components.schema("Error", _ERROR_SCHEMA)
    for route in routes:
        spec.path(route.path, operations={route.method.lower(): _build_operation(route)})
    return spec.to_dict()


def _component_name(schema: type[Schema] | Schema) -> str:
    return (schema if isinstance(schema, type) else type(schema)).__name__.removesuffix("Body")


def _custom_field_schema(_: Any, field: fields.Field[Any], **__: Any) -> JsonObject:
    """Schemas of our own field classes, which the plugin does not know."""
    if isinstance(field, TimeOfDayField):
        json_type = ["string", "null"] if field.allow_none else "string"
        return {"type": json_type, "description": "HH:MM"}
    if isinstance(field, ChannelMatrixField):
        channels_schema = {
            "type": "object",
            "properties": {channel: {"type": "boolean"} for channel in CHANNELS},
        }
        return {
            "type": "object",
            "properties": {kind.value: channels_schema for kind in CONFIGURABLE_KINDS},
        }
    return {}


def _build_operation(route: RouteSpec) -> JsonObject:
    operation: JsonObject = {
        "tags": [_tag_of(route.path)],
        "operationId": _operation_id(route),
        "description": f"For {route.authority}.",
        "x-authority": route.authority.name.lower(),
        "parameters": _build_parameters(route),
        "responses": _build_responses(route),
        "security": _SECURITY_BY_AUTHORITY.get(route.authority, [{"token": []}]),
    }
    if route.body_schema:
        content = {"application/json": {"schema": route.body_schema}}
        operation["requestBody"] = {"required": not route.body_optional, "content": content}
    return operation


def _tag_of(path: str) -> str:
    segments = path.strip("/").split("/")
    return segments[1] if segments[0] == "api" else "system"


def _operation_id(route: RouteSpec) -> str:
    path_name = route.path.removeprefix("/api").replace("{", "").replace("}", "").replace("/", "-")
    return f"{route.method.lower()}{path_name}"


def _build_parameters(route: RouteSpec) -> list[JsonObject]:
    parameters: list[JsonObject] = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in _PATH_PARAM_SCHEMAS.items()
        if f"{{{name}}}" in route.path
    ]
    for query_param in route.query_params.split():
        name, _, maximum = query_param.rstrip("!").partition(":")
        schema = _QUERY_PARAM_SCHEMAS[name] | ({"maximum": int(maximum)} if maximum else {})
        required = query_param.endswith("!")
        parameters.append({"name": name, "in": "query", "required": required, "schema": schema})
    if route.idempotent:
        schema = {"type": "string", "maxLength": 200, "pattern": "^[!-~]+$"}
        parameters.append({"name": "Idempotency-Key", "in": "header", "schema": schema})
    return parameters


def _build_responses(route: RouteSpec) -> JsonObject:
    text_content_type = _TEXT_CONTENT_TYPES.get(route.path)
    schema = _response_schema(route.response_keys) if text_content_type is None else {"type": "string"}
    success = {
        "description": "Done",
        "content": {text_content_type or "application/json": {"schema": schema}},
    }
    error_content = {"application/json": {"schema": "Error"}}
    responses = {str(route.success_status): success}
    for status in route.error_statuses():
        responses[str(status)] = {
            "description": STATUS_DESCRIPTIONS[status],
            "content": error_content,
        }
    if route.path == "/ready":
        responses["503"] = success | {"description": "Cannot accept writes durably now"}
    return responses


def _response_schema(response_keys: str) -> JsonObject:
    if not response_keys:
        return {"type": "object"}
    names = ["success", *response_keys.split()]
    return {
        "type": "object",
        "required": [name for name in names if not name.endswith("?")],
        "properties": {name.rstrip("?"): {} for name in names},
    }


def blueprint(is_testing: bool) -> Blueprint:
    routes = Blueprint("openapi", __name__)

    @routes.get("/openapi.json")
    def get_openapi_json() -> JsonObject:
        return _cached_document()

    @routes.get("/docs")
    def show_api_docs() -> str:
        return render_template("api_reference.html", openapi_document=_cached_document())

    @cache
    def _cached_document() -> JsonObject:
        visible_routes = [
            route for route in ROUTES if is_testing or route.authority is not RequiredAuthority.TESTING
        ]
        return build_openapi(visible_routes)

    return routes
