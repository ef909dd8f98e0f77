"""A web application on fakes, for tests of requests without any service."""

import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jwt
import pytest
from fakeredis import FakeRedis
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from app.bootstrap import SharedServices
from app.ingest.actions import DesiredState, MembershipState
from app.ingest.comments import Comment
from app.settings import Settings, load_settings
from app.web import WebApplication
from tests.support.web_application import create_web_application

JWT_SECRET = "a test's secret that is long enough for HS256"


class ForbiddenEngine:
    """An engine that must not be used."""

    def execution_options(self, **_: object) -> "ForbiddenEngine":
        return self

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the database was used: {name}")


@dataclass
class FakeActions:
    """Records its calls; raises `error` if it is set."""

    set_like_calls: list[tuple[str, str, DesiredState]] = field(default_factory=list)
    traceparents: list[str | None] = field(default_factory=list)
    event_ids: list[str | None] = field(default_factory=list)
    is_ingress_full: bool = False
    """A like that exists is accepted without an event."""
    error: Exception | None = None

    def reset(self) -> None:
        self.is_ingress_full = False
        self.set_like_calls.clear()
        self.traceparents.clear()
        self.event_ids.clear()
        self.error = None

    def set_like(
        self,
        actor_id: str,
        post_id: str,
        desired_state: DesiredState,
        traceparent: str | None = None,
        event_id: str | None = None,
    ) -> MembershipState:
        if self.error:
            raise self.error
        self.set_like_calls.append((actor_id, post_id, desired_state))
        self.traceparents.append(traceparent)
        self.event_ids.append(event_id)
        return MembershipState(
            desired_state is not DesiredState.OFF, len(self.set_like_calls), not self.is_ingress_full
        )


@dataclass
class FakeComments:
    comments: list[Comment] = field(default_factory=list)

    def list_by_post(self, post_id: str) -> list[Comment]:
        return self.comments


@dataclass
class CallableClock:
    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.now


def fake_environment(data_dir: Path) -> dict[str, str]:
    """Of services that do not exist."""
    return {
        "APP_MODE": "testing",
        "DATA_DIR": str(data_dir),
        "ENV_FILE": str(data_dir / "none"),
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:1",
        "JWT_SECRET_KEY": JWT_SECRET,
        "SECRET_KEY": JWT_SECRET,
    }


def load_fake_settings(data_dir: Path) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in fake_environment(data_dir).items():
            patch.setenv(name, value)
        return load_settings()


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_fake_settings(tmp_path_factory.mktemp("data"))


@dataclass(frozen=True)
class FakeWebApplication:
    """One application and the fakes behind it, used by all tests of a run: building takes 0.5 s."""

    clock: CallableClock
    actions: FakeActions
    services: SharedServices
    web_application: WebApplication

    def reset(self) -> None:
        self.clock.now = time.time()
        self.actions.reset()
        self.services.redis.flushall()


def build_fake_application(settings: Settings, engine: Engine | None = None) -> FakeWebApplication:
    """`engine` must not be used if none is given."""
    clock, actions = CallableClock(), FakeActions()
    services = build_fake_services(settings, clock, actions)
    if engine:
        services = replace(services, engine=engine)
    return FakeWebApplication(clock, actions, services, create_web_application(services))


@pytest.fixture(scope="session")
def shared_fake_application(settings: Settings) -> FakeWebApplication:
    return build_fake_application(settings)


@pytest.fixture
def fake_application(shared_fake_application: FakeWebApplication) -> FakeWebApplication:
    shared_fake_application.reset()
    return shared_fake_application


@pytest.fixture
def clock(fake_application: FakeWebApplication) -> CallableClock:
    return fake_application.clock


@pytest.fixture
def fake_actions(fake_application: FakeWebApplication) -> FakeActions:
    return fake_application.actions


@pytest.fixture
def fake_services(fake_application: FakeWebApplication) -> SharedServices:
    return fake_application.services


def build_fake_services(
    settings: Settings, clock: CallableClock, fake_actions: FakeActions
) -> SharedServices:
    unused, forbidden_engine = cast("Any", SimpleNamespace()), cast("Any", ForbiddenEngine())
    return SharedServices(
        settings=settings,
        engine=forbidden_engine,
        critical_engine=forbidden_engine,
        redis=FakeRedis(decode_responses=True),
        actions=cast("Any", fake_actions),
        memberships=unused,
        comments=cast("Any", FakeComments()),
        ingress=unused,
        redis_failover=unused,
        windows=unused,
        push_publisher=unused,
        critical_publisher=unused,
        heartbeats=unused,
        removals=unused,
        now=clock,
    )


@pytest.fixture
def web_application(fake_application: FakeWebApplication) -> WebApplication:
    return fake_application.web_application


@pytest.fixture
def app(web_application: WebApplication) -> Flask:
    return web_application.flask_app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def make_access_token(user_id: str, **claims: Any) -> str:
    """A token made without the product's own code."""
    default_claims = {
        "sub": user_id,
        "exp": int(time.time()) + 60,
        "jti": str(uuid.uuid4()),
        "type": "access",
    }
    secret = claims.pop("secret", JWT_SECRET)
    payload = {name: value for name, value in (default_claims | claims).items() if value is not None}
    return jwt.encode(payload, secret, algorithm="HS256")


def auth_header(user_id: str, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {make_access_token(user_id, **claims)}"}


@pytest.fixture
def user_id() -> str:
    return str(uuid.uuid4())
