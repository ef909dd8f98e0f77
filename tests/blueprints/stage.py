"""A web application on real stores, once per module; for each case three people.

Fixtures `parts`, `app`, `cast`; a test module imports them.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import jwt
import pytest
import redis
from flask import Flask
from sqlalchemy import Engine, text

from app.passwords import Passwords
from app.settings import load
from app.stores.delivery_log import DeliveryLog, dynamodb
from app.stores.users import NewUser, Users
from app.web import create_app
from app.wiring import Parts, build, new_id
from tests.blueprints.matrix import CALLERS
from tests.conftest import empty_redis, empty_tables

PASSWORD = "Passw0rd"
_HASH = Passwords().hash(PASSWORD)


@pytest.fixture(scope="module")
def parts(environment: dict[str, str], _engine: Engine) -> Iterator[Parts]:
    """One application for all cases: nothing in a case depends on another."""
    empty_tables(_engine)
    with redis.Redis.from_url(environment["REDIS_URL"]) as connection:
        empty_redis(connection)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        made = build(load())
        DeliveryLog(dynamodb(environment["DYNAMODB_ENDPOINT_URL"], "us-east-1")).create()
        yield made
    made.engine.dispose()
    made.urgent.dispose()
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
    service: str = "redis"

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


def headers(parts: Parts, cast: Cast, caller: str) -> dict[str, str]:
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
