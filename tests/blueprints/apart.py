"""A web application of one test: on real stores that are empty."""

from collections.abc import Iterator

import pytest
import redis
from flask import Flask
from sqlalchemy import Engine

from app.settings import load
from app.web import create_app
from app.wiring import build


@pytest.fixture
def web(
    environment: dict[str, str],
    engine: Engine,
    real_redis: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Flask]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    parts = build(load())
    yield create_app(parts)
    parts.engine.dispose()
    parts.urgent.dispose()
    parts.redis.close()
