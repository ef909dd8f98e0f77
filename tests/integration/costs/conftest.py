"""Fixtures of the web application, as in tests/integration/http."""

from tests.support.api_user import alice, bob
from tests.support.fake_app import client
from tests.support.isolated_app import (
    application,
    application_environment,
    isolated_app,
    isolated_application,
    isolated_services,
)

__all__ = [
    "alice",
    "application",
    "application_environment",
    "bob",
    "client",
    "isolated_app",
    "isolated_application",
    "isolated_services",
]
