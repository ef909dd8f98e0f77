"""Kafka and the fake of it: order by key, offsets, refusals."""

import time
from collections.abc import Callable

import pytest
from kafka.admin import KafkaAdminClient, NewTopic

from app.domain.errors import Unavailable
from app.streams.clients import connected
from app.streams.kafka import KafkaPublisher, Polled, Record, Refused, Subscriber
from tests.cast import new_id
from tests.contract.brokers import Memory, Real, polled, publish, values


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


def test_a_topic_that_does_not_exist_takes_nothing(kafka: Memory | Real) -> None:
    with pytest.raises(Unavailable):
        kafka.publisher.publish([Record("no-such-topic", "a", b"1")])


def test_after_a_refusal_the_next_record_passes(kafka: Memory | Real) -> None:
    with pytest.raises(Unavailable):
        kafka.publisher.publish([Record("no-such-topic", "a", b"1")])

    publish(kafka, ("a", "2"))

    assert values(polled(kafka.subscriber("one"), 1)) == ["2"]


def test_a_record_that_is_too_large_is_refused_and_its_neighbours_pass(
    kafka: Memory | Real,
) -> None:
    records = [Record(kafka.topic, "a", value) for value in (b"1", b"x" * 2_000_000, b"2")]

    with pytest.raises(Refused) as refused:
        kafka.publisher.publish(records)

    assert list(refused.value.reasons) == [1]
    assert "MessageSizeTooLarge" in refused.value.reasons[1]
    publish(kafka, ("a", "3"))
    assert values(polled(kafka.subscriber("one"), 3)) == ["1", "2", "3"]


@pytest.mark.service
def test_what_the_broker_refuses_in_a_batch_is_found_one_by_one(
    environment: dict[str, str],
) -> None:
    servers = tuple(environment["KAFKA_BOOTSTRAP_SERVERS"].split(","))
    topic = f"test-{new_id()}"
    admin = connected(KafkaAdminClient, bootstrap_servers=list(servers))
    admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": "2000"})])
    admin.close()
    publisher, large = KafkaPublisher(servers), b"x" * 3_000
    records = [Record(topic, "a", value) for value in (b"1", large, b"2", large, b"3")]

    with pytest.raises(Refused) as refused:
        publisher.publish(records)
    publisher.publish([Record(topic, "a", b"4")])
    publisher.close()

    assert sorted(refused.value.reasons) == [1, 3]
    reader = Subscriber(servers, "one", topic)
    found = values(polled(reader, 4))
    reader.close()
    # In a batch that was refused whole its neighbours go again, behind those after it.
    assert sorted(found) == ["1", "2", "3", "4"]
    assert found[-1] == "4"


def test_many_bytes_go_in_slices(kafka: Memory | Real) -> None:
    records = [Record(kafka.topic, "a", b"%d" % n + b"x" * 900_000) for n in range(7)]

    kafka.publisher.publish(records)

    assert [one[0] for one in values(polled(kafka.subscriber("one"), 7))] == list("0123456")


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
