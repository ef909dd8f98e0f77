"""Kafka instance ids: one per living process; the id of a dead process goes to its successor."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.messaging.static_membership import claim_instance_id
from tests.conftest import ROOT

HOLD_ID_SCRIPT = """
import sys
from pathlib import Path
from app.messaging.static_membership import claim_instance_id
print(claim_instance_id(Path(sys.argv[1]), sys.argv[2]), flush=True)
sys.stdin.read()
"""


class InstanceIdHolder:
    """A process that holds an instance id until it ends."""

    def __init__(self, folder: Path, process: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD_ID_SCRIPT, str(folder), process],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.instance_id = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


StartHolder = Callable[..., InstanceIdHolder]


@pytest.fixture
def start_holder(tmp_path: Path) -> Iterator[StartHolder]:
    with ExitStack() as stack:

        def start(process: str = "aggregator", folder: str = "slots") -> InstanceIdHolder:
            holder = InstanceIdHolder(tmp_path / folder, process)
            stack.callback(holder.kill)
            return holder

        yield start


def test_living_processes_have_different_ids_that_kafka_accepts(start_holder: StartHolder) -> None:
    stopped = start_holder()
    stopped.process.send_signal(signal.SIGSTOP)

    holders = [
        stopped,
        start_holder(),
        start_holder("deliverer"),
        start_holder(folder="another installation"),
    ]

    instance_ids = {holder.instance_id for holder in holders}
    assert len(instance_ids) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,99}", instance_id) for instance_id in instance_ids)


def test_successor_of_a_killed_process_gets_its_id(start_holder: StartHolder) -> None:
    first, other = start_holder(), start_holder()

    first.kill()

    assert start_holder().instance_id == first.instance_id != other.instance_id


def test_second_claim_of_a_process_returns_the_same_id(tmp_path: Path) -> None:
    assert claim_instance_id(tmp_path, "aggregator") == claim_instance_id(tmp_path, "aggregator")


def test_no_id_without_a_writable_folder(tmp_path: Path) -> None:
    (tmp_path / "slots").write_text("a file, where the folder should be")

    assert claim_instance_id(tmp_path / "slots", "aggregator") is None
