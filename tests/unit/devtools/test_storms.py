"""The folders of storms: one at a time, progress of a running one, and what becomes of one that died."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.devtools.storm import storms as storms_module
from app.devtools.storm.options import StormOptions
from app.devtools.storm.storms import DONE, INTERRUPTED, RUNNING, StormFolder, Storms
from app.domain.errors import Rejected

UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def storms(tmp_path: Path) -> Storms:
    return Storms(tmp_path)


@pytest.fixture
def folder(storms: Storms, tmp_path: Path) -> StormFolder:
    """Of a storm that is being started."""
    (tmp_path / "storms").mkdir()
    return storms._create_folder(StormOptions())


@contextmanager
def _lock(tmp_path: Path) -> Iterator[None]:
    """As the runner of a storm holds it."""
    with (tmp_path / "storms" / "lock").open("a") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        yield


def test_running_storm_shows_its_new_samples_and_can_be_cancelled(
    storms: Storms, folder: StormFolder, tmp_path: Path
) -> None:
    for second in range(3):
        folder.append_sample({"second": second})

    with _lock(tmp_path):
        state = storms.get(folder.storm_id, 1)
        assert (state["state"], state["samples"]) == (RUNNING, [{"second": 1}, {"second": 2}])
        assert not folder.is_cancelled
        assert storms.cancel_or_delete(folder.storm_id)
        assert folder.is_cancelled


def test_storm_whose_process_died_is_interrupted_and_can_be_deleted(
    storms: Storms, folder: StormFolder
) -> None:
    (state,) = storms.list_newest()

    assert (state["state"], state["id"]) == (INTERRUPTED, folder.storm_id)
    assert not storms.cancel_or_delete(folder.storm_id)
    assert storms.list_newest() == []


def test_incomplete_last_line_of_the_samples_is_ignored(storms: Storms, folder: StormFolder) -> None:
    folder.append_sample({"second": 0})
    with (folder.path / "samples.jsonl").open("a") as file:
        file.write('{"second": ')

    assert storms.get(folder.storm_id)["samples"] == [{"second": 0}]


def test_page_gets_the_new_samples_of_the_storm_that_it_shows(storms: Storms, folder: StormFolder) -> None:
    newer = storms._create_folder(StormOptions())
    for each, second in ((folder, 0), (folder, 1), (newer, 7)):
        each.append_sample({"second": second})
    states = storms.list_newest()

    def shown(storm_id: str, skipped_samples: int) -> tuple[str, list[dict[str, int]]]:
        state = storms.find_shown(states, storm_id, skipped_samples)
        assert state is not None
        return state["id"], state["samples"]

    assert shown(folder.storm_id, 1) == (folder.storm_id, [{"second": 1}])
    assert shown("", 5) == shown(UNKNOWN_ID, 5) == (newer.storm_id, [{"second": 7}])
    assert storms.find_shown([], "", 0) is None


def test_second_storm_is_refused_while_one_runs(storms: Storms, folder: StormFolder, tmp_path: Path) -> None:
    with _lock(tmp_path), pytest.raises(Rejected) as refusal:
        storms.start(StormOptions())

    assert refusal.value.status == 409


def test_oldest_storms_are_not_kept(
    storms: Storms, folder: StormFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storms_module, "MAX_KEPT", 2)
    folder.write_state(folder.read_state() | {"state": DONE})
    newer_ids = [storms._create_folder(StormOptions()).storm_id for _ in range(2)]

    assert [state["id"] for state in storms.list_newest()] == newer_ids[::-1]


@pytest.mark.parametrize("storm_id", [UNKNOWN_ID, "lock", "..", ""])
def test_unknown_storm_is_not_found(storms: Storms, folder: StormFolder, storm_id: str) -> None:
    for call in (storms.get, storms.cancel_or_delete):
        with pytest.raises(Rejected, match="not found"):
            call(storm_id)
