"""Every route as everybody: anonymous, another user, the owner of the object, an administrator.

On real PostgreSQL, Redis, Kafka and DynamoDB. Each case has people and things of its own, so that
one which destroys leaves the others alone.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import jwt
import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from app.passwords import Passwords
from app.settings import load
from app.stores.delivery_log import DeliveryLog, dynamodb
from app.stores.service_keys import ServiceKeys
from app.stores.users import NewUser, Users
from app.web import create_app
from app.wiring import Parts, build, new_id
from blueprints.contract import Authority
from blueprints.routes import ROUTES
from tests.blueprints.matrix import CALLERS, EXPECTED, bodies
from tests.conftest import empty_tables

pytestmark = pytest.mark.service
PASSWORD = "Passw0rd"
KNOWN = {(one.method, one.path): one for one in ROUTES}
_HASH = Passwords().hash(PASSWORD)


@pytest.fixture(scope="module")
def parts(environment: dict[str, str], _engine: Engine) -> Iterator[Parts]:
    """One application for all cases: nothing in a case depends on another."""
    empty_tables(_engine)
    with redis.Redis.from_url(environment["REDIS_URL"]) as connection:
        connection.flushall()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        made = build(load())
        DeliveryLog(dynamodb(environment["DYNAMODB_ENDPOINT_URL"], "us-east-1")).create()
        yield made
    made.engine.dispose()
    made.redis.close()


@pytest.fixture(scope="module")
def app(parts: Parts) -> Flask:  # type: ignore[override]
    return create_app(parts)


@dataclass(frozen=True)
class Cast:
    """Three people, and what the owner has. Names in braces of the table are its fields."""

    other: str
    owner: str
    admin: str
    post: str
    comment: str
    row: str
    unknown: str
    view: str = "likes"

    @property
    def email(self) -> str:
        return f"owner_{self.owner[-12:]}@example.org"


@pytest.fixture
def cast(parts: Parts) -> Cast:
    people = {role: new_id() for role in CALLERS[1:]}
    for role, user_id in people.items():
        name = f"{role}_{user_id[-12:]}"
        is_admin = "admin" if role == "admin" else "user"
        Users(parts.engine).create(
            NewUser(user_id, f"{name}@example.org", name, role.title(), _HASH, is_admin)
        )
    return Cast(**people, **_things(parts, people["owner"]))


def _things(parts: Parts, owner: str) -> dict[str, str]:
    post = parts.actions.post(owner, "Hello", None)
    said = parts.actions.comment(owner, post, "Hi")
    return {
        "post": post,
        "comment": said.id,
        "row": _row(parts.engine, owner),
        "unknown": new_id(),
    }


def _row(engine: Engine, owner: str) -> str:
    values = {"id": new_id(), "user": owner, "object": new_id()}
    with engine.begin() as sql:
        sql.execute(text("update users set frame_seq = 1 where id = :user"), values)
        sql.execute(
            text(
                "insert into notifications (id, user_id, type, priority, object_id, version, seq, "
                "actor_count) values (:id, :user, 'LIKE', 'HIGH', :object, 1, 1, 1)"
            ),
            values,
        )
    return values["id"]


def _refresh_token(client: FlaskClient, cast: Cast) -> str:
    said: Any = client.post(
        "/api/auth/login", json={"email": cast.email, "password": PASSWORD}
    ).json
    return str(said["refreshToken"])


def _headers(parts: Parts, cast: Cast, caller: str) -> dict[str, str]:
    if caller == "anonymous":
        return {}
    given = {
        "sub": getattr(cast, caller),
        "exp": int(time.time()) + 60,
        "jti": new_id(),
        "type": "access",
    }
    token = jwt.encode(given, parts.settings.web.jwt_secret_key, algorithm="HS256")
    return {"Authorization": f"Bearer {token}"}


def _of_table(route: str) -> tuple[str, str]:
    method, path = route.split()
    path = path.partition("?")[0].replace("{view}", "{name}")
    return method, re.sub(r"\{(?!name)\w+\}", "{id}", path)


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
        headers=_headers(parts, cast, caller),
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
        .get(f"/api/admin/db/{name}", headers=_headers(parts, cast, caller))
    )

    assert answer.status_code == (200 if caller == "admin" else 403)
