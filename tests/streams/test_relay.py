"""The relay: from the outbox to the ready topic, in order, one relay at a time."""

import json
import time
from threading import Timer

import pytest
from sqlalchemy import Engine, text

from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.stores.bell import Bell
from app.stores.frames import OUTBOX_CHANNEL
from app.streams.dead_letters import DeadLetters
from app.streams.relay import Relay
from tests.cast import Cast, follow, like, people
from tests.fakes import MemoryKafka
from tests.stores.books import Books

pytestmark = pytest.mark.service


@pytest.fixture
def relay(engine: Engine, broker: MemoryKafka) -> Relay:
    return Relay(engine, broker.publisher(), "relay one", DeadLetters(engine, broker.publisher()))


@pytest.fixture
def books(engine: Engine, cast: Cast) -> Books:
    return Books(engine, cast)


def ready(broker: MemoryKafka) -> list[dict]:
    return [json.loads(record.value) for record in broker.records(Topic.READY)]


def waiting(engine: Engine) -> int:
    with engine.connect() as sql:
        return int(
            sql.execute(text("select count(*) from outbox where published_at is null")).scalar()
        )


def test_frames_are_published_in_order_and_keyed_by_their_recipient(
    relay: Relay, books: Books, broker: MemoryKafka
) -> None:
    for seq, actor in enumerate(people(books.engine, "Ann", "Ben", "Cem"), 1):
        books.writes(like(actor, books.cast, seq))

    moved = relay.step()

    frames = ready(broker)
    assert moved == 6
    assert [one["frame"] for one in frames] == ["notification", "unread_count"] * 3
    assert [one["seq"] for one in frames if one["seq"]] == [1, 2, 3]
    assert {record.key for record in broker.records(Topic.READY)} == {books.cast.alice}
    assert [one["id"] for one in frames] == sorted(one["id"] for one in frames)


def test_headers_name_type_and_lane(relay: Relay, books: Books, broker: MemoryKafka) -> None:
    books.writes(follow(books.cast.carol, books.cast, 1))

    relay.step()

    headers = [dict(record.headers) for record in broker.records(Topic.READY)]
    assert headers[0] == {"type": "FOLLOW", "priority": "HIGH"}


def test_what_was_published_is_kept_and_not_published_again(
    relay: Relay, books: Books, broker: MemoryKafka
) -> None:
    books.writes(like(books.cast.bob, books.cast, 1))
    relay.step()

    assert relay.step() == 0
    assert (len(ready(broker)), waiting(books.engine), books.count("outbox")) == (2, 0, 2)


@pytest.mark.parametrize(
    ("fault", "copies"),
    [
        pytest.param("away", 1, id="Kafka took nothing"),
        pytest.param("answers_lost", 2, id="Kafka took it, and its answer was lost"),
    ],
)
def test_after_a_fault_the_same_frames_are_published_again(
    relay: Relay, books: Books, broker: MemoryKafka, fault: str, copies: int
) -> None:
    books.writes(like(books.cast.bob, books.cast, 1))
    setattr(broker, fault, True)
    with pytest.raises(Unavailable):
        relay.step()
    setattr(broker, fault, False)

    relay.step()

    told = [one for one in ready(broker) if one["frame"] == "notification"]
    assert len(told) == copies
    assert all(one == told[0] for one in told)  # same id, version and seq: a client knows to skip
    assert waiting(books.engine) == 0


def test_only_one_relay_works_at_a_time(relay: Relay, books: Books, broker: MemoryKafka) -> None:
    other = Relay(
        books.engine,
        broker.publisher(),
        "relay two",
        DeadLetters(books.engine, broker.publisher()),
    )
    relay.step()
    books.writes(like(books.cast.bob, books.cast, 1))

    moved_beside = other.step()
    relay.release()

    assert (moved_beside, other.step()) == (0, 2)


def test_nobody_gives_back_the_lease_of_another(
    relay: Relay, books: Books, broker: MemoryKafka
) -> None:
    other = Relay(
        books.engine,
        broker.publisher(),
        "relay two",
        DeadLetters(books.engine, broker.publisher()),
    )
    relay.step()

    other.release()
    books.writes(like(books.cast.bob, books.cast, 1))

    assert other.step() == 0


@pytest.fixture
def bell(environment: dict[str, str]) -> Bell:
    made = Bell(environment["DATABASE_URL"], OUTBOX_CHANNEL)
    yield made
    made.close()


def test_the_bell_rings_when_a_transaction_left_frames(bell: Bell, books: Books) -> None:
    bell.wait(0)  # listens from now on
    event = like(books.cast.bob, books.cast, 1)
    Timer(0.1, books.writes, (event,)).start()
    began = time.monotonic()

    bell.wait(10)

    assert time.monotonic() - began < 8


def test_a_bell_that_does_not_ring_ends_the_wait(bell: Bell) -> None:
    began = time.monotonic()

    bell.wait(0.05)

    assert time.monotonic() - began < 5


def test_a_bell_without_postgresql_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        Bell("postgresql://nobody@127.0.0.1:1/nothing", OUTBOX_CHANNEL).wait(0)
