"""One set of services for all tests here; a crew per module, gone before others begin."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from app.settings import load
from app.wiring import build
from tests.conftest import empty_tables
from tests.services.crew import NAMES, Crew, Member
from tests.services.stage import Stage
from tests.services.town import Town


@pytest.fixture(scope="session")
def short_windows(environment: dict[str, str]) -> dict[str, str]:
    return environment | {
        "AGGREGATION_WINDOW_SECONDS": "1.5",
        "AGGREGATION_JITTER_SECONDS": "0.5",
        "BREAKER_RESET_SECONDS": "1",
        "LOG_FORMAT": "text",
    }


@pytest.fixture(scope="module")
def _stage(
    short_windows: dict[str, str], _engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    empty_tables(_engine)
    connection = redis.Redis.from_url(short_windows["REDIS_URL"])
    connection.flushall()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in short_windows.items():
            patch.setenv(name, value)
        parts = build(load())
    folder: Path = tmp_path_factory.mktemp("crew")
    crew = Crew(short_windows, folder, connection)
    try:
        for name in NAMES:
            crew.hire(name)
        crew.opens()
        yield Stage(crew, parts, _engine)
    finally:
        crew.dismiss()
        connection.close()
        parts.engine.dispose()
        parts.urgent.dispose()


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    """The crew is complete and stays so, or the test has failed."""
    for name in NAMES:
        if not _stage.crew.members[name].alive:  # a failed test before this one left a gap
            _stage.crew.hire(name)
    yield _stage
    assert all(_stage.crew.members[name].alive for name in NAMES), _stage.crew.evidence()


@pytest.fixture(scope="module")
def _webs(_stage: Stage) -> list[Member]:
    """Two web processes side by side. The crew sends them home with the others."""
    return [_stage.crew.web(), _stage.crew.web()]


@pytest.fixture
def town(stage: Stage, _webs: list[Member]) -> Town:
    return Town(stage, _webs)
