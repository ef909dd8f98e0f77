"""Fixtures for tests of the admin pages.

admin          a user with the role "admin"
live_database  the engine of the running system's PostgreSQL
long_windows   until the test ends, the aggregator opens windows of ten minutes
"""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from harness.fixtures import make_admin
from tests.browser.conftest import RegisterUser
from tests.support.server import WebServer
from tests.support.user import BrowserUser


@pytest.fixture
def admin(register_user: RegisterUser, shared_engine: Engine) -> BrowserUser:
    user = register_user("Olga")
    make_admin(shared_engine, user.id)
    return user


@pytest.fixture
def live_database(shared_engine: Engine) -> Engine:
    """Tables are not emptied: the system keeps running."""
    return shared_engine


@pytest.fixture
def long_windows(web_server: WebServer, admin: BrowserUser) -> Iterator[None]:
    window_settings = {"AGGREGATION_WINDOW_SECONDS": "600", "AGGREGATION_JITTER_SECONDS": "0"}
    web_server.processes.restart("aggregator", **window_settings)
    yield
    web_server.processes.restart("aggregator")
    admin.request_ok("POST", "/api/admin/windows/flush")
