"""The web application on real services: built once per run, with empty stores for each test.

A test that changes `environment` gets an application of its own. Objects that remember something for more
than a request must not depend on rows: the tables of each test are empty, the application is not new.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import redis
from flask import Flask
from sqlalchemy import Engine

from app.bootstrap import SharedServices, build_shared_services
from app.settings import load_settings
from app.web import WebApplication
from tests.support.web_application import create_web_application


@contextmanager
def environment_variables(environment: Mapping[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


@contextmanager
def build_services(environment: Mapping[str, str]) -> Iterator[SharedServices]:
    """The clients of a web process with this environment."""
    with environment_variables(environment):
        services = build_shared_services(load_settings())
    yield services
    services.engine.dispose()
    services.critical_engine.dispose()
    services.redis.close()


@contextmanager
def build_application(environment: Mapping[str, str]) -> Iterator[WebApplication]:
    with build_services(environment) as services:
        yield create_web_application(services)


@pytest.fixture(scope="session")
def application_environment(environment: dict[str, str]) -> dict[str, str]:
    """The environment before any test changes it."""
    return dict(environment)


@pytest.fixture(scope="session")
def application(application_environment: dict[str, str]) -> Iterator[WebApplication]:
    with build_application(application_environment) as application:
        yield application


@pytest.fixture
def isolated_application(
    environment: dict[str, str],
    application_environment: dict[str, str],
    application: WebApplication,
    engine: Engine,
    real_redis: redis.Redis,
) -> Iterator[WebApplication]:
    with environment_variables(environment):
        if environment == application_environment:
            yield application
            return
        with build_application(environment) as own_application:
            yield own_application


@pytest.fixture
def isolated_app(isolated_application: WebApplication) -> Flask:
    return isolated_application.flask_app


@pytest.fixture
def isolated_services(isolated_application: WebApplication) -> SharedServices:
    return isolated_application.web_services.services
