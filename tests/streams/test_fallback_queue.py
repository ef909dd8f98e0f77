"""The fallback queue: events wait in order, are one row each, and go back as they came."""

import pytest
from sqlalchemy import Engine, text

from app.domain.events import Event, parse
from app.streams.fallback import FallbackQueue
from app.streams.kafka import Record
from app.streams.publisher import record_of
from tests.cast import Cast, comment, like

pytestmark = pytest.mark.service
RETRIES = 5


@pytest.fixture
def queue(engine: Engine) -> FallbackQueue:
    return FallbackQueue(engine, RETRIES)


def rows(*events: Event) -> list[tuple[str, int, Record]]:
    return [(event.event_id, event.seq, record_of(event)) for event in events]


def waiting(queue: FallbackQueue, limit: int = 10) -> list[Event]:
    return [parse(record.value) for _, record in queue.backlog(1, limit)]


def test_what_waits_comes_back_as_it_went_and_in_order(queue: FallbackQueue, cast: Cast) -> None:
    events = [
        like(cast.bob, cast, 1),
        comment(cast.carol, cast, 2, 'ça "va"?'),
        like(cast.bob, cast, 3),
    ]

    queue.enqueue(1, rows(*events[:2]))
    queue.enqueue(1, rows(*events[2:]))

    assert waiting(queue) == events
    for (_, record), event in zip(queue.backlog(1, 10), events, strict=True):
        sent = record_of(event)
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
    [(first, _), (second, _)] = queue.backlog(1, 10)

    queue.done([first])

    assert [place for place, _ in queue.backlog(1, 10)] == [second]
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
