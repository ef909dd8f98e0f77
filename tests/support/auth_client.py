"""AuthClient: a registered user and the devices of the log-ins."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.bootstrap import SharedServices
from app.domain.event_codec import parse_event
from app.domain.events import Event, Kind
from app.domain.redaction import get_encrypted_body
from app.messaging.fallback_queue import FallbackQueue
from app.messaging.message_encryption import MessageEncryption

PASSWORD, OTHER = "Passw0rd", "An0ther-one"
HOME = {"User-Agent": "Firefox"}


@pytest.fixture
def client(isolated_app: Flask) -> FlaskClient:
    return isolated_app.test_client()


class AuthClient:
    """A registered user and the devices of the log-ins."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        body = {"email": "Alice@example.org", "username": "alice", "password": PASSWORD}
        self.first = self.post("/register", body)
        self.id: str = self.first.user["id"]

    def post(self, path: str, body: Any = None, token: str | None = None, **headers: str) -> Any:
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        response = self.client.post(f"/api/auth{path}", json=body or {}, headers=HOME | bearer | headers)
        return SimpleNamespace(status=response.status_code, **(response.json or {}))

    def log_in(self, password: str = PASSWORD, **headers: str) -> Any:
        body = {"email": "alice@example.org", "password": password}
        return self.post("/login", body, **headers)

    def is_logged_in_with(self, token: str) -> bool:
        response = self.client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
        return response.status_code == 200

    def refresh(self, token: str) -> Any:
        return self.post("/refresh", {"refreshToken": token})


@pytest.fixture
def alice(client: FlaskClient) -> AuthClient:
    return AuthClient(client)


@pytest.fixture
def read_critical_texts(isolated_services: SharedServices) -> Callable[[Kind], list[str]]:
    """The decrypted texts of the critical events, in the copies that wait for Kafka."""
    queue = FallbackQueue(isolated_services.engine, max_retries=0)

    def read_texts(kind: Kind) -> list[str]:
        records = [row.record for row in queue.list_pending_rows(0, 100)]
        events = [parse_event(record.value) for record in records if record is not None]
        return [decrypt(event) for event in events if event.kind is kind]

    def decrypt(event: Event) -> str:
        encrypted = get_encrypted_body(event.metadata)
        secret = isolated_services.settings.web.secret_key
        return MessageEncryption(secret).decrypt(encrypted) if encrypted else str(event.message)

    return read_texts
