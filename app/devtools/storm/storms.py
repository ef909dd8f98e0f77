"""Starts, lists, cancels and deletes storms. Each has a folder below DATA_DIR/storms:

state.json     options, phase, figures and ledger; replaced as a whole
samples.jsonl  one line a second while it runs
cancel         exists once somebody cancelled it

A storm is a process of its own (runner.py) that holds the lock of the folder `storms` until it ends: one at a
time, whoever starts it, and a storm without it whose state is "running" has died.
"""

import fcntl
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import uuid_utils

from app.devtools.service_control import PROJECT_ROOT
from app.devtools.storm.options import StormOptions
from app.domain.errors import define_rejection

RUNNER_MODULE = "app.devtools.storm.runner"
RUNNING, DONE, CANCELLED, FAILED, INTERRUPTED = "running", "done", "cancelled", "failed", "interrupted"
MAX_KEPT = 20
LOCK_TIMEOUT_SECONDS = 0.3
ALREADY_RUNNING = define_rejection("A storm is running already", "busy", 409)
STORM_NOT_FOUND = define_rejection("Storm not found", "storm_not_found", 404)
INTERRUPTION = {"state": INTERRUPTED, "error": "Its process ended before it was complete"}
_STORM_ID = re.compile(r"[0-9a-f-]{36}")


class StormFolder:
    """The files of one storm. Written by its runner, read by everybody else."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def storm_id(self) -> str:
        return self.path.name

    @property
    def request_log_path(self) -> Path:
        return self.path / "requests.jsonl"

    @property
    def is_cancelled(self) -> bool:
        return (self.path / "cancel").exists()

    def cancel(self) -> None:
        (self.path / "cancel").touch()

    def write_state(self, state: dict[str, Any]) -> None:
        """Readers see the previous state or this one, nothing in between."""
        temporary_path = self.path / "state.tmp"
        temporary_path.write_text(json.dumps(state))
        temporary_path.replace(self.path / "state.json")

    def read_state(self) -> dict[str, Any]:
        """Raises Rejected (404)."""
        try:
            return dict(json.loads((self.path / "state.json").read_text()))
        except FileNotFoundError as exc:
            raise STORM_NOT_FOUND from exc

    def append_sample(self, sample: dict[str, Any]) -> None:
        with (self.path / "samples.jsonl").open("a") as file:
            file.write(json.dumps(sample) + "\n")

    def read_samples(self, skipped_count: int) -> list[dict[str, Any]]:
        """The samples after the first `skipped_count`. Ignores an incomplete last line."""
        samples = []
        with suppress(FileNotFoundError), (self.path / "samples.jsonl").open() as lines:
            for number, line in enumerate(lines):
                if number >= skipped_count and line.endswith("\n"):
                    samples.append(json.loads(line))
        return samples


class Storms:
    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir.resolve() / "storms"

    def start(self, options: StormOptions) -> str:
        """Starts a storm in a process of its own and returns its id. Raises Rejected (409)."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._open_lock() as lock_file:
            if not _lock_exclusively(lock_file):
                raise ALREADY_RUNNING
            folder = self._create_folder(options)
            with (folder.path / "log.txt").open("wb") as log_file:
                # The runner inherits the lock, and keeps it when this file is closed.
                subprocess.Popen(  # noqa: S603 - this project's own module
                    [sys.executable, "-m", RUNNER_MODULE, str(folder.path)],
                    cwd=PROJECT_ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log_file,
                    stderr=log_file,
                    start_new_session=True,
                    pass_fds=[lock_file.fileno()],
                )
        return folder.storm_id

    def list_newest(self) -> list[dict[str, Any]]:
        """The states, newest first."""
        return [self._read_state(folder) for folder in self._folders()]

    def get(self, storm_id: str, skipped_samples: int = 0) -> dict[str, Any]:
        """The state, with the samples after the first `skipped_samples`. Raises Rejected (404)."""
        folder = self._find(storm_id)
        state = self._read_state(folder)
        # Read afterwards: the samples of a storm that has ended are complete.
        return state | {"samples": folder.read_samples(skipped_samples)}

    def find_shown(
        self, states: list[dict[str, Any]], shown_id: str, skipped_samples: int
    ) -> dict[str, Any] | None:
        """That of `states` with this id, with the samples after the first `skipped_samples`; else the newest,
        with all. None: there is no storm. Another process may delete one meanwhile."""
        is_known = any(state["id"] == shown_id for state in states)
        storm_id = shown_id if is_known else next((state["id"] for state in states), None)
        with suppress(STORM_NOT_FOUND):
            if storm_id is not None:
                return self.get(storm_id, skipped_samples if is_known else 0)
        return None

    def cancel_or_delete(self, storm_id: str) -> bool:
        """Whether it was running, and is cancelled now; else it is deleted. Raises Rejected (404)."""
        folder = self._find(storm_id)
        if self._read_state(folder)["state"] == RUNNING:
            folder.cancel()
            return True
        shutil.rmtree(folder.path, ignore_errors=True)
        return False

    def _create_folder(self, options: StormOptions) -> StormFolder:
        for kept in self._folders()[MAX_KEPT - 1 :]:
            shutil.rmtree(kept.path, ignore_errors=True)
        folder = StormFolder(self._folder / str(uuid_utils.uuid7()))
        folder.path.mkdir(mode=0o700)
        folder.write_state(
            {
                "id": folder.storm_id,
                "createdAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "options": asdict(options),
                "state": RUNNING,
                "phase": "Starting",
                "ways": {},
                "comparison": [],
                "remarks": [],
                "error": None,
                # How it ended, while the runner still removes its posts.
                "outcome": None,
            }
        )
        return folder

    def _folders(self) -> list[StormFolder]:
        """Newest first: the ids are ordered by time."""
        paths = self._folder.iterdir() if self._folder.is_dir() else ()
        found = [path for path in paths if _STORM_ID.fullmatch(path.name) and (path / "state.json").exists()]
        return [StormFolder(path) for path in sorted(found, reverse=True)]

    def _find(self, storm_id: str) -> StormFolder:
        for folder in self._folders():
            if folder.storm_id == storm_id:
                return folder
        raise STORM_NOT_FOUND

    def _read_state(self, folder: StormFolder) -> dict[str, Any]:
        state = folder.read_state()
        if state["state"] == RUNNING and not self._is_locked():
            state = folder.read_state()  # it may have ended in between
            if state["state"] == RUNNING:
                state |= state.get("outcome") or INTERRUPTION
        return {name: value for name, value in state.items() if name != "outcome"}

    def _is_locked(self) -> bool:
        with self._open_lock() as lock_file:
            return not _try_lock(lock_file, fcntl.LOCK_SH)

    @contextmanager
    def _open_lock(self) -> Iterator[IO[str]]:
        with (self._folder / "lock").open("a") as lock_file:
            yield lock_file


def _lock_exclusively(lock_file: IO[str]) -> bool:
    """Waits for those who only look whether it is locked."""
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while not _try_lock(lock_file, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _try_lock(lock_file: IO[str], operation: int) -> bool:
    try:
        fcntl.flock(lock_file, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
