"""Fixtures of web applications: on fakes, and on real services without data."""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from app.accounts import passwords
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
from tests.support.isolated_app import (
    application,
    application_environment,
    isolated_app,
    isolated_application,
    isolated_services,
)

__all__ = [
    "app",
    "application",
    "application_environment",
    "client",
    "clock",
    "fake_actions",
    "fake_application",
    "fake_services",
    "isolated_app",
    "isolated_application",
    "isolated_services",
    "settings",
    "shared_fake_application",
    "user_id",
    "web_application",
]


@pytest.fixture(scope="session", autouse=True)
def cheap_password_hashes() -> Iterator[None]:
    """A real hash takes 50 ms, and most tests register a user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_ARGON2", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield
