"""Kafka and the fake of it: order by key, groups, commits, reading again."""

import time
from collections.abc import Callable, Iterator
from threading import Event, Thread

import pytest

from app.domain.errors import Unavailable
from app.streams.kafka import KafkaPublisher, Polled, Record, Subscriber, by_place
from app.streams.topics import create_topics
from tests.cast import new_id
from tests.contract.waiting import until
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


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.service)])
def kafka(request: pytest.FixtureRequest) -> Iterator[Memory | Real]:
    if request.param == "fake":
        yield Memory()
        return
    servers = request.getfixturevalue("environment")["KAFKA_BOOTSTRAP_SERVERS"]
    real = Real(tuple(servers.split(",")))
    yield real
    real.close()


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


def test_the_records_of_a_key_come_in_order_from_one_partition(kafka: Memory | Real) -> None:
    publish(kafka, *((key, f"{key}{n}") for n in range(4) for key in ("a", "b", "c")))

    found = polled(kafka.subscriber("one"), 12)

    for key in ("a", "b", "c"):
        mine = [one for one in found if values([one])[0].startswith(key)]
        assert values(mine) == [f"{key}{n}" for n in range(4)]
        assert len({one.partition for one in mine}) == 1


def test_offsets_count_up_without_gaps(kafka: Memory | Real) -> None:
    publish(kafka, *(("a", str(n)) for n in range(5)))

    found = polled(kafka.subscriber("one"), 5)

    assert [one.offset for one in found] == [0, 1, 2, 3, 4]


def test_what_was_polled_is_not_polled_again(kafka: Memory | Real) -> None:
    publish(kafka, ("a", "1"))
    subscriber = kafka.subscriber("one")
    polled(subscriber, 1)

    publish(kafka, ("a", "2"))

    assert values(polled(subscriber, 1)) == ["2"]


def test_a_poll_takes_no_more_than_it_was_told(kafka: Memory | Real) -> None:
    publish(kafka, *(("a", str(n)) for n in range(5)))
    subscriber = kafka.subscriber("one")
    pages: list[list[Polled]] = []

    deadline = time.monotonic() + 20
    while sum(map(len, pages)) < 5 and time.monotonic() < deadline:
        pages.append(subscriber.poll(0.1, 2))

    assert max(map(len, pages)) == 2
    assert values([one for page in pages for one in page]) == ["0", "1", "2", "3", "4"]


def test_each_group_reads_everything(kafka: Memory | Real) -> None:
    publish(kafka, ("a", "1"), ("b", "2"))

    groups = [sorted(values(polled(kafka.subscriber(name), 2))) for name in ("one", "other")]

    assert groups == [["1", "2"], ["1", "2"]]


def test_a_new_member_begins_where_the_last_one_committed(kafka: Memory | Real) -> None:
    publish(kafka, *(("a", str(n)) for n in range(4)))
    first = kafka.subscriber("one")
    records = polled(first, 4)
    commit(first, records[:3])
    first.close()

    assert values(polled(kafka.subscriber("one"), 1)) == ["3"]


def test_without_a_commit_all_is_read_again(kafka: Memory | Real) -> None:
    publish(kafka, ("a", "1"))
    first = kafka.subscriber("one")
    polled(first, 1)
    first.close()

    assert values(polled(kafka.subscriber("one"), 1)) == ["1"]


@pytest.mark.parametrize(
    ("committed", "again"),
    [
        pytest.param(0, ["0", "1", "2"], id="from the beginning when nothing was committed"),
        pytest.param(2, ["2"], id="from the last commit"),
    ],
)
def test_rewinding(kafka: Memory | Real, committed: int, again: list[str]) -> None:
    publish(kafka, *(("a", str(n)) for n in range(3)))
    subscriber = kafka.subscriber("one")
    records = polled(subscriber, 3)
    if committed:
        commit(subscriber, records[:committed])

    subscriber.rewind()

    assert values(polled(subscriber, len(again))) == again


def test_an_empty_commit_is_no_commit(kafka: Memory | Real) -> None:
    publish(kafka, ("a", "1"))
    subscriber = kafka.subscriber("one")

    subscriber.commit({})

    assert values(polled(subscriber, 1)) == ["1"]


class Member(Thread):
    """One of a group, in a thread of its own as in a process of its own."""

    def __init__(self, subscriber: Subscriber) -> None:
        super().__init__()
        self.partitions: set[int] = set()
        self.over = Event()
        self._subscriber = subscriber

    def run(self) -> None:
        while not self.over.wait(0.01):
            records = self._subscriber.poll(0.1, 100)
            commit(self._subscriber, records)
            self.partitions |= {one.partition for one in records}


def test_two_members_share_the_partitions(kafka: Memory | Real) -> None:
    crew = [Member(kafka.subscriber("one")), Member(kafka.subscriber("one"))]

    def shared() -> bool:
        """All partitions are read, and none by both."""
        for member in crew:
            member.partitions.clear()
        publish(kafka, *((str(n), str(n)) for n in range(30)))
        until(lambda: sum(len(member.partitions) for member in crew) >= PARTITIONS, seconds=2)
        one, other = (set(member.partitions) for member in crew)
        return len(one) + len(other) == PARTITIONS and bool(one) and bool(other)

    for member in crew:
        member.start()
    try:
        assert until(shared, seconds=30)  # the first may have had everything until the second came
    finally:
        for member in crew:
            member.over.set()
            member.join()


def test_a_topic_that_does_not_exist_takes_nothing(kafka: Memory | Real) -> None:
    with pytest.raises(Unavailable):
        kafka.publisher.publish([Record("no-such-topic", "a", b"1")])


def test_after_a_refusal_the_next_record_passes(kafka: Memory | Real) -> None:
    with pytest.raises(Unavailable):
        kafka.publisher.publish([Record("no-such-topic", "a", b"1")])

    publish(kafka, ("a", "2"))

    assert values(polled(kafka.subscriber("one"), 1)) == ["2"]


@pytest.mark.parametrize("call", ["publish", "poll"])
def test_nobody_there(call: str) -> None:
    """On the real client: nothing listens on port 1."""
    servers = ("127.0.0.1:1",)
    calls: dict[str, Callable[[], object]] = {
        "publish": lambda: KafkaPublisher(servers).publish([Record("t", "a", b"1")]),
        "poll": lambda: Subscriber(servers, "one", "t").poll(0.1, 1),
    }
    began = time.monotonic()

    with pytest.raises(Unavailable):
        calls[call]()

    assert time.monotonic() - began < 5


# What only the fake can be told


def test_a_fake_that_is_away_takes_nothing() -> None:
    memory = Memory()
    memory.broker.away = True

    with pytest.raises(Unavailable):
        publish(memory, ("a", "1"))
    with pytest.raises(Unavailable):
        memory.subscriber("one").poll(0, 1)

    memory.broker.away = False
    assert memory.subscriber("one").poll(0, 1) == []


def test_a_fake_whose_answer_is_lost_has_taken_it() -> None:
    memory = Memory()
    memory.broker.answers_lost = True

    with pytest.raises(Unavailable):
        publish(memory, ("a", "1"))

    assert values(memory.subscriber("one").poll(0, 1)) == ["1"]
