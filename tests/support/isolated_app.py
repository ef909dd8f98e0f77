"""A web application of one test, on real services without data."""

from collections.abc import Iterator

import pytest
import redis
from flask import Flask
from sqlalchemy import Engine

from app.bootstrap import SharedServices, build_shared_services
from app.settings import load_settings
from app.web import WebApplication
from tests.support.web_application import create_web_application


@pytest.fixture
def isolated_application(
    environment: dict[str, str],
    engine: Engine,
    real_redis: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[WebApplication]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    app_services = build_shared_services(load_settings())
    yield create_web_application(app_services)
    app_services.engine.dispose()
    app_services.critical_engine.dispose()
    app_services.redis.close()


@pytest.fixture
def isolated_app(isolated_application: WebApplication) -> Flask:
    return isolated_application.flask_app


@pytest.fixture
def isolated_services(isolated_application: WebApplication) -> SharedServices:
    return isolated_application.web_services.services
