"""Fakes: real implementations that live in memory, held to the suites of the real ones.

MemoryKafka   topics, partitions by key, groups with committed offsets
PushList      what would have gone to the sockets, in order
Clock         time that only moves when the test moves it
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.streams.kafka import Polled, Record, Refused
from app.streams.push import room_of

PARTITIONS = 3
TOPICS = {topic.value: PARTITIONS for topic in Topic}


@dataclass
class Clock:
    """Begins at a fixed moment of 2026, so that no test depends on today."""

    seconds: float = 1_780_000_000.0

    def now(self) -> float:
        return self.seconds

    def forward(self, seconds: float) -> None:
        self.seconds += seconds


class PushList:
    """The emit() of app.streams.push.Push; keeps the frames instead of sending them."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, dict[str, Any], str]] = []

    def emit(self, event: str, data: dict[str, Any], room: str) -> None:
        self.frames.append((event, data, room))

    def told(self, user_id: str, event: str = "notification") -> list[dict[str, Any]]:
        """What one person heard of one event, in order."""
        room = room_of(user_id)
        return [data for name, data, where in self.frames if (name, where) == (event, room)]


@dataclass
class MemoryKafka:
    """The broker. Its partitioner is not Kafka's own: rely on "same key, same partition" only."""

    topics: Mapping[str, int] = field(default_factory=lambda: dict(TOPICS))
    away: bool = False
    """Nobody gets an answer, and nothing happens."""
    most_bytes: int = 1_000_000
    """A larger record is refused, whoever sends it."""
    answers_lost: bool = False
    """What is published arrives, but its sender never learns of it."""

    def __post_init__(self) -> None:
        self.logs: dict[tuple[str, int], list[Record]] = {
            (topic, partition): []
            for topic, many in self.topics.items()
            for partition in range(many)
        }
        self.committed: dict[tuple[str, str, int], int] = {}
        self.members: dict[tuple[str, str], list[MemorySubscriber]] = {}

    def publisher(self) -> "MemoryPublisher":
        return MemoryPublisher(self)

    def subscriber(self, group: str, topic: str) -> "MemorySubscriber":
        return MemorySubscriber(self, group, topic)

    def records(self, topic: str) -> list[Record]:
        """All of a topic; in order within each key."""
        return [one for (name, _), log in self.logs.items() if name == topic for one in log]

    def append(self, record: Record) -> None:
        partition = crc32(record.key.encode()) % self.topics[record.topic]
        self.logs[record.topic, partition].append(record)

    def answer(self) -> None:
        if self.away:
            raise Unavailable("Kafka is away", "kafka_unavailable")


@dataclass
class MemoryPublisher:
    """Obeys app.streams.publisher.Publishes."""

    broker: MemoryKafka

    def publish(self, records: Sequence[Record]) -> None:
        self.broker.answer()
        refused = {}
        for place, record in enumerate(records):
            if record.topic not in self.broker.topics:
                raise Unavailable("Kafka did not take the events", "kafka_unavailable")
            if len(record.value or b"") > self.broker.most_bytes:
                refused[place] = "MessageSizeTooLargeError"
            else:
                self.broker.append(record)
        if self.broker.answers_lost:
            raise Unavailable("Kafka did not acknowledge in time", "kafka_unavailable")
        if refused:
            raise Refused(refused)

    def close(self) -> None:
        """There is nothing to close."""


class MemorySubscriber:
    """The methods of app.streams.kafka.Subscriber. Joins its group when it first polls."""

    def __init__(self, broker: MemoryKafka, group: str, topic: str) -> None:
        self._broker = broker
        self._group = group
        self._topic = topic
        self._positions: dict[int, int] = {}

    def poll(self, timeout_seconds: float, max_records: int) -> list[Polled]:
        """Never waits: a test that wants something later asks later."""
        self._broker.answer()
        self._take_share()
        polled: list[Polled] = []
        for partition, position in self._positions.items():
            log = self._broker.logs[self._topic, partition]
            fresh = log[position : position + max_records - len(polled)]
            polled += [
                Polled(self._topic, partition, position + place, record.value)
                for place, record in enumerate(fresh)
            ]
            self._positions[partition] = position + len(fresh)
        return polled

    def commit(self, offsets: dict[tuple[str, int], int]) -> bool:
        if self._broker.away:
            return False  # as the real one: what is not committed is read again
        for (topic, partition), offset in offsets.items():
            self._broker.committed[self._group, topic, partition] = offset
        return True

    def rewind(self) -> None:
        self._broker.answer()
        self._positions = {one: self._start(one) for one in self._positions}

    def close(self) -> None:
        """Leaves the group: what it did not commit goes to the others, or to whoever comes next."""
        crew = self._broker.members.get((self._group, self._topic), [])
        if self in crew:
            crew.remove(self)
        self._positions = {}

    def _take_share(self) -> None:
        crew = self._broker.members.setdefault((self._group, self._topic), [])
        if self not in crew:
            crew.append(self)
        count, place = len(crew), crew.index(self)
        mine = [one for one in range(self._broker.topics[self._topic]) if one % count == place]
        self._positions = {one: self._positions.get(one, self._start(one)) for one in mine}

    def _start(self, partition: int) -> int:
        return self._broker.committed.get((self._group, self._topic, partition), 0)


def counting_ids() -> Callable[[], str]:
    """UUIDs that count up, for tests that name them."""
    last = 0

    def new_id() -> str:
        nonlocal last
        last += 1
        return f"00000000-0000-7000-8000-{last:012d}"

    return new_id
