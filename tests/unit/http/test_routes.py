"""The route table and the OpenAPI document agree with the application."""

import re
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.bootstrap import SharedServices
from blueprints.api.openapi import build_openapi
from blueprints.api.routes import ROUTES
from blueprints.http.route_spec import RequiredAuthority, RouteSpec
from tests.support.web_application import create_web_application

_API_PATH = re.compile(r"/(api/.*|health|ready|metrics|openapi\.json|docs)")
SPECIFIED_ROUTES = {(route.method, route.path) for route in ROUTES}


def _registered_routes(app: Flask) -> set[tuple[str, str]]:
    return {
        (method, re.sub(r"<(name|service)>", r"{\1}", re.sub(r"<\w+_id>", "{id}", rule.rule)))
        for rule in app.url_map.iter_rules()
        if _API_PATH.fullmatch(rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def _operations(client: FlaskClient) -> dict[tuple[str, str], Any]:
    document = client.get("/openapi.json").json or {}
    return {
        (method.upper(), path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


@cache
def _document() -> Any:
    return build_openapi(list(ROUTES))


def test_route_table_lists_exactly_the_routes_of_the_application(app: Flask) -> None:
    assert _registered_routes(app) == SPECIFIED_ROUTES
    assert len(ROUTES) == len(SPECIFIED_ROUTES)


def test_openapi_document_describes_every_route(client: FlaskClient) -> None:
    assert set(_operations(client)) == SPECIFIED_ROUTES


def test_production_neither_has_nor_shows_the_simulator(fake_services: SharedServices) -> None:
    web = replace(fake_services.settings.web, mode="production")
    services = replace(fake_services, settings=replace(fake_services.settings, web=web))
    app = create_web_application(services).flask_app

    assert set(_operations(app.test_client())) == _registered_routes(app)
    assert not any("/test/" in path for _, path in _registered_routes(app))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_route_lists_all_its_statuses(route: RouteSpec) -> None:
    statuses = set(_document()["paths"][route.path][route.method.lower()]["responses"])

    assert statuses == {str(route.success_status), *map(str, route.error_statuses())}


def test_a_body_is_described_by_the_schema_that_validates() -> None:
    schemas = _document()["components"]["schemas"]

    comment = schemas["Comment"]
    assert sorted(comment["required"]) == ["content", "postId"]
    assert comment["properties"]["content"] == {"type": "string", "maxLength": 1000}
    assert schemas["Preferences"]["properties"]["dndStartTime"]["type"] == ["string", "null"]


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = _document()
    schemas = document["components"]["schemas"]
    referenced = {name.rpartition("/")[2] for name in re.findall(r"'\$ref': '([^']+)'", str(document))}

    assert "Error" in referenced
    assert referenced <= set(schemas)


@pytest.mark.parametrize(
    ("authority", "statuses"),
    [
        (RequiredAuthority.OPEN, {404, 503}),
        (RequiredAuthority.USER, {400, 401, 404, 429, 503}),
        (RequiredAuthority.OWNER, {400, 401, 403, 404, 429, 503}),
    ],
)
def test_error_statuses_follow_from_authorization_and_path(
    authority: RequiredAuthority, statuses: set[int]
) -> None:
    path = "/api/things" if authority is RequiredAuthority.OPEN else "/api/things/{id}"
    route = RouteSpec("DELETE", path, authority, "", "404")

    assert set(route.error_statuses()) == statuses


def test_docs_page_shows_every_operation_and_loads_nothing_external(client: FlaskClient) -> None:
    response = client.get("/docs")
    page = response.get_data(as_text=True)

    assert all(f"<code>{method} {path}</code>" in page for method, path in SPECIFIED_ROUTES)
    assert re.findall(r'(?:src|href)="(?!/|#)[^"]*"', page) == []
    assert re.findall(r"<style|style=|<script(?! src)|\son\w+=", page) == []
    assert 'rel="stylesheet"' in page
    assert "unsafe-inline" not in response.headers["Content-Security-Policy"]
