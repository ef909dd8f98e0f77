"""Fixtures of a web application on fakes (tests/support/fake_app.py)."""

from tests.support.fake_app import (
    app,
    client,
    clock,
    fake_actions,
    fake_application,
    fake_services,
    settings,
    shared_fake_application,
    user_id,
    web_application,
)

__all__ = [
    "app",
    "client",
    "clock",
    "fake_actions",
    "fake_application",
    "fake_services",
    "settings",
    "shared_fake_application",
    "user_id",
    "web_application",
]
