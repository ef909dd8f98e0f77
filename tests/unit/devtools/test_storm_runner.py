"""How a storm ends: with the reason when it fails, and with its result when it dies while it cleans up."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.devtools.storm import runner as runner_module
from app.devtools.storm.options import StormOptions
from app.devtools.storm.runner import StormCancelled, StormRunner
from app.devtools.storm.storms import CANCELLED, DONE, FAILED, INTERRUPTED, RUNNING, StormFolder, Storms
from app.domain.errors import Rejected, Unavailable
from app.settings import load_settings
from tests.support.fake_app import fake_environment


class _Runner(StormRunner):
    """Without services: instead of the storm and of the removal of its posts it calls functions of a test."""

    def __init__(self, folder: StormFolder) -> None:
        super().__init__(folder, load_settings())
        self.storm: Callable[[], None] = lambda: None
        self.removal: Callable[[], None] = lambda: None

    def _run_both_ways(self) -> None:
        self.storm()

    def _remove_leftovers(self) -> None:
        self.removal()


@pytest.fixture
def storms(tmp_path: Path) -> Storms:
    (tmp_path / "storms").mkdir()
    return Storms(tmp_path)


@pytest.fixture
def runner(storms: Storms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Runner:
    for name, value in fake_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(runner_module, "CLEAN_UP_PAUSE_SECONDS", 0.0)
    return _Runner(storms._create_folder(StormOptions()))


def _raise(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def _state(storms: Storms) -> dict[str, Any]:
    (state,) = storms.list_newest()
    return state


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (Rejected("Post not found", "post_not_found", 404), FAILED, "Post not found"),
        (Unavailable("PostgreSQL is unavailable"), FAILED, "PostgreSQL is unavailable"),
        (StormCancelled(), CANCELLED, None),
    ],
)
def test_storm_that_fails_says_why(
    runner: _Runner, storms: Storms, error: Exception, state: str, message: str | None
) -> None:
    runner.storm = _raise(error)

    runner.run()

    assert (_state(storms)["state"], _state(storms)["error"]) == (state, message)


@pytest.mark.parametrize("error", [Rejected("Not yours", "forbidden", 403), Unavailable("PostgreSQL")])
def test_failed_removal_does_not_change_the_result(runner: _Runner, storms: Storms, error: Exception) -> None:
    runner.removal = _raise(error)

    runner.run()

    assert (_state(storms)["state"], _state(storms)["phase"]) == (DONE, "")


def test_storm_that_dies_while_it_removes_its_posts_is_done(runner: _Runner, storms: Storms) -> None:
    class Killed(BaseException):
        pass

    runner.removal = _raise(Killed())

    with pytest.raises(Killed):
        runner.run()

    assert (_state(storms)["state"], _state(storms)["error"]) == (DONE, None)
    assert "outcome" not in _state(storms)


def test_storm_that_dies_before_has_no_result(runner: _Runner, storms: Storms) -> None:
    states: list[str] = []
    runner.storm = lambda: states.append(str(_state(storms)["state"]))

    runner.run()

    assert states == [INTERRUPTED]  # nobody holds the lock in this test
    assert _state(storms)["state"] != RUNNING


def test_pause_ends_when_the_storm_is_cancelled(runner: _Runner, storms: Storms) -> None:
    folder = storms._find(_state(storms)["id"])
    folder.cancel()
    started_at = time.monotonic()

    with pytest.raises(StormCancelled):
        runner._pause(10.0)

    assert time.monotonic() - started_at < 2
