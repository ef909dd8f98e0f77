"""The web application on real services, emptied once per module, and three users for each test.

Test modules import the fixtures `app_services`, `app` and `route_data`.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import jwt
import pytest
import redis
from flask import Flask
from sqlalchemy import Engine

from app.accounts.passwords import PasswordHashing
from app.bootstrap import SharedServices, new_id
from app.domain.errors import Unavailable
from app.persistence.delivery_log import DeliveryLog, create_dynamodb_client
from app.social.users import NewUser, Users
from app.web import WebApplication
from harness.waiting import wait_until
from tests.conftest import empty_redis, empty_tables
from tests.support.api_routes import CALLERS
from tests.support.api_user import PASSWORD, insert_notification
from tests.support.isolated_app import environment_variables

_PASSWORD_HASH = PasswordHashing().hash(PASSWORD)


@pytest.fixture(scope="module")
def app_services(
    environment: dict[str, str], application: WebApplication, shared_engine: Engine
) -> Iterator[SharedServices]:
    """Stores without data at the start of the module, whose tests use users of their own."""
    empty_tables(shared_engine)
    with redis.Redis.from_url(environment["REDIS_URL"]) as connection:
        empty_redis(connection)
    with environment_variables(environment):
        wait_until(lambda: _try_create_delivery_log(environment), "the delivery log", 60.0)
        yield application.web_services.services


def _try_create_delivery_log(environment: dict[str, str]) -> bool:
    """DynamoDB Local takes seconds for its first call on a busy machine."""
    with suppress(Unavailable):
        DeliveryLog(create_dynamodb_client(environment["DYNAMODB_ENDPOINT_URL"], "us-east-1")).create_table()
        return True
    return False


@pytest.fixture(scope="module")
def app(application: WebApplication) -> Flask:
    return application.flask_app


@dataclass(frozen=True)
class RouteTestData:
    """Three users, and what the owner has. The names in braces of the table are these fields."""

    other: str
    owner: str
    admin: str
    post: str
    comment: str
    row: str
    unknown: str
    view: str = "likes"
    service: str = "redis"
    worker: str = "bridge"

    @property
    def email(self) -> str:
        return f"owner_{self.owner[-12:]}@example.org"


@pytest.fixture
def route_data(app_services: SharedServices) -> RouteTestData:
    user_id_by_role = {role: new_id() for role in CALLERS[1:]}
    for role, user_id in user_id_by_role.items():
        name = f"{role}_{user_id[-12:]}"
        role_name = "admin" if role == "admin" else "user"
        Users(app_services.engine).create(
            NewUser(user_id, f"{name}@example.org", name, role.title(), _PASSWORD_HASH, role_name)
        )
    return RouteTestData(**user_id_by_role, **_create_owner_content(app_services, user_id_by_role["owner"]))


def _create_owner_content(app_services: SharedServices, owner_id: str) -> dict[str, str]:
    post_id = app_services.actions.create_post(owner_id, "Hello", None)
    comment = app_services.actions.create_comment(owner_id, post_id, "Hi")
    return {
        "post": post_id,
        "comment": comment.id,
        "row": insert_notification(app_services.engine, owner_id, 1),
        "unknown": new_id(),
    }


def auth_headers(app_services: SharedServices, route_data: RouteTestData, caller: str) -> dict[str, str]:
    if caller == "anonymous":
        return {}
    claims = {
        "sub": getattr(route_data, caller),
        "exp": int(time.time()) + 60,
        "jti": new_id(),
        "type": "access",
    }
    token = jwt.encode(claims, app_services.settings.web.jwt_secret_key, algorithm="HS256")
    return {"Authorization": f"Bearer {token}"}
