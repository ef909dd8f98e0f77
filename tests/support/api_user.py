"""ApiUser: a registered user of the application in this process, who calls its API; and its HTML forms."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from app.bootstrap import new_id
from harness.fixtures import make_admin

PASSWORD = "Passw0rd"


class ApiUser:
    def __init__(self, app: Flask, name: str) -> None:
        self.client = app.test_client()
        body = {"email": f"{name}@Example.org", "username": name, "password": PASSWORD}
        registration: Any = self.client.post("/api/auth/register", json=body).json
        self.id: str = registration["user"]["id"]
        self.headers = {"Authorization": f"Bearer {registration['token']}"}

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of the response, and its status."""
        response = self.client.open(path, method=method, json=body, headers=self.headers)
        assert response.json is not None
        return response.json | {"status": response.status_code}

    def create_post(self, caption: str = "Hello") -> str:
        return str(self("POST", "/api/posts", {"caption": caption})["post"]["id"])


@pytest.fixture
def alice(isolated_app: Flask) -> ApiUser:
    return ApiUser(isolated_app, "alice")


@pytest.fixture
def bob(isolated_app: Flask) -> ApiUser:
    return ApiUser(isolated_app, "bob")


def register_admin(app: Flask, engine: Engine) -> ApiUser:
    user = ApiUser(app, "admin_user")
    make_admin(engine, user.id)
    return user


@pytest.fixture
def admin(isolated_app: Flask, engine: Engine) -> ApiUser:
    return register_admin(isolated_app, engine)


def insert_notification(engine: Engine, user_id: str, seq: int) -> str:
    """Inserts a notification with this client seq, and its client event; returns its id."""
    values = {"id": new_id(), "user": user_id, "object": new_id(), "seq": seq}
    with engine.begin() as conn:
        conn.execute(text("update users set client_seq = :seq where id = :user"), values)
        conn.execute(
            text(
                "insert into notifications (id, user_id, type, priority, object_id, version, client_seq, "
                "actor_count) values (:id, :user, 'LIKE', 'LOW', :object, 1, :seq, 1)"
            ),
            values,
        )
        conn.execute(
            text(
                "insert into outbox (user_id, client_seq, client_event, payload) values (:user, :seq, "
                "'notification', jsonb_build_object('seq', cast(:seq as int)))"
            ),
            values,
        )
    return str(values["id"])


def csrf_token(client: FlaskClient, path: str = "/login") -> str:
    match = re.search(r'name="csrf" content="([^"]+)"', client.get(path, follow_redirects=True).text)
    assert match
    return match[1]


def sign_in(client: FlaskClient, email: str) -> str:
    """The CSRF token of the new session."""
    fields = {"csrf": csrf_token(client), "email": email, "password": PASSWORD}
    assert client.post("/login", data=fields).status_code == 303
    return csrf_token(client, "/")
