"""AdminApiUser: a user of the admin API, by default an administrator."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text


class AdminApiUser:
    """A user of the API, by default an administrator."""

    def __init__(self, app: Flask, engine: Engine, role: str = "admin") -> None:
        self._client = app.test_client()
        name = f"{role}_user"
        body = {"email": f"{name}@example.org", "username": name, "password": "Passw0rd"}
        registration: Any = self._client.post("/api/auth/register", json=body).json
        self.id: str = registration["user"]["id"]
        self._headers = {"Authorization": f"Bearer {registration['token']}"}
        with engine.begin() as conn:
            conn.execute(text("update users set role = :r where id = :i"), {"r": role, "i": self.id})

    def __call__(self, route: str, body: Any = None) -> Any:
        method, _, path = route.partition(" ")
        response = self._client.open(f"/api/admin{path}", method=method, json=body, headers=self._headers)
        assert response.json is not None
        return response.json | {"status": response.status_code}


@pytest.fixture
def admin(isolated_app: Flask, engine: Engine) -> AdminApiUser:
    return AdminApiUser(isolated_app, engine)
