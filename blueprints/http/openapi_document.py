"""Builds the OpenAPI 3.1 document with flask-smorest, and completes what follows from the kind of a route."""

import re
from collections.abc import Iterable
from functools import cached_property
from http import HTTPStatus
from typing import Any

from apispec import BasePlugin
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from flask import Flask
from flask_smorest import Api
from flask_smorest.spec.plugins import FlaskPlugin
from werkzeug.routing import Rule

from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority
from blueprints.http.response_schemas import ErrorSchema
from blueprints.http.serializers import JsonObject

ERROR_DESCRIPTIONS = {
    400: "Something in the request is not valid; details per field where a body is",
    401: "No valid token or key, or wrong credentials",
    403: "Not allowed for this user",
    404: "Does not exist, or is not visible to this user",
    408: "The body took more than 15 seconds",
    409: "Already exists, or the first request with this Idempotency-Key is still running",
    413: "The body is larger than 1 MiB",
    422: "This Idempotency-Key was used with another body",
    429: "Too many requests; Retry-After has the seconds to wait",
    503: "Temporarily unavailable; Retry-After has the seconds to wait",
}
_DESCRIPTION_BY_PHRASE = {HTTPStatus(status).phrase: text for status, text in ERROR_DESCRIPTIONS.items()}
_SECURITY_BY_AUTHORITY: dict[Authority, list[JsonObject]] = {
    Authority.OPEN: [{}, {"token": []}],
    Authority.SERVICE: [{"serviceKey": []}],
}
_BLUEPRINTS_BY_TAG = {
    "Accounts": ("auth", "passwords"),
    "Users": ("users",),
    "Follows": ("follows",),
    "Posts": ("posts", "likes"),
    "Comments": ("comments",),
    "Bookmarks": ("bookmarks",),
    "Mutes": ("mutes",),
    "Notifications": ("notifications", "notification_status", "suppressed"),
    "Preferences": ("preferences",),
    "Other servers": ("events",),
    "Operation": ("health", "metrics", "figures", "openapi"),
    "Administration": (
        "database_viewer",
        "operations",
        "pipeline",
        "activity_search",
        "mail",
        "admin_queues",
    ),
    "Testing mode": (
        "simulator",
        "event_demo",
        "service_control",
        "storms",
        "demo_people",
        "row_per_like",
    ),
}
_TAG_BY_BLUEPRINT = {name: tag for tag, names in _BLUEPRINTS_BY_TAG.items() for name in names}
"""The section of the reference. Every blueprint has one."""
EXAMPLE_BY_FIELD = {
    "avatarUrl": "https://example.org/ann.jpg",
    "bio": "Mathematics, engines, cold water.",
    "caption": "First swim of the year. Cold, bright. @ben was there too.",
    "code": "271828",
    "content": "Lovely! Count me in next time.",
    "currentPassword": "Cold-water-1",
    "dndEndTime": "08:00",
    "dndStartTime": "22:00",
    "email": "ann@example.org",
    "imageUrl": "https://example.org/swim.jpg",
    "message": "Ann Lee liked your post",
    "name": "Ann Lee",
    "newPassword": "Colder-water-2",
    "password": "Cold-water-1",
    "q": "ann",
    "timezone": "Europe/Berlin",
    "title": "New like",
    "username": "ann",
}
"""By name, which means the same in every schema. A field's own metadata comes first."""
_ID_PARAM: JsonObject = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
}


class PathIdPlugin(FlaskPlugin):
    """Path parameters `*_id` are UUIDs, called `id`: OpenAPI allows one name at one place of a path."""

    @staticmethod
    def flaskpath2openapi(path: str) -> str:
        return str(FlaskPlugin.flaskpath2openapi(re.sub(r"<\w+_id>", "<id>", path)))

    def rule_to_params(self, rule: Rule) -> list[JsonObject]:
        params: list[JsonObject] = super().rule_to_params(rule)
        return [dict(_ID_PARAM) if param["name"].endswith("_id") else param for param in params]


class OperationPlugin(BasePlugin):
    """Adds ids, security, and the errors that follow from authority, path and arguments."""

    def response_helper(self, response: JsonObject, **_: Any) -> JsonObject:
        return {"description": _DESCRIPTION_BY_PHRASE.get(response["description"], response["description"])}

    def operation_helper(
        self, path: str | None = None, operations: dict[str, JsonObject] | None = None, **_: Any
    ) -> None:
        for method, operation in (operations or {}).items():
            _complete_operation(method, str(path), operation)


def _complete_operation(method: str, path: str, operation: JsonObject) -> None:
    authority = Authority[operation.setdefault("x-authority", "open").upper()]
    path_name = re.sub(r"[{}]", "", path.removeprefix("/api")).replace("/", "-")
    operation["operationId"] = f"{method}{path_name}"
    operation["tags"] = [_TAG_BY_BLUEPRINT[name] for name in operation["tags"]]
    operation["description"] = f"{operation.get('description', '')}\n\nFor {authority}.".strip()
    operation["security"] = _SECURITY_BY_AUTHORITY.get(authority, [{"token": []}])
    responses = operation["responses"]
    if path.startswith("/api/"):
        for status in _implied_error_statuses(method, path, authority, operation):
            responses.setdefault(status, HTTPStatus(status).name)
    operation["responses"] = dict(sorted(responses.items()))


def _implied_error_statuses(
    method: str, path: str, authority: Authority, operation: JsonObject
) -> Iterable[int]:
    yield 503
    if authority is not Authority.OPEN:
        yield 401
    if authority in (Authority.OWNER, Authority.ADMIN, Authority.OPERATOR):
        yield 403
    if authority not in (Authority.OPEN, Authority.SERVICE) and method != "get":
        yield 429
    if "requestBody" in operation:
        yield from (408, 413)
    if "{id}" in path:
        yield 400


class FieldConverter(OpenAPIConverter):
    def field2property(self, field: Any) -> JsonObject:
        """The schema of a field, with an example; our own classes may have an `openapi_schema`."""
        described: JsonObject = super().field2property(field)
        if field.name in EXAMPLE_BY_FIELD:
            described.setdefault("example", EXAMPLE_BY_FIELD[field.name])
        return described | (field.openapi_schema() if hasattr(field, "openapi_schema") else {})


class FieldPlugin(MarshmallowPlugin):
    Converter = FieldConverter


class OpenApi(Api):
    ERROR_SCHEMA = ErrorSchema  # type: ignore[assignment]
    DEFAULT_ERROR_RESPONSE_NAME = None  # type: ignore[assignment]


class OpenApiDocument:
    """The document of one application. Create it before the error handlers are registered: flask-smorest
    registers one of its own for HTTP errors, which ours replaces."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._blueprints: list[ApiBlueprint] = []
        self._api = OpenApi(
            app,
            spec_kwargs={
                "title": "Chime",
                "version": "1",
                "openapi_version": "3.1.0",
                "info": {"description": "Times are UTC with milliseconds; ids are UUIDs."},
                "flask_plugin": PathIdPlugin(),
                "marshmallow_plugin": FieldPlugin(),
                "extra_plugins": [OperationPlugin()],
            },
        )
        components = self._api.spec.components
        components.security_scheme("token", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
        components.security_scheme("serviceKey", {"type": "apiKey", "in": "header", "name": "X-Api-Key"})

    def register(self, blueprint: ApiBlueprint) -> None:
        self._app.register_blueprint(blueprint)
        self._blueprints.append(blueprint)

    @cached_property
    def content(self) -> JsonObject:
        """Built at the first call, which takes about as long as creating the application."""
        api = self._api
        for blueprint in self._blueprints:
            blueprint.register_views_in_doc(api, self._app, api.spec, name=blueprint.name, parameters=None)
        document: JsonObject = api.spec.to_dict()
        del document["components"]["schemas"]["PaginationMetadata"]  # of flask-smorest's own pagination
        return document
