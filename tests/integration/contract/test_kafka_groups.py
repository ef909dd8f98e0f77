"""Consumer groups on Kafka and on the fake: assignment, commits, reading again."""

import time

import gevent
import pytest

from app.domain.errors import Unavailable
from harness.waiting import poll_until
from tests.support.brokers import (
    PARTITION_COUNT,
    ConsumerThread,
    KafkaTopic,
    MemoryTopic,
    commit_records,
    poll_records,
    publish_pairs,
    text_values,
)


def test_each_consumer_group_reads_every_record(kafka_topic: MemoryTopic | KafkaTopic) -> None:
    publish_pairs(kafka_topic, ("a", "1"), ("b", "2"))

    values_by_group = [
        sorted(text_values(poll_records(kafka_topic.subscriber(group), 2)))
        for group in ("group", "other-group")
    ]

    assert values_by_group == [["1", "2"], ["1", "2"]]


def test_new_member_starts_at_the_last_commit(kafka_topic: MemoryTopic | KafkaTopic) -> None:
    publish_pairs(kafka_topic, *(("a", str(n)) for n in range(4)))
    first_member = kafka_topic.subscriber("group")
    records = poll_records(first_member, 4)
    commit_records(first_member, records[:3])
    first_member.close()

    assert text_values(poll_records(kafka_topic.subscriber("group"), 1)) == ["3"]


def test_uncommitted_records_are_read_again(kafka_topic: MemoryTopic | KafkaTopic) -> None:
    publish_pairs(kafka_topic, ("a", "1"))
    first_member = kafka_topic.subscriber("group")
    poll_records(first_member, 1)
    first_member.close()

    assert text_values(poll_records(kafka_topic.subscriber("group"), 1)) == ["1"]


@pytest.mark.parametrize(
    ("committed_count", "read_again"),
    [
        pytest.param(0, ["0", "1", "2"], id="from the beginning when nothing was committed"),
        pytest.param(2, ["2"], id="from the last commit"),
    ],
)
def test_seek_to_committed_reads_uncommitted_records_again(
    kafka_topic: MemoryTopic | KafkaTopic, committed_count: int, read_again: list[str]
) -> None:
    publish_pairs(kafka_topic, *(("a", str(n)) for n in range(3)))
    subscriber = kafka_topic.subscriber("group")
    records = poll_records(subscriber, 3)
    if committed_count:
        commit_records(subscriber, records[:committed_count])

    subscriber.seek_to_committed()

    assert text_values(poll_records(subscriber, len(read_again))) == read_again


def test_empty_commit_does_nothing(kafka_topic: MemoryTopic | KafkaTopic) -> None:
    publish_pairs(kafka_topic, ("a", "1"))
    subscriber = kafka_topic.subscriber("group")

    subscriber.commit({})

    assert text_values(poll_records(subscriber, 1)) == ["1"]


def test_two_members_share_the_partitions(kafka_topic: MemoryTopic | KafkaTopic) -> None:
    members = [
        ConsumerThread(kafka_topic.subscriber("group")),
        ConsumerThread(kafka_topic.subscriber("group")),
    ]

    def partitions_are_shared() -> bool:
        """All partitions are read, each by one member."""
        for member in members:
            member.partitions.clear()
        publish_pairs(kafka_topic, *((str(n), str(n)) for n in range(30)))
        poll_until(
            lambda: sum(len(member.partitions) for member in members) >= PARTITION_COUNT,
            timeout_seconds=2,
        )
        first, second = (set(member.partitions) for member in members)
        return len(first) + len(second) == PARTITION_COUNT and bool(first) and bool(second)

    for member in members:
        member.start()
    try:
        # The first member has all partitions until the second one joins.
        assert poll_until(partitions_are_shared, timeout_seconds=30)
    finally:
        for member in members:
            member.stop_event.set()
            member.join()


@pytest.mark.service
def test_consumer_that_does_not_return_is_abandoned(
    real_kafka_topic: KafkaTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriber = real_kafka_topic.subscriber("group")
    publish_pairs(real_kafka_topic, ("a", "1"))
    assert text_values(poll_records(subscriber, 1)) == ["1"]
    first_consumer = subscriber._consumer

    with monkeypatch.context() as patch:
        patch.setattr("app.messaging.consumer.CALL_TIMEOUT_SECONDS", 0.05)
        patch.setattr(first_consumer, "poll", lambda **_: gevent.sleep(60))
        with pytest.raises(Unavailable):
            subscriber.poll(0.1, 1)

    gevent.sleep(0)  # lets the greenlet run that closes the old consumer
    # Nothing was committed: the next consumer starts at the committed offsets.
    assert text_values(poll_records(subscriber, 1)) == ["1"]
    assert subscriber._consumer is not first_consumer


@pytest.mark.service
def test_consumer_that_never_joins_its_group_is_abandoned(
    real_kafka_topic: KafkaTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriber = real_kafka_topic.subscriber("group")
    publish_pairs(real_kafka_topic, ("a", "1"))

    with monkeypatch.context() as patch:
        patch.setattr("app.messaging.consumer.GROUP_JOIN_TIMEOUT_SECONDS", 0.0)
        patch.setattr("app.messaging.consumer._has_joined_group", lambda consumer: False)
        subscriber.poll(0.0, 1)
        time.sleep(0.01)
        with pytest.raises(Unavailable):
            subscriber.poll(0.0, 1)

    assert subscriber._consumer is None
    gevent.sleep(0)
    assert text_values(poll_records(subscriber, 1)) == ["1"]
