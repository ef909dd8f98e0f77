"""Fixtures of web applications: on fakes, and on real services without data."""

from tests.support.fake_app import (
    app,
    client,
    clock,
    fake_actions,
    fake_services,
    settings,
    user_id,
    web_application,
)
from tests.support.isolated_app import isolated_app, isolated_application, isolated_services

__all__ = [
    "app",
    "client",
    "clock",
    "fake_actions",
    "fake_services",
    "isolated_app",
    "isolated_application",
    "isolated_services",
    "settings",
    "user_id",
    "web_application",
]
