"""Static members of a consumer group on Kafka: killed, closed and replaced ones."""

import subprocess
import sys
import time

import pytest

from app.domain.errors import Unavailable
from app.messaging.consumer import SESSION_TIMEOUT_MS, KafkaSubscriber
from harness.waiting import poll_until
from tests.conftest import ROOT
from tests.support.brokers import (
    PARTITION_COUNT,
    KafkaTopic,
    commit_records,
    poll_records,
    publish_pairs,
    text_values,
)

pytestmark = [pytest.mark.service, pytest.mark.time_limit]
NO_SESSION_WAIT_SECONDS = SESSION_TIMEOUT_MS / 2000
"""Half a session time-out: less than this means that no session had to expire."""
MEMBER_PROGRAM = """
import sys
from app.kafka_settings import KafkaConnection
from app.messaging.consumer import KafkaSubscriber
connection = KafkaConnection(tuple(sys.argv[1].split(",")))
subscriber = KafkaSubscriber(connection, "group", sys.argv[2], sys.argv[3])
while True:
    for record in subscriber.poll(0.1, 100):
        print(record.partition, flush=True)
"""


@pytest.fixture
def kafka_topic(real_kafka_topic: KafkaTopic) -> KafkaTopic:
    return real_kafka_topic


@pytest.fixture
def bootstrap_servers(environment: dict[str, str]) -> str:
    return environment["KAFKA_BOOTSTRAP_SERVERS"]


def start_member_process(
    bootstrap_servers: str, kafka_topic: KafkaTopic, instance_id: str
) -> "subprocess.Popen[str]":
    """A process that has joined the group and reads without committing."""
    command = [sys.executable, "-c", MEMBER_PROGRAM, bootstrap_servers, kafka_topic.topic, instance_id]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip().isdigit()
    return process


def new_member(kafka_topic: KafkaTopic, instance_id: str) -> KafkaSubscriber:
    subscriber = kafka_topic.subscriber("group")
    subscriber._group_instance_id = instance_id
    return subscriber


def publish_to_all_partitions(kafka_topic: KafkaTopic) -> None:
    """At least one record per partition."""
    publish_pairs(kafka_topic, *((str(n), str(n)) for n in range(30)))


def test_successor_with_the_same_instance_id_reads_at_once(
    kafka_topic: KafkaTopic, bootstrap_servers: str
) -> None:
    publish_to_all_partitions(kafka_topic)
    for _ in range(5):
        start_member_process(bootstrap_servers, kafka_topic, "first").kill()

    started_at = time.monotonic()
    records = poll_records(new_member(kafka_topic, "first"), 30)

    assert len(records) == 30
    assert time.monotonic() - started_at < NO_SESSION_WAIT_SECONDS


@pytest.mark.drill
def test_member_with_another_instance_id_waits_for_the_session_timeout(
    kafka_topic: KafkaTopic, bootstrap_servers: str
) -> None:
    """Also what happens when a machine is lost."""
    publish_to_all_partitions(kafka_topic)
    start_member_process(bootstrap_servers, kafka_topic, "first").kill()

    started_at = time.monotonic()
    records = poll_records(new_member(kafka_topic, "second"), 30)

    assert len(records) == 30
    assert NO_SESSION_WAIT_SECONDS < time.monotonic() - started_at < 10


def test_partitions_of_a_closed_member_are_reassigned_at_once(kafka_topic: KafkaTopic) -> None:
    publish_to_all_partitions(kafka_topic)
    first, second = new_member(kafka_topic, "first"), new_member(kafka_topic, "second")
    assert len(poll_records(first, 30)) == 30

    first.close()
    started_at = time.monotonic()

    assert len(poll_records(second, 30)) == 30
    assert time.monotonic() - started_at < NO_SESSION_WAIT_SECONDS


def test_member_whose_instance_id_was_taken_over_fails_to_commit(kafka_topic: KafkaTopic) -> None:
    publish_pairs(kafka_topic, ("a", "1"))
    old_member, current_member = new_member(kafka_topic, "first"), new_member(kafka_topic, "first")
    records = poll_records(old_member, 1)
    assert text_values(poll_records(current_member, 1)) == ["1"]

    with pytest.raises(Unavailable):
        commit_records(old_member, records)


def test_two_static_members_share_the_partitions(kafka_topic: KafkaTopic) -> None:
    members = [new_member(kafka_topic, "first"), new_member(kafka_topic, "second")]
    partitions_by_member: list[set[int]] = [set(), set()]

    def partitions_are_shared() -> bool:
        publish_to_all_partitions(kafka_topic)
        for member, partitions in zip(members, partitions_by_member, strict=True):
            partitions.clear()
            partitions |= {record.partition for record in member.poll(0.5, 100)}
        first, second = partitions_by_member
        return bool(first) and bool(second) and len(first) + len(second) == PARTITION_COUNT

    assert poll_until(partitions_are_shared, timeout_seconds=30)
