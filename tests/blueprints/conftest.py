"""A web application on fakes: what a request costs and answers, without any service."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from fakeredis import FakeRedis
from flask import Flask
from flask.testing import FlaskClient

from app.actions import Standing, Wish
from app.settings import Settings, load
from app.stores.comments import Comment
from app.web import create_app

SECRET = "a test's secret that is long enough for HS256"


class NoDatabase:
    """An engine that must not be asked."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the database was asked: {name}")


@dataclass
class FakeActions:
    """Remembers the wishes; `fault` is raised instead of an answer."""

    wishes: list[tuple[str, str, Wish]] = field(default_factory=list)
    traces: list[str | None] = field(default_factory=list)
    fault: Exception | None = None

    def like(self, actor: str, post: str, wish: Wish, trace: str | None = None) -> Standing:
        if self.fault:
            raise self.fault
        self.wishes.append((actor, post, wish))
        self.traces.append(trace)
        return Standing(wish is not Wish.OFF, len(self.wishes))


@dataclass
class FakeComments:
    said: list[Comment] = field(default_factory=list)

    def of_post(self, post_id: str) -> list[Comment]:
        return self.said

    def counts(self, post_ids: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(post_ids, len(self.said))


@dataclass
class FakeClock:
    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    given = {
        "APP_MODE": "testing",
        "DATA_DIR": str(tmp_path),
        "ENV_FILE": str(tmp_path / "none"),
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:1",
        "JWT_SECRET_KEY": SECRET,
        "SECRET_KEY": SECRET,
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return load()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fakes(settings: Settings, clock: FakeClock) -> Any:
    return SimpleNamespace(
        settings=settings,
        engine=NoDatabase(),
        urgent=NoDatabase(),
        redis=FakeRedis(decode_responses=True),
        actions=FakeActions(),
        memberships=SimpleNamespace(),
        comments=FakeComments(),
        critical=SimpleNamespace(here=None),
        clock=clock,
    )


@pytest.fixture
def app(fakes: Any) -> Flask:
    return create_app(fakes)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def token(user_id: str, **claims: Any) -> str:
    """As a stranger makes one from the contract alone (contract 6.25)."""
    given = {
        "sub": user_id,
        "exp": int(time.time()) + 60,
        "jti": str(uuid.uuid4()),
        "type": "access",
    }
    secret = claims.pop("secret", SECRET)
    made = {name: value for name, value in (given | claims).items() if value is not None}
    return jwt.encode(made, secret, algorithm="HS256")


def bearer(user_id: str, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(user_id, **claims)}"}


@pytest.fixture
def user_id() -> str:
    return str(uuid.uuid4())
