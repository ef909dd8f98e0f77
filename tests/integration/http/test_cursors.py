"""A malformed cursor is refused with 400 by every list of the API and of the pages."""

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.bootstrap import SharedServices
from app.operations.database_viewer import TABLE_VIEWS
from blueprints.http.pagination import encode_cursor
from tests.support.api_routes import ApiRoute, api_routes
from tests.support.api_user import sign_in
from tests.support.real_store_app import RouteTestData, auth_headers
from tests.support.real_store_app import app as app
from tests.support.real_store_app import app_services as app_services
from tests.support.real_store_app import route_data as route_data

pytestmark = pytest.mark.service
MOMENT = "2026-01-02T03:04:05.678901+00:00"
ID = "01a20a11-d09a-71d1-afcb-471ee183a627"
TWO_IDS = f"{ID}:{ID}"
MALFORMED_CURSORS: dict[str, Any] = {
    "no JSON": "bm9uZQ",
    "no base64": "é",
    "no values": encode_cursor(()),
    "too many values": encode_cursor((MOMENT, ID, ID, ID)),
    "lists in place of values": encode_cursor(([MOMENT], [ID])),
    "three ids after a time": encode_cursor((MOMENT, f"{TWO_IDS}:{ID}")),
    "two ids": encode_cursor((TWO_IDS, None)),
    "two ids of an actor": encode_cursor((True, 1, TWO_IDS)),
    "a number beyond a bigint": encode_cursor((2**63,)),
    "a time without a zone": encode_cursor((MOMENT[:-6], ID)),
    "a time near the lowest one": encode_cursor(("0001-01-01T00:00:00+00:00", ID)),
}
ONE_ID_EXPECTED, TWO_IDS_EXPECTED = encode_cursor((MOMENT, TWO_IDS)), encode_cursor((MOMENT, ID))
PAGES = (
    "/",
    "/posts/{post}/likes",
    "/bookmarks",
    "/notifications",
    "/notifications/not-told",
    "/users/{username}",
    "/users/{username}/followers",
    "/users/{username}/following",
    "/search?q=a",
)


def lists() -> list[ApiRoute]:
    return [
        route
        for route in api_routes()
        if any(parameter["name"] == "cursor" for parameter in route.operation.get("parameters", ()))
    ]


def with_cursor(path: str, cursor: str | None) -> str:
    return f"{path}{'&' if '?' in path else '?'}cursor={cursor}"


def cursors_refused_by(path: str, view: str) -> dict[str, Any]:
    if "/db/" in path and TABLE_VIEWS[view].has_two_ids:
        return MALFORMED_CURSORS | {"one id for two": TWO_IDS_EXPECTED}
    return MALFORMED_CURSORS | {"two ids for one": ONE_ID_EXPECTED}


def test_all_lists_are_found() -> None:
    assert len(lists()) >= 20


@pytest.mark.parametrize("route", lists(), ids=str)
def test_list_of_the_api_refuses_it(
    client: FlaskClient, app_services: SharedServices, route_data: RouteTestData, route: ApiRoute
) -> None:
    caller = "owner" if route.authority == "owner" else "admin"
    headers = auth_headers(app_services, route_data, caller)
    for view in TABLE_VIEWS if "{view}" in route.path else ("likes",):
        path = route.path.format(**vars(replace(route_data, view=view)))
        statuses = {
            name: client.get(with_cursor(path, cursor), headers=headers).status_code
            for name, cursor in cursors_refused_by(path, view).items()
        }
        assert set(statuses.values()) == {400}, (path, statuses)


@pytest.mark.parametrize("path", PAGES)
def test_page_refuses_it(client: FlaskClient, route_data: RouteTestData, path: str) -> None:
    username = f"owner_{route_data.owner[-12:]}"
    sign_in(client, route_data.email)
    path = path.format(username=username, **vars(route_data))
    statuses = {
        name: client.get(with_cursor(path, cursor)).status_code
        for name, cursor in cursors_refused_by(path, "").items()
    }
    assert set(statuses.values()) == {400}, statuses
