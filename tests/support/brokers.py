"""One topic on the fake or on Kafka, and helpers to publish, poll and commit."""

import time
from threading import Event, Thread

import gevent

from app.domain.errors import Unavailable
from app.kafka_settings import KafkaConnection
from app.messaging.consumer import KafkaSubscriber
from app.messaging.producer import KafkaPublisher
from app.messaging.records import ConsumedRecord, ProducerRecord, group_by_partition
from app.messaging.topics import create_missing_topics
from tests.support.fakes import MemoryKafka, MemorySubscriber
from tests.support.fixtures import new_id

PARTITION_COUNT = 3


class MemoryTopic:
    """A topic on the fake."""

    def __init__(self) -> None:
        self.topic = "topic"
        self.memory_kafka = MemoryKafka({self.topic: PARTITION_COUNT})
        self.publisher = self.memory_kafka.publisher()

    def subscriber(self, consumer_group: str) -> MemorySubscriber:
        return self.memory_kafka.subscriber(consumer_group, self.topic)

    def close(self) -> None:
        """Nothing to close."""


class KafkaTopic:
    """A new topic on Kafka."""

    def __init__(self, bootstrap_servers: tuple[str, ...]) -> None:
        self.topic = f"test-{new_id()}"
        self._connection = KafkaConnection(bootstrap_servers)
        create_missing_topics(self._connection, {self.topic: PARTITION_COUNT}, 1, 3_600_000)
        self.publisher = KafkaPublisher(self._connection)
        self._subscribers: list[KafkaSubscriber] = []

    def subscriber(self, consumer_group: str) -> KafkaSubscriber:
        self._subscribers.append(KafkaSubscriber(self._connection, consumer_group, self.topic))
        return self._subscribers[-1]

    def close(self) -> None:
        self.publisher.close()
        for subscriber in self._subscribers:
            subscriber.close()
        gevent.sleep(0)  # lets the greenlet run that closes a discarded producer


def publish_pairs(kafka_topic: MemoryTopic | KafkaTopic, *key_value_pairs: tuple[str, str]) -> None:
    kafka_topic.publisher.publish(
        [ProducerRecord(kafka_topic.topic, key, value.encode()) for key, value in key_value_pairs]
    )


def poll_records(
    subscriber: KafkaSubscriber | MemorySubscriber, count: int, timeout_seconds: float = 20.0
) -> list[ConsumedRecord]:
    """Polls until `count` records have arrived; joining the group may take several polls."""
    records: list[ConsumedRecord] = []
    deadline = time.monotonic() + timeout_seconds
    while len(records) < count and time.monotonic() < deadline:
        records += subscriber.poll(0.1, 100)
    return records


def text_values(records: list[ConsumedRecord]) -> list[str]:
    return [str(record.value, "utf-8") for record in records if record.value is not None]


def commit_records(subscriber: KafkaSubscriber | MemorySubscriber, records: list[ConsumedRecord]) -> None:
    subscriber.commit(
        {
            topic_partition: partition_records[-1].offset + 1
            for topic_partition, partition_records in group_by_partition(records).items()
        }
    )


class ConsumerThread(Thread):
    """A group member in its own thread, as in its own process."""

    def __init__(self, subscriber: KafkaSubscriber | MemorySubscriber) -> None:
        super().__init__()
        self.partitions: set[int] = set()
        self.stop_event = Event()
        self._subscriber = subscriber

    def run(self) -> None:
        while not self.stop_event.wait(0.01):
            try:
                records = self._subscriber.poll(0.1, 100)
            except Unavailable:
                continue  # as a worker does
            commit_records(self._subscriber, records)
            self.partitions |= {record.partition for record in records}
