"""The fallback queue: events wait in order, are one row each, and go back as they came."""

import pytest
from sqlalchemy import Engine, text

from app.domain.errors import Unavailable
from app.domain.events import Event, parse
from app.domain.routing import Topic
from app.streams.fallback import FallbackQueue
from app.streams.kafka import Record
from app.streams.publisher import record_of
from tests.cast import Cast, comment, like
from tests.fakes import MemoryKafka

pytestmark = pytest.mark.service
RETRIES = 5


@pytest.fixture
def queue(engine: Engine) -> FallbackQueue:
    return FallbackQueue(engine, RETRIES)


def rows(*events: Event) -> list[tuple[str, int, Record]]:
    return [(event.event_id, event.seq, record_of(event)) for event in events]


def waiting(queue: FallbackQueue, limit: int = 10) -> list[Event]:
    return [parse(row.record.value) for row in queue.backlog(1, limit) if row.record]


def test_what_waits_comes_back_as_it_went_and_in_order(queue: FallbackQueue, cast: Cast) -> None:
    events = [
        like(cast.bob, cast, 1),
        comment(cast.carol, cast, 2, 'ça "va"?'),
        like(cast.bob, cast, 3),
    ]

    queue.enqueue(1, rows(*events[:2]))
    queue.enqueue(1, rows(*events[2:]))

    assert waiting(queue) == events
    for row, event in zip(queue.backlog(1, 10), events, strict=True):
        record, sent = row.record, record_of(event)
        assert record is not None
        assert (record.topic, record.key, record.headers) == (sent.topic, sent.key, sent.headers)


def test_the_order_is_that_of_arrival_not_of_seq(queue: FallbackQueue, cast: Cast) -> None:
    later, earlier = like(cast.bob, cast, 9), like(cast.carol, cast, 1)

    queue.enqueue(1, rows(later, earlier))

    assert waiting(queue) == [later, earlier]


def test_the_same_batch_again_is_the_same_rows(queue: FallbackQueue, cast: Cast) -> None:
    batch = rows(like(cast.bob, cast, 1), like(cast.carol, cast, 2))

    for _ in range(2):
        queue.enqueue(1, batch)

    assert queue.counts() == (2, 0)


def test_each_shard_waits_by_itself(queue: FallbackQueue, cast: Cast) -> None:
    queue.enqueue(1, rows(like(cast.bob, cast, 1)))
    queue.enqueue(2, rows(like(cast.carol, cast, 2)))

    assert [len(queue.backlog(shard, 10)) for shard in (1, 2, 3)] == [1, 1, 0]


def test_a_page_is_the_oldest(queue: FallbackQueue, cast: Cast) -> None:
    events = [like(cast.bob, cast, n) for n in range(1, 6)]
    queue.enqueue(1, rows(*events))

    assert waiting(queue, limit=2) == events[:2]


def test_what_is_done_waits_no_more_and_is_kept_with_its_time(
    queue: FallbackQueue, cast: Cast, engine: Engine
) -> None:
    queue.enqueue(1, rows(like(cast.bob, cast, 1), like(cast.carol, cast, 2)))
    first, second = (row.id for row in queue.backlog(1, 10))

    queue.done([first])

    assert [row.id for row in queue.backlog(1, 10)] == [second]
    with engine.connect() as sql:
        done = sql.execute(text("select processed_at from kafka_fallback_queue where processed"))
        assert done.scalars().one() is not None


@pytest.mark.parametrize(
    ("retries", "waits", "counts"),
    [
        pytest.param(RETRIES, 1, (1, 0), id="the last try"),
        pytest.param(RETRIES + 1, 0, (0, 1), id="failed: waits for a person"),
    ],
)
def test_a_row_that_failed_too_often_stands_in_nobodys_way(
    queue: FallbackQueue,
    cast: Cast,
    engine: Engine,
    retries: int,
    waits: int,
    counts: tuple[int, int],
) -> None:
    queue.enqueue(1, rows(like(cast.bob, cast, 1)))
    with engine.begin() as sql:
        sql.execute(text("update kafka_fallback_queue set retry_count = :n"), {"n": retries})

    assert len(queue.backlog(1, 10)) == waits
    assert queue.counts() == counts


def tells(engine: Engine) -> list[tuple[object, ...]]:
    """(retries, whether it says why, processed) of each row, oldest first."""
    with engine.connect() as sql:
        found = sql.execute(
            text(
                "select retry_count, last_error is not null, processed "
                "from kafka_fallback_queue order by id"
            )
        )
        return [tuple(row) for row in found]


def test_what_kafka_refuses_is_counted_and_its_neighbours_pass(
    queue: FallbackQueue, cast: Cast, engine: Engine
) -> None:
    broker = MemoryKafka(most_bytes=2_000)
    too_much = comment(cast.carol, cast, 2, "x" * 3_000)
    queue.enqueue(1, rows(like(cast.bob, cast, 1), too_much, like(cast.bob, cast, 3)))

    queue.drain(queue.backlog(1, 10), broker.publisher())

    assert tells(engine) == [(0, False, True), (1, True, False), (0, False, True)]
    assert len(broker.records(Topic.LOW)) == 2


def test_after_the_last_retry_it_waits_for_a_person(
    queue: FallbackQueue, cast: Cast, engine: Engine
) -> None:
    broker = MemoryKafka(most_bytes=2_000)
    queue.enqueue(1, rows(comment(cast.carol, cast, 2, "x" * 3_000)))

    for _ in range(RETRIES + 1):
        queue.drain(queue.backlog(1, 10), broker.publisher())

    assert (queue.backlog(1, 10), queue.counts()) == ([], (0, 1))


def test_an_absent_kafka_is_nobodys_fault(queue: FallbackQueue, cast: Cast, engine: Engine) -> None:
    broker = MemoryKafka(away=True)
    queue.enqueue(1, rows(like(cast.bob, cast, 1)))

    for _ in range(RETRIES + 3):
        with pytest.raises(Unavailable):
            queue.drain(queue.backlog(1, 10), broker.publisher())

    assert (tells(engine), queue.counts()) == ([(0, False, False)], (1, 0))


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        pytest.param("no-such-topic", '{"key": "a", "value": {}, "headers": []}', id="topic"),
        pytest.param(Topic.LOW.value, '{"anything": 1}', id="no record"),
        pytest.param(Topic.LOW.value, '"words"', id="no object"),
        pytest.param(Topic.LOW.value, '{"key": "a", "value": {}, "headers": [1]}', id="headers"),
    ],
)
def test_a_row_that_nobody_can_read_does_not_park_its_neighbours(
    queue: FallbackQueue, cast: Cast, engine: Engine, topic: str, payload: str
) -> None:
    broker = MemoryKafka()
    with engine.begin() as sql:
        sql.execute(
            text(
                "insert into kafka_fallback_queue (event_id, shard, seq, topic, payload) "
                "values (gen_random_uuid(), 1, 0, :topic, cast(:payload as jsonb))"
            ),
            {"topic": topic, "payload": payload},
        )
    queue.enqueue(1, rows(like(cast.bob, cast, 1)))

    queue.drain(queue.backlog(1, 10), broker.publisher())

    assert tells(engine) == [(1, True, False), (0, False, True)]
