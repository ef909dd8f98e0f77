"""What the API says of itself is what it is: routes, authority, bodies, and a page of it."""

import re
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.web import create_app
from blueprints.contract import Authority, Route
from blueprints.openapi import described
from blueprints.routes import ROUTES

OURS = re.compile(r"/(api/.*|health|ready|metrics|openapi\.json|docs)")
TOLD = {(one.method, one.path) for one in ROUTES}


def _routes(app: Flask) -> set[tuple[str, str]]:
    return {
        (method, re.sub(r"<(name|service)>", r"{\1}", re.sub(r"<\w+_id>", "{id}", rule.rule)))
        for rule in app.url_map.iter_rules()
        if OURS.fullmatch(rule.rule)
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
    return described(list(ROUTES))


def test_every_route_of_the_application_is_in_the_table_and_none_besides(app: Flask) -> None:
    assert _routes(app) == TOLD
    assert len(ROUTES) == len(TOLD)


def test_the_document_tells_of_every_route(client: FlaskClient) -> None:
    assert set(_operations(client)) == TOLD


def test_production_neither_has_nor_shows_the_simulator(fakes: Any) -> None:
    web = replace(fakes.settings.web, mode="production")
    fakes.settings = replace(fakes.settings, web=web)
    app = create_app(fakes)

    assert set(_operations(app.test_client())) == _routes(app)
    assert not any("/test/" in path for _, path in _routes(app))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_is_told_with_all_its_statuses(route: Route) -> None:
    told = set(_document()["paths"][route.path][route.method.lower()]["responses"])

    assert told == {str(route.status), *map(str, route.refusals())}


def test_a_body_is_described_by_the_schema_that_validates() -> None:
    schemas = _document()["components"]["schemas"]

    comment = schemas["Comment"]
    assert sorted(comment["required"]) == ["content", "postId"]
    assert comment["properties"]["content"] == {"type": "string", "maxLength": 1000}
    assert schemas["Preferences"]["properties"]["dndStartTime"]["type"] == ["string", "null"]


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = _document()
    schemas = document["components"]["schemas"]
    named = {name.rpartition("/")[2] for name in re.findall(r"'\$ref': '([^']+)'", str(document))}

    assert "Error" in named
    assert named <= set(schemas)


@pytest.mark.parametrize(
    ("authority", "statuses"),
    [
        (Authority.OPEN, {404, 503}),
        (Authority.USER, {400, 401, 404, 429, 503}),
        (Authority.OWNER, {400, 401, 403, 404, 429, 503}),
    ],
)
def test_refusals_follow_from_authority_and_path(authority: Authority, statuses: set[int]) -> None:
    path = "/api/things" if authority is Authority.OPEN else "/api/things/{id}"
    route = Route("DELETE", path, authority, "", "404")

    assert set(route.refusals()) == statuses


def test_the_page_shows_every_operation_and_loads_nothing_from_outside(client: FlaskClient) -> None:
    answer = client.get("/docs")
    page = answer.get_data(as_text=True)

    assert all(f"<code>{method} {path}</code>" in page for method, path in TOLD)
    assert re.findall(r'(?:src|href)="(?!/|#)[^"]*"', page) == []
    assert re.findall(r"<style|style=|<script(?! src)|\son\w+=", page) == []
    assert len(re.findall('rel="stylesheet"', page)) == 1
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
