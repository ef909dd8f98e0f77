"""Kafka and its fake: order by key, offsets, rejected records."""

import time
from collections.abc import Callable

import pytest
from kafka.admin import KafkaAdminClient, NewTopic

from app.clients.kafka import create_kafka_client
from app.domain.errors import Unavailable
from app.kafka_settings import KafkaConnection
from app.messaging.consumer import KafkaSubscriber
from app.messaging.producer import KafkaPublisher
from app.messaging.records import ConsumedRecord, ProducerRecord, RecordsRejected
from tests.support.brokers import KafkaTopic, MemoryTopic, poll_records, publish_pairs, text_values
from tests.support.fixtures import new_id


def test_records_of_one_key_are_ordered_in_one_partition(
    kafka_topic: MemoryTopic | KafkaTopic,
) -> None:
    publish_pairs(kafka_topic, *((key, f"{key}{n}") for n in range(4) for key in ("a", "b", "c")))

    records = poll_records(kafka_topic.subscriber("group"), 12)

    for key in ("a", "b", "c"):
        records_of_key = [record for record in records if text_values([record])[0].startswith(key)]
        assert text_values(records_of_key) == [f"{key}{n}" for n in range(4)]
        assert len({record.partition for record in records_of_key}) == 1


def test_offsets_count_up_without_gaps(kafka_topic: MemoryTopic | KafkaTopic) -> None:
    publish_pairs(kafka_topic, *(("a", str(n)) for n in range(5)))

    records = poll_records(kafka_topic.subscriber("group"), 5)

    assert [record.offset for record in records] == [0, 1, 2, 3, 4]


def test_polled_records_are_not_polled_again(kafka_topic: MemoryTopic | KafkaTopic) -> None:
    publish_pairs(kafka_topic, ("a", "1"))
    subscriber = kafka_topic.subscriber("group")
    poll_records(subscriber, 1)

    publish_pairs(kafka_topic, ("a", "2"))

    assert text_values(poll_records(subscriber, 1)) == ["2"]


def test_poll_returns_at_most_max_records(kafka_topic: MemoryTopic | KafkaTopic) -> None:
    publish_pairs(kafka_topic, *(("a", str(n)) for n in range(5)))
    subscriber = kafka_topic.subscriber("group")
    pages: list[list[ConsumedRecord]] = []

    deadline = time.monotonic() + 20
    while sum(map(len, pages)) < 5 and time.monotonic() < deadline:
        pages.append(subscriber.poll(0.1, 2))

    assert max(map(len, pages)) == 2
    assert text_values([record for page in pages for record in page]) == ["0", "1", "2", "3", "4"]


def test_publish_to_an_unknown_topic_is_unavailable(kafka_topic: MemoryTopic | KafkaTopic) -> None:
    with pytest.raises(Unavailable):
        kafka_topic.publisher.publish([ProducerRecord("no-such-topic", "a", b"1")])


def test_oversized_record_is_rejected_and_the_others_are_published(
    kafka_topic: MemoryTopic | KafkaTopic,
) -> None:
    records = [ProducerRecord(kafka_topic.topic, "a", value) for value in (b"1", b"x" * 2_000_000, b"2")]

    with pytest.raises(RecordsRejected) as error:
        kafka_topic.publisher.publish(records)

    assert list(error.value.reason_by_index) == [1]
    assert "MessageSizeTooLarge" in error.value.reason_by_index[1]
    publish_pairs(kafka_topic, ("a", "3"))
    assert text_values(poll_records(kafka_topic.subscriber("group"), 3)) == ["1", "2", "3"]


@pytest.mark.service
def test_record_rejected_within_a_batch_is_identified(
    environment: dict[str, str],
) -> None:
    connection = KafkaConnection(tuple(environment["KAFKA_BOOTSTRAP_SERVERS"].split(",")))
    topic = f"test-{new_id()}"
    admin = create_kafka_client(KafkaAdminClient, connection)
    admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": "2000"})])
    admin.close()
    publisher, large_value = KafkaPublisher(connection), b"x" * 3_000
    records = [ProducerRecord(topic, "a", value) for value in (b"1", large_value, b"2", large_value, b"3")]

    with pytest.raises(RecordsRejected) as error:
        publisher.publish(records)
    publisher.publish([ProducerRecord(topic, "a", b"4")])
    publisher.close()

    assert sorted(error.value.reason_by_index) == [1, 3]
    subscriber = KafkaSubscriber(connection, "group", topic)
    values = text_values(poll_records(subscriber, 4))
    subscriber.close()
    # The broker rejects a batch as a whole; its valid records are sent again one by one.
    assert sorted(values) == ["1", "2", "3", "4"]
    assert values[-1] == "4"


def test_large_publish_is_split_into_batches(kafka_topic: MemoryTopic | KafkaTopic) -> None:
    records = [ProducerRecord(kafka_topic.topic, "a", b"%d" % n + b"x" * 900_000) for n in range(7)]

    kafka_topic.publisher.publish(records)

    values = text_values(poll_records(kafka_topic.subscriber("group"), 7))
    assert [value[0] for value in values] == list("0123456")


@pytest.mark.parametrize("call", ["publish", "poll"])
def test_unreachable_broker_is_unavailable(call: str) -> None:
    """With the real client: nothing listens on port 1."""
    connection = KafkaConnection(("127.0.0.1:1",))
    calls: dict[str, Callable[[], object]] = {
        "publish": lambda: KafkaPublisher(connection).publish([ProducerRecord("t", "a", b"1")]),
        "poll": lambda: KafkaSubscriber(connection, "group", "t").poll(0.1, 1),
    }
    started_at = time.monotonic()

    with pytest.raises(Unavailable):
        calls[call]()

    assert time.monotonic() - started_at < 5


# Failures that only the fake can simulate


def test_unavailable_fake_accepts_nothing() -> None:
    memory_topic = MemoryTopic()
    memory_topic.memory_kafka.is_unavailable = True

    with pytest.raises(Unavailable):
        publish_pairs(memory_topic, ("a", "1"))
    with pytest.raises(Unavailable):
        memory_topic.subscriber("group").poll(0, 1)

    memory_topic.memory_kafka.is_unavailable = False
    assert memory_topic.subscriber("group").poll(0, 1) == []


def test_fake_with_lost_acknowledgements_stores_the_records() -> None:
    memory_topic = MemoryTopic()
    memory_topic.memory_kafka.loses_acknowledgements = True

    with pytest.raises(Unavailable):
        publish_pairs(memory_topic, ("a", "1"))

    assert text_values(memory_topic.subscriber("group").poll(0, 1)) == ["1"]
