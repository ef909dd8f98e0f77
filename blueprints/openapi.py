"""What the API is, in a form for programs and a page for people; both from the same document.

In    GET /openapi.json, GET /docs; blueprints/routes.py and the schemas that validate
Out   OpenAPI 3.1, made once per process
"""

from typing import Any, cast

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, current_app, render_template
from marshmallow import Schema, fields

from app.domain.events import Kind, Priority
from app.stores.viewer import VIEWS
from app.switches import VARIABLES
from blueprints import parts
from blueprints.contract import Authority, Route
from blueprints.preferences import CHANNELS, KINDS, ClockTime, Matrix
from blueprints.routes import ROUTES
from blueprints.views import Json

blueprint = Blueprint("openapi", __name__)
MEANINGS = {
    400: "Something in the request is not valid; details per field where a body is",
    401: "No valid token or key, or wrong credentials",
    403: "Not yours to do",
    404: "There is no such thing, or not for you",
    409: "Taken already, or the first request with this Idempotency-Key still runs",
    408: "The body took more than 15 seconds",
    413: "The body is larger than 1 MiB",
    422: "This Idempotency-Key was used with another body",
    429: "Too many; Retry-After says when again",
    503: "A needed service is away; Retry-After says when again",
}
_UUID: Json = {"type": "string", "format": "uuid"}
_QUERY: dict[str, Json] = {
    "page": {"type": "integer", "minimum": 1},
    "limit": {"type": "integer", "minimum": 1},
    "cursor": {"type": "string", "description": "nextCursor of the part before"},
    "q": {"type": "string", "minLength": 1, "maxLength": 100},
    "userId": _UUID,
    "postId": _UUID,
    "postIds": {"type": "string", "description": "ids, separated by commas"},
    "unreadOnly": {"enum": ["true", "false"]},
    "priority": {"enum": [one.value for one in Priority]},
    "type": {"enum": [one.value for one in Kind]},
    "table": {"enum": sorted(VIEWS)},
    "events": {"type": "string", "description": "ids of events, separated by commas, at most 50"},
}
_PATH: dict[str, Json] = {
    "id": _UUID,
    "name": {"enum": sorted(VIEWS)},
    "service": {"enum": sorted(VARIABLES)},
}
_SECURITY: dict[Authority, list[dict[str, list[str]]]] = {
    Authority.OPEN: [{}, {"token": []}],
    Authority.SERVICE: [{"serviceKey": []}],
}
_ERROR: Json = {
    "type": "object",
    "required": ["success", "error", "code"],
    "properties": {
        "success": {"const": False},
        "error": {"type": "string", "description": "a sentence for people"},
        "code": {"type": "string", "description": "a word for programs"},
        "details": {"type": "object", "additionalProperties": {"type": "array"}},
        "retryAfter": {"type": "integer", "description": "seconds, with 429"},
    },
}
_KINDS_OF_TEXT = {"/metrics": "text/plain", "/docs": "text/html"}


@blueprint.get("/openapi.json")
def document() -> Json:
    return _kept()


@blueprint.get("/docs")
def page() -> str:
    return render_template("docs.html", document=_kept())


def _kept() -> Json:
    made = current_app.extensions.get("openapi")
    if made is None:
        testing = parts().settings.web.testing
        shown = [one for one in ROUTES if testing or one.authority is not Authority.TESTING]
        made = current_app.extensions["openapi"] = described(shown)
    return cast("Json", made)


def described(routes: list[Route]) -> Json:
    plugin = MarshmallowPlugin(schema_name_resolver=_name)
    spec = APISpec(
        "Intelligent Notification System",
        "1",
        "3.1.0",
        plugins=[plugin],
        info={"description": "Times are UTC with milliseconds; ids are UUIDs."},
    )
    converter = plugin.converter
    if converter is None:
        raise RuntimeError("the plugin has not been told of the document")
    converter.add_attribute_function(_own)  # type: ignore[no-untyped-call]
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    spec.components.security_scheme("token", bearer)
    spec.components.security_scheme(
        "serviceKey", {"type": "apiKey", "in": "header", "name": "X-Api-Key"}
    )
    spec.components.schema("Error", _ERROR)
    for route in routes:
        spec.path(route.path, operations={route.method.lower(): _operation(route)})
    return spec.to_dict()


def _name(schema: type[Schema] | Schema) -> str:
    return (schema if isinstance(schema, type) else type(schema)).__name__.removesuffix("Body")


def _own(_: Any, field: fields.Field[Any], **__: Any) -> Json:
    """Our own kinds of field, which the plugin cannot know."""
    if isinstance(field, ClockTime):
        kind = ["string", "null"] if field.allow_none else "string"
        return {"type": kind, "description": "HH:MM"}
    if isinstance(field, Matrix):
        cells = {"type": "object", "properties": {one: {"type": "boolean"} for one in CHANNELS}}
        return {"type": "object", "properties": {kind.value: cells for kind in KINDS}}
    return {}


def _operation(route: Route) -> Json:
    shown: Json = {
        "tags": [_tag(route.path)],
        "operationId": _operation_id(route),
        "description": f"For {route.authority}.",
        "x-authority": route.authority.name.lower(),
        "parameters": _parameters(route),
        "responses": _responses(route),
        "security": _SECURITY.get(route.authority, [{"token": []}]),
    }
    if route.body:
        content = {"application/json": {"schema": route.body}}
        shown["requestBody"] = {"required": not route.optional, "content": content}
    return shown


def _tag(path: str) -> str:
    words = path.strip("/").split("/")
    return words[1] if words[0] == "api" else "system"


def _operation_id(route: Route) -> str:
    words = route.path.removeprefix("/api").replace("{", "").replace("}", "").replace("/", "-")
    return f"{route.method.lower()}{words}"


def _parameters(route: Route) -> list[Json]:
    found: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in _PATH.items()
        if f"{{{name}}}" in route.path
    ]
    for word in route.query.split():
        name, _, most = word.rstrip("!").partition(":")
        schema = _QUERY[name] | ({"maximum": int(most)} if most else {})
        needed = word.endswith("!")
        found.append({"name": name, "in": "query", "required": needed, "schema": schema})
    if route.once:
        schema = {"type": "string", "maxLength": 200, "pattern": "^[!-~]+$"}
        found.append({"name": "Idempotency-Key", "in": "header", "schema": schema})
    return found


def _responses(route: Route) -> Json:
    kind = _KINDS_OF_TEXT.get(route.path)
    schema = _answer(route.keys) if kind is None else {"type": "string"}
    done = {"description": "Done", "content": {kind or "application/json": {"schema": schema}}}
    refused = {"application/json": {"schema": "Error"}}
    found = {str(route.status): done}
    for status in route.refusals():
        found[str(status)] = {"description": MEANINGS[status], "content": refused}
    if route.path == "/ready":
        found["503"] = done | {"description": "Cannot accept writes durably now"}
    return found


def _answer(keys: str) -> Json:
    if not keys:
        return {"type": "object"}
    names = ["success", *keys.split()]
    return {
        "type": "object",
        "required": [name for name in names if not name.endswith("?")],
        "properties": {name.rstrip("?"): {} for name in names},
    }
