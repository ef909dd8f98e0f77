"""The OpenAPI document describes every route, with its authority, typed bodies and typed responses."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.bootstrap import SharedServices
from blueprints.api.openapi import SOCKET_API_PATH
from blueprints.http.openapi_document import EXAMPLE_BY_FIELD
from tests.support.api_routes import ApiRoute, api_routes, openapi_document
from tests.support.web_application import create_web_application

_API_PATH = re.compile(r"/(api/.*|health|ready|metrics|openapi\.json|docs|docs/sockets)")
_AUTHORITY_BY_ROUTE = (
    (r"GET /(health|ready|metrics|docs|docs/sockets|openapi\.json)", "open"),
    (r"POST /api/auth/(register|login|refresh|password/reset|password/reset-request)", "open"),
    (r"GET /api/(users|posts|comments|follows|figures)\b.*", "open"),
    (r"POST /api/events(/trigger)?", "service"),
    (r"\w+ /api/admin/db/.*", "operator"),
    (r"\w+ /api/(admin|test/storms)\b.*", "admin"),
    (r"\w+ /api/(notifications|preferences)/.*", "owner"),
    (r"(PATCH|DELETE) /api/users/\{id\}|DELETE /api/(posts|comments)/\{id\}", "owner"),
    (r".*", "user"),
)


def _registered_routes(app: Flask) -> set[tuple[str, str]]:
    return {
        (method, re.sub(r"<(\w+)>", r"{\1}", re.sub(r"<\w+_id>", "{id}", rule.rule)))
        for rule in app.url_map.iter_rules()
        if _API_PATH.fullmatch(rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def _documented_routes(document: Any) -> set[tuple[str, str]]:
    return {
        (method.upper(), path)
        for path, path_item in document["paths"].items()
        for method in set(path_item) - {"parameters"}
    }


def _responses(route: ApiRoute) -> dict[int, Any]:
    return {int(status): response for status, response in route.operation["responses"].items()}


def test_document_describes_exactly_the_routes_of_the_application(app: Flask) -> None:
    assert _documented_routes(openapi_document()) == _registered_routes(app)
    assert len(api_routes()) == len(_registered_routes(app))


def test_production_neither_has_nor_shows_the_simulator(fake_services: SharedServices) -> None:
    web = replace(fake_services.settings.web, mode="production")
    services = replace(fake_services, settings=replace(fake_services.settings, web=web))
    app = create_web_application(services).flask_app

    document = app.test_client().get("/openapi.json").json

    assert _documented_routes(document) == _registered_routes(app)
    assert not any("/test/" in path for _, path in _registered_routes(app))


def test_sections_have_names_for_readers_and_none_of_a_module() -> None:
    tags = {tag for route in api_routes() for tag in route.operation["tags"]}

    assert tags == {
        "Accounts",
        "Administration",
        "Bookmarks",
        "Comments",
        "Follows",
        "Mutes",
        "Notifications",
        "Operation",
        "Other servers",
        "Posts",
        "Preferences",
        "Testing mode",
        "Users",
    }


@pytest.mark.parametrize("route", api_routes(), ids=str)
def test_route_needs_the_authority_that_was_decided(route: ApiRoute) -> None:
    name = f"{route.method} {route.document_path}"
    expected = next(authority for pattern, authority in _AUTHORITY_BY_ROUTE if re.fullmatch(pattern, name))

    assert route.authority == expected
    schemes: dict[str, Any] = {"open": [{}, {"token": []}], "service": [{"serviceKey": []}]}
    assert route.operation["security"] == schemes.get(expected, [{"token": []}])


@pytest.mark.parametrize("route", api_routes(), ids=str)
def test_route_is_described_completely(route: ApiRoute) -> None:
    responses, schemas = _responses(route), openapi_document()["components"]["schemas"]
    assert route.operation["summary"]
    if not route.path.startswith("/api/"):
        return

    (success,) = (response for status, response in responses.items() if status < 400)
    schema = success["content"]["application/json"]["schema"]
    assert schemas[schema["$ref"].rpartition("/")[2]]["properties"]["success"] == {
        "type": "boolean",
        "enum": [True],
    }
    assert all("$ref" in response for status, response in responses.items() if status >= 400)
    if body := route.operation.get("requestBody"):
        assert "$ref" in body["content"]["application/json"]["schema"]


@pytest.mark.parametrize(
    ("route", "errors"),
    [
        ("GET /api/posts", {400, 503}),
        ("GET /api/posts/{post}", {400, 404, 503}),
        ("PUT /api/posts/{post}/like", {400, 401, 404, 429, 503}),
        ("DELETE /api/posts/{post}", {400, 401, 403, 404, 429, 503}),
        ("POST /api/posts", {400, 401, 408, 409, 413, 422, 429, 503}),
        ("POST /api/events", {400, 401, 408, 409, 413, 422, 503}),
        ("GET /api/admin/stats", {401, 403, 503}),
    ],
)
def test_error_statuses_follow_from_authority_path_and_arguments(route: str, errors: set[int]) -> None:
    (described,) = (candidate for candidate in api_routes() if str(candidate) == route)

    assert {status for status in _responses(described) if status >= 400} == errors


def test_a_body_is_described_by_the_schema_that_validates() -> None:
    schemas = openapi_document()["components"]["schemas"]

    comment = schemas["CommentBody"]
    assert sorted(comment["required"]) == ["content", "postId"]
    assert comment["properties"]["content"] == {
        "type": "string",
        "maxLength": 1000,
        "example": EXAMPLE_BY_FIELD["content"],
    }
    assert schemas["PreferencesBody"]["properties"]["dndStartTime"]["type"] == ["string", "null"]


def test_every_reference_and_every_component_is_used() -> None:
    document = openapi_document()
    referenced = set(re.findall(r"'\$ref': '#/components/([^']+)'", str(document)))
    components = {
        f"{kind}/{name}" for kind in ("schemas", "responses") for name in document["components"][kind]
    }

    assert referenced == components


def test_documentation_adds_no_call_to_a_like(app: Flask) -> None:
    checks_the_token: Any = app.view_functions["likes.set_like"]

    assert not hasattr(checks_the_token.__wrapped__, "__wrapped__")


def test_operation_ids_are_unique() -> None:
    ids = [route.operation["operationId"] for route in api_routes()]

    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", ["/docs", "/docs/sockets"])
def test_docs_pages_load_nothing_external_and_need_no_exception_of_the_policy(
    client: FlaskClient, path: str
) -> None:
    response = client.get(path)
    page = response.get_data(as_text=True)

    assert re.findall(r'(?:src|href)="(?!/|#)[^"]*"', page) == []
    assert re.findall(r"<style|style=|<script(?! src)|\son\w+=", page) == []
    assert 'rel="stylesheet"' in page
    assert "unsafe-inline" not in response.headers["Content-Security-Policy"]
    assert "http" not in response.headers["Content-Security-Policy"].replace("https:", "")


def test_docs_page_lists_every_operation_without_a_script(client: FlaskClient) -> None:
    page = client.get("/docs").get_data(as_text=True)

    assert all(f"<code>{route.method} {route.document_path}</code>" in page for route in api_routes())


def test_socket_page_shows_the_events_of_the_document(client: FlaskClient) -> None:
    """One source: docs/socket-api.md. Links to other files of docs/ would lead nowhere."""
    page = client.get("/docs/sockets").get_data(as_text=True)
    source = SOCKET_API_PATH.read_text()

    assert all(f"<code>{name}</code>" in page for name in re.findall(r"^\| `(\w+)`", source, re.MULTILINE))
    assert "<h1>Socket API</h1>" in page
    assert ".md" not in page


def test_every_socket_event_has_an_example() -> None:
    source = SOCKET_API_PATH.read_text()
    names = re.findall(r"^\| `(\w+)`", source, re.MULTILINE)

    examples = re.findall(
        r"^### `(\w+)`\n\n(?:[A-Z][^\n]*\n\n)?```json\n(.*?)^```", source, re.MULTILINE | re.DOTALL
    )

    assert sorted(name for name, _ in examples) == sorted(names)
    assert "session_ended" in names
    assert all(isinstance(json.loads(example), dict | None) for _, example in examples)


def test_names_in_examples_are_fields_of_the_document() -> None:
    """An example whose field was renamed would be lost silently."""
    schemas = openapi_document()["components"]["schemas"].values()
    names = {name for schema in schemas for name in schema.get("properties", {})}
    names |= {
        parameter["name"] for route in api_routes() for parameter in route.operation.get("parameters", [])
    }

    assert EXAMPLE_BY_FIELD.keys() <= names
