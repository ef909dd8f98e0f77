"""Groups on Kafka and on the fake: shares, commits, reading again."""

import time

import gevent
import pytest

from app.domain.errors import Unavailable
from tests.contract.brokers import PARTITIONS, Member, Memory, Real, commit, polled, publish, values
from tests.contract.waiting import until


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


@pytest.mark.service
def test_a_consumer_that_does_not_come_back_is_left_behind(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Real(tuple(environment["KAFKA_BOOTSTRAP_SERVERS"].split(",")))
    subscriber = real.subscriber("one")
    publish(real, ("a", "1"))
    assert values(polled(subscriber, 1)) == ["1"]
    first = subscriber._consumer

    with monkeypatch.context() as patch:
        patch.setattr("app.streams.kafka.CALL_SECONDS", 0.05)
        patch.setattr(first, "poll", lambda **_: gevent.sleep(60))
        with pytest.raises(Unavailable):
            subscriber.poll(0.1, 1)

    gevent.sleep(0)  # the greenlet that ends the old one has its turn
    # Nothing was committed: the next one begins where the offsets say.
    assert values(polled(subscriber, 1)) == ["1"]
    assert subscriber._consumer is not first
    real.close()


@pytest.mark.service
def test_a_consumer_that_never_gets_into_its_group_is_left_behind(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Real(tuple(environment["KAFKA_BOOTSTRAP_SERVERS"].split(",")))
    subscriber = real.subscriber("one")
    publish(real, ("a", "1"))

    with monkeypatch.context() as patch:
        patch.setattr("app.streams.kafka.JOIN_SECONDS", 0.0)
        patch.setattr("app.streams.kafka._is_member", lambda consumer: False)
        subscriber.poll(0.0, 1)
        time.sleep(0.01)
        with pytest.raises(Unavailable):
            subscriber.poll(0.0, 1)

    assert subscriber._consumer is None
    gevent.sleep(0)
    assert values(polled(subscriber, 1)) == ["1"]
    real.close()
