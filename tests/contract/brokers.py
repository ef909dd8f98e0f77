"""One topic, on the fake Kafka or on Kafka, and what tests do with it."""

import time
from threading import Event, Thread

import gevent

from app.domain.errors import Unavailable
from app.streams.kafka import KafkaPublisher, Polled, Record, Subscriber, by_place
from app.streams.topics import create_topics
from tests.cast import new_id
from tests.fakes import MemoryKafka

PARTITIONS = 3


class Memory:
    """One topic on the fake."""

    def __init__(self) -> None:
        self.topic = "topic"
        self.broker = MemoryKafka({self.topic: PARTITIONS})
        self.publisher = self.broker.publisher()

    def subscriber(self, group: str):
        return self.broker.subscriber(group, self.topic)

    def close(self) -> None:
        """Nothing to close."""


class Real:
    """A fresh topic on Kafka."""

    def __init__(self, servers: tuple[str, ...]) -> None:
        self.topic = f"test-{new_id()}"
        self._servers = servers
        create_topics(servers, {self.topic: PARTITIONS}, 1, 3_600_000)
        self.publisher = KafkaPublisher(servers)
        self._subscribers: list[Subscriber] = []

    def subscriber(self, group: str) -> Subscriber:
        self._subscribers.append(Subscriber(self._servers, group, self.topic))
        return self._subscribers[-1]

    def close(self) -> None:
        self.publisher.close()
        for one in self._subscribers:
            one.close()
        gevent.sleep(0)  # a producer that was dropped is closed by a greenlet, which needs its turn


def publish(kafka: Memory | Real, *pairs: tuple[str, str]) -> None:
    kafka.publisher.publish([Record(kafka.topic, key, value.encode()) for key, value in pairs])


def polled(subscriber: Subscriber, many: int, seconds: float = 20.0) -> list[Polled]:
    """So many records, however many polls it takes to join the group and get them."""
    found: list[Polled] = []
    deadline = time.monotonic() + seconds
    while len(found) < many and time.monotonic() < deadline:
        found += subscriber.poll(0.1, 100)
    return found


def values(records: list[Polled]) -> list[str]:
    return [str(one.value, "utf-8") for one in records if one.value is not None]


def commit(subscriber: Subscriber, records: list[Polled]) -> None:
    subscriber.commit({place: ones[-1].offset + 1 for place, ones in by_place(records).items()})


class Member(Thread):
    """One of a group, in a thread of its own as in a process of its own."""

    def __init__(self, subscriber: Subscriber) -> None:
        super().__init__()
        self.partitions: set[int] = set()
        self.over = Event()
        self._subscriber = subscriber

    def run(self) -> None:
        while not self.over.wait(0.01):
            try:
                records = self._subscriber.poll(0.1, 100)
            except Unavailable:
                continue  # as a worker does: rest, and ask again
            commit(self._subscriber, records)
            self.partitions |= {one.partition for one in records}
