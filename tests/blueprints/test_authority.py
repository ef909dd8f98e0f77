"""Every route as everybody: anonymous, another user, the owner of the object, an administrator.

On real PostgreSQL, Redis, Kafka and DynamoDB. Each case has people and things of its own, so that
one which destroys leaves the others alone.
"""

import re
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.stores.service_keys import ServiceKeys
from app.web import create_app
from app.wiring import Parts, new_id
from blueprints.contract import Authority
from blueprints.routes import ROUTES
from tests.blueprints.matrix import CALLERS, EXPECTED, bodies
from tests.blueprints.stage import PASSWORD, Cast, headers
from tests.blueprints.stage import app as app
from tests.blueprints.stage import cast as cast
from tests.blueprints.stage import parts as parts

pytestmark = pytest.mark.service
KNOWN = {(one.method, one.path): one for one in ROUTES}


def _refresh_token(client: FlaskClient, cast: Cast) -> str:
    said: Any = client.post(
        "/api/auth/login", json={"email": cast.email, "password": PASSWORD}
    ).json
    return str(said["refreshToken"])


def _of_table(route: str) -> tuple[str, str]:
    method, path = route.split()
    path = path.partition("?")[0].replace("{view}", "{name}")
    return method, re.sub(r"\{(?!name|service)\w+\}", "{id}", path)


CLOSED = [one for one in EXPECTED if KNOWN[_of_table(one)].authority is not Authority.OPEN]


def test_the_table_has_every_route() -> None:
    assert {_of_table(route) for route in EXPECTED} == set(KNOWN)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("route", EXPECTED)
def test_who_may_what(
    parts: Parts, client: FlaskClient, cast: Cast, route: str, caller: str
) -> None:
    method, path = route.split()
    body = bodies(cast).get(route)
    if route == "POST /api/auth/refresh":
        body = {"refreshToken": _refresh_token(client, cast)}

    answer = client.open(
        path.format(**vars(cast)),
        method=method,
        json=body,
        headers=headers(parts, cast, caller),
    )

    expected = EXPECTED[route][CALLERS.index(caller)]
    assert answer.status_code == expected, answer.get_data(as_text=True)[:300]
    known = KNOWN[_of_table(route)]
    assert expected in (known.status, *known.refusals())


@pytest.mark.parametrize("route", CLOSED)
def test_who_may_not_is_told_before_a_body_is_looked_at(
    client: FlaskClient, cast: Cast, route: str
) -> None:
    method, path = route.split()

    answer = client.open(path.format(**vars(cast)), method=method, data=b"{not JSON")

    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/api/events", "/api/events/trigger"])
def test_a_service_key_opens_the_way_for_events(
    parts: Parts, client: FlaskClient, cast: Cast, path: str
) -> None:
    key = new_id()
    ServiceKeys(parts.engine).add(new_id(), "a test", key)
    body = {"type": "OTP", "targetId": cast.owner, "message": "123456"}

    answer = client.post(path, json=body, headers={"X-Api-Key": key})

    assert answer.status_code == 202


@pytest.mark.parametrize("caller", CALLERS[1:])
@pytest.mark.parametrize("name", ["likes", "stats"])
def test_in_production_tables_are_for_administrators(
    parts: Parts, cast: Cast, caller: str, name: str
) -> None:
    web = replace(parts.settings.web, mode="production")
    production = replace(parts, settings=replace(parts.settings, web=web))

    answer = (
        create_app(production)
        .test_client()
        .get(f"/api/admin/db/{name}", headers=headers(parts, cast, caller))
    )

    assert answer.status_code == (200 if caller == "admin" else 403)
