"""The bridge: nothing is lost, nothing overtakes, and nobody acts on a shard that is another's."""

import json
from contextlib import suppress
from typing import Any

import pytest

from app.domain.errors import Unavailable
from app.domain.routing import Topic, shard_of
from app.stores.queues import Doing, Queues
from app.streams.kafka import Record
from tests.conftest import empty_redis
from tests.fakes import MemoryPublisher
from tests.house import NAMES, House

pytestmark = pytest.mark.service
LOW = Topic.LOW.value


def words(house: House) -> list[tuple[str, bool]]:
    """(actor, liked) in the order in which Kafka has them."""
    wires = [json.loads(record.value) for record in house.kafka.records(LOW)]
    return [(wire["actorId"], wire["active"]) for wire in wires]


def waiting(house: House) -> int:
    """Rows of the fallback queue that are not on Kafka yet."""
    return int(house.rows("select count(*) from kafka_fallback_queue where not processed")[0][0])


def shard(house: House) -> str:
    return f"ingress:{shard_of(house.posts['Hello'], 4)}"


def pending(house: House) -> int:
    found: Any = house.redis.xpending(shard(house), "bridge")
    return int(found["pending"])


def test_an_entry_leaves_the_ingress_only_after_kafka_has_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.alice.posts("Hello")
    house.people("Ann")[0].likes("Hello")
    seen = []

    def publish(self: MemoryPublisher, records: list[Record]) -> None:
        seen.append((house.redis.xlen(shard(house)), pending(house)))

    monkeypatch.setattr(MemoryPublisher, "publish", publish)
    house.bridge.step()

    assert seen == [(1, 1)]
    assert (house.redis.xlen(shard(house)), pending(house)) == (0, 0)


def test_with_kafka_and_postgres_away_everything_stays_in_the_ingress(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.alice.posts("Hello")
    house.people("Ann")[0].likes("Hello")
    house.bridge.step()
    house.people("Ben")[0].likes("Hello")
    house.kafka.away = True

    with monkeypatch.context() as patch:
        patch.setattr(house.engine.pool, "connect", _away)
        with pytest.raises(Unavailable):
            house.bridge.step()
    assert pending(house) == 1

    house.kafka.away = False
    house.bridge.step()
    assert len(words(house)) == 2
    assert pending(house) == 0


def _away(*_: object) -> None:
    raise Unavailable("PostgreSQL is away, says the test")


def test_what_kafka_missed_goes_out_in_order_with_the_newer_behind_it(house: House) -> None:
    house.alice.posts("Hello")
    ann, ben, cem = house.people(*NAMES[:3])
    ann.likes("Hello")
    house.bridge.step()
    house.kafka.away = True
    ben.likes("Hello")
    house.bridge.step()
    ben.unlikes("Hello")
    house.bridge.step()
    assert waiting(house) == 2

    house.kafka.away = False
    cem.likes("Hello")
    house.bridge.step()
    house.bridge.step()

    assert words(house) == [(ann.id, True), (ben.id, True), (ben.id, False), (cem.id, True)]
    assert waiting(house) == 0


def test_a_second_bridge_keeps_the_order_of_what_the_first_put_aside(house: House) -> None:
    house.alice.posts("Hello")
    (ann,) = house.people("Ann")
    house.kafka.away = True
    ann.likes("Hello")
    house.bridge.step()
    house.leases_run_out()
    house.kafka.away = False
    ann.unlikes("Hello")

    second = house.new_bridge()
    while second.step():
        pass
    house.run()

    assert words(house) == [(ann.id, True), (ann.id, False)]
    assert house.rows("select count(*) from active_likes") == [(0,)]


def test_the_next_holder_begins_with_what_the_last_one_read_and_did_not_move(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.alice.posts("Hello")
    ann, ben = house.people("Ann", "Ben")
    ann.likes("Hello")
    _dies_at(monkeypatch, "bridge.read", house)
    house.leases_run_out()
    ben.likes("Hello")

    second = house.new_bridge()
    while second.step():
        pass

    assert words(house) == [(ann.id, True), (ben.id, True)]
    assert pending(house) == 0


def _dies_at(monkeypatch: pytest.MonkeyPatch, point: str, house: House) -> None:
    def reach(name: str) -> None:
        if name == point:
            raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("workers.bridge.reach", reach)
        with pytest.raises(SystemExit):
            house.bridge.step()


def test_a_fenced_holder_acknowledges_nothing_and_lets_go(house: House) -> None:
    house.alice.posts("Hello")
    ann, ben = house.people("Ann", "Ben")
    house.bridge.step()
    house.leases_run_out()
    second = house.new_bridge()
    second.step()

    ann.likes("Hello")
    house.bridge.step()  # still believes that it holds the shards
    assert pending(house) == 1
    ben.likes("Hello")
    house.bridge.step()  # knows better now

    assert words(house) == [(ann.id, True)]


def test_what_a_fenced_holder_took_and_never_moved_is_moved_by_the_holder(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.alice.posts("Hello")
    ann, ben = house.people("Ann", "Ben")
    house.bridge.step()
    house.leases_run_out()
    second = house.new_bridge()
    second.step()
    ann.likes("Hello")
    _dies_at(monkeypatch, "bridge.read", house)  # it woke late, read once more, and died

    ben.likes("Hello")
    while second.step():
        pass

    assert sorted(words(house)) == sorted([(ann.id, True), (ben.id, True)])
    assert pending(house) == 0


def test_what_a_fenced_holder_puts_aside_late_drains_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.bridge.LOOK_SECONDS", 0.0)
    house.alice.posts("Hello")
    (ann,) = house.people("Ann")
    house.bridge.step()
    house.leases_run_out()
    second = house.new_bridge()
    second.step()
    ann.likes("Hello")
    house.kafka.away = True
    house.bridge.step()  # fenced, and Kafka is away for a moment
    house.kafka.away = False

    second.step()
    second.step()

    assert waiting(house) == 0
    assert (ann.id, True) in words(house)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"nonsense": "1"}, id="no event"),
        pytest.param({"type": "LIKE", "eventId": "x"}, id="no UUID"),
        pytest.param({b"type": b"\xff\xfe"}, id="no text"),
        pytest.param({"type": b"LIKE", "metadata": b'{"x": "\\ud800"}'}, id="half a character"),
        pytest.param({"metadata": "[" * 5000}, id="nested too deep"),
    ],
)
def test_a_poisoned_entry_ends_in_the_dead_letters_and_its_neighbours_pass(
    house: House, fields: dict[Any, Any]
) -> None:
    house.alice.posts("Hello")
    ann, ben = house.people("Ann", "Ben")
    ann.likes("Hello")
    house.redis.xadd(shard(house), fields)
    ben.likes("Hello")

    house.bridge.step()

    assert words(house) == [(ann.id, True), (ben.id, True)]
    assert house.rows("select origin from dead_letters") == [(shard(house),)]
    assert len(house.kafka.records(Topic.DEAD_LETTER.value)) == 1
    assert pending(house) == 0


def test_poison_does_not_stop_its_neighbours_while_kafka_is_away(house: House) -> None:
    house.alice.posts("Hello")
    (ann,) = house.people("Ann")
    house.kafka.away = True
    house.redis.xadd(shard(house), {"nonsense": "1"})
    ann.likes("Hello")

    house.bridge.step()
    assert waiting(house) == 2  # the like, and the letter that tells of the other

    house.kafka.away = False
    while house.bridge.step():
        pass
    assert words(house) == [(ann.id, True)]
    assert len(house.kafka.records(Topic.DEAD_LETTER.value)) == 1


def test_an_event_that_kafka_would_refuse_for_its_size_is_poison(house: House) -> None:
    house.alice.posts("Hello")
    (ann,) = house.people("Ann")
    ann.likes("Hello")
    ((_, fields),) = house.redis.xrange(shard(house))
    pages = {f"p{n}": ["x" * 4_000] * 90 for n in range(5)}
    house.redis.xadd(shard(house), fields | {"metadata": json.dumps(pages)})

    house.bridge.step()

    assert words(house) == [(ann.id, True)]
    assert house.rows("select count(*) from dead_letters") == [(1,)]


def test_an_event_that_kafka_refuses_is_set_aside_and_its_neighbours_pass(house: House) -> None:
    house.alice.posts("Hello")
    ann, ben = house.people(*NAMES[:2])
    house.kafka.most_bytes = 1_300
    ann.likes("Hello")
    ann.comments("Hello", "x" * 900 + "ü" * 99)
    ben.likes("Hello")

    for _ in range(12):
        house.bridge.step()

    failed = "select retry_count, last_error from kafka_fallback_queue where not processed"
    assert house.rows(failed) == [(6, "MessageSizeTooLargeError")]
    assert {actor for actor, _ in words(house)} == {ann.id, ben.id}
    assert pending(house) == 0


def test_a_person_can_send_a_failed_row_again(house: House) -> None:
    house.alice.posts("Hello")
    (ann,) = house.people("Ann")
    house.kafka.most_bytes = 100
    ann.likes("Hello")
    for _ in range(12):
        house.bridge.step()
    [(row,)] = house.rows("select id::text from kafka_fallback_queue where not processed")

    house.kafka.most_bytes = 1_000_000
    queues = Queues(house.engine, 5, 4, house.clock.now)
    again = queues.replay_fallback(Doing(house.alice.id, (row,)))
    house.bridge = house.new_bridge()
    house.leases_run_out()
    while house.bridge.step():
        pass

    assert again == 1
    assert words(house) == [(ann.id, True)]
    assert waiting(house) == 0


def test_an_emptied_redis_is_served_on_though_entries_were_pending(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.alice.posts("Hello")
    ann, ben = house.people("Ann", "Ben")
    ann.likes("Hello")
    # Emptied after they were read and before they are acknowledged.
    monkeypatch.setattr("workers.bridge.reach", lambda name: house.redis.flushall())
    with pytest.raises(Unavailable):
        house.bridge.step()
    monkeypatch.undo()
    empty_redis(house.redis)
    ben.likes("Hello")

    with suppress(Unavailable):
        house.bridge.step()

    assert house.bridge.step() == 1
