"""Members with a name of their own (static membership), on Kafka: who dies, leaves, is replaced."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from app.domain.errors import Unavailable
from app.streams.kafka import SESSION_MS, Subscriber
from tests.conftest import ROOT
from tests.contract.brokers import PARTITIONS, Real, commit, polled, publish, values
from tests.contract.waiting import until

pytestmark = pytest.mark.service
AT_ONCE_SECONDS = SESSION_MS / 2000
"""Half a session: nobody waited for the end of one."""
MEMBER = """
import sys
from app.streams.kafka import Subscriber
subscriber = Subscriber(tuple(sys.argv[1].split(",")), "one", sys.argv[2], sys.argv[3])
while True:
    for record in subscriber.poll(0.1, 100):
        print(record.partition, flush=True)
"""


@pytest.fixture
def real(environment: dict[str, str]) -> Iterator[Real]:
    real = Real(tuple(environment["KAFKA_BOOTSTRAP_SERVERS"].split(",")))
    yield real
    real.close()


@pytest.fixture
def servers(environment: dict[str, str]) -> str:
    return environment["KAFKA_BOOTSTRAP_SERVERS"]


def member_of_its_own(servers: str, real: Real, instance: str) -> "subprocess.Popen[str]":
    """A process that has joined and reads; it commits nothing."""
    command = [sys.executable, "-c", MEMBER, servers, real.topic, instance]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip().isdigit()
    return process


def member(real: Real, instance: str) -> Subscriber:
    subscriber = real.subscriber("one")
    subscriber._instance = instance
    return subscriber


def everywhere(real: Real) -> None:
    """A record in each partition at least."""
    publish(real, *((str(n), str(n)) for n in range(30)))


def test_the_successor_of_killed_members_reads_at_once(real: Real, servers: str) -> None:
    everywhere(real)
    for _ in range(5):
        member_of_its_own(servers, real, "first").kill()

    began = time.monotonic()
    read = polled(member(real, "first"), 30)

    assert len(read) == 30
    assert time.monotonic() - began < AT_ONCE_SECONDS


def test_a_member_with_another_name_waits_for_the_session_of_a_killed_one(
    real: Real, servers: str
) -> None:
    """What the name is good for; and what happens where a machine is lost."""
    everywhere(real)
    member_of_its_own(servers, real, "first").kill()

    began = time.monotonic()
    read = polled(member(real, "second"), 30)

    assert len(read) == 30
    assert AT_ONCE_SECONDS < time.monotonic() - began < 10


def test_a_member_that_is_closed_leaves_its_partitions_to_others_at_once(real: Real) -> None:
    everywhere(real)
    first, second = member(real, "first"), member(real, "second")
    assert len(polled(first, 30)) == 30

    first.close()
    began = time.monotonic()

    assert len(polled(second, 30)) == 30
    assert time.monotonic() - began < AT_ONCE_SECONDS


def test_a_member_whose_name_was_taken_over_commits_nothing_and_says_so(real: Real) -> None:
    publish(real, ("a", "1"))
    former, present = member(real, "first"), member(real, "first")
    records = polled(former, 1)
    assert values(polled(present, 1)) == ["1"]

    with pytest.raises(Unavailable):
        commit(former, records)


def test_two_members_with_names_share_the_partitions(real: Real) -> None:
    members = [member(real, "first"), member(real, "second")]
    seen: list[set[int]] = [set(), set()]

    def shared() -> bool:
        everywhere(real)
        for one, partitions in zip(members, seen, strict=True):
            partitions.clear()
            partitions |= {record.partition for record in one.poll(0.5, 100)}
        first, second = seen
        return bool(first) and bool(second) and len(first) + len(second) == PARTITIONS

    assert until(shared, seconds=30)
