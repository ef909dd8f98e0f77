"""Slots: one per living process; that of a dead process goes to its successor."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.slots import instance_id
from tests.conftest import ROOT

HOLDS = """
import sys
from pathlib import Path
from app.slots import instance_id
print(instance_id(Path(sys.argv[1]), sys.argv[2]), flush=True)
sys.stdin.read()
"""


class Holder:
    """A process that holds a slot until it ends."""

    def __init__(self, folder: Path, process: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDS, str(folder), process],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.instance = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


Hold = Callable[..., Holder]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    with ExitStack() as stack:

        def held(process: str = "aggregator", folder: str = "slots") -> Holder:
            holder = Holder(tmp_path / folder, process)
            stack.callback(holder.kill)
            return holder

        yield held


def test_living_processes_have_different_ids(hold: Hold) -> None:
    instances = {hold().instance, hold().instance, hold("deliverer").instance}

    assert len(instances) == 3


def test_the_successor_of_a_killed_process_has_its_id(hold: Hold) -> None:
    first, other = hold(), hold()

    first.kill()

    assert hold().instance == first.instance != other.instance


def test_a_frozen_process_keeps_its_id(hold: Hold) -> None:
    frozen = hold()
    frozen.process.send_signal(signal.SIGSTOP)

    assert hold().instance != frozen.instance


def test_two_installations_on_one_machine_have_different_ids(hold: Hold) -> None:
    assert hold(folder="one").instance != hold(folder="other").instance


def test_an_id_is_what_kafka_allows_as_a_name(hold: Hold) -> None:
    instance = hold().instance

    assert len(instance) < 100
    assert all(letter.isalnum() or letter in "._-" for letter in instance)


def test_one_process_asks_twice_and_has_one_id(tmp_path: Path) -> None:
    assert instance_id(tmp_path, "aggregator") == instance_id(tmp_path, "aggregator")


def test_where_no_file_can_be_made_there_is_no_id(tmp_path: Path) -> None:
    (tmp_path / "slots").write_text("a file, where the folder should be")

    assert instance_id(tmp_path / "slots", "aggregator") is None
