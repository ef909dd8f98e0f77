"""The fallback queue: one row per event, in order, with unchanged records."""

import pytest
from sqlalchemy import Engine, text

from app.domain.errors import Unavailable
from app.domain.event_codec import parse_event
from app.domain.events import Event
from app.domain.routing import Topic
from app.messaging.fallback_queue import FallbackQueue
from app.messaging.publisher import event_to_record
from app.messaging.records import ProducerRecord
from tests.support.fakes import MemoryKafka
from tests.support.fixtures import SampleUsers, comment_event, like_event

pytestmark = pytest.mark.service
MAX_RETRIES = 5


@pytest.fixture
def fallback_queue(engine: Engine) -> FallbackQueue:
    return FallbackQueue(engine, MAX_RETRIES)


def queue_entries(*events: Event) -> list[tuple[str, int, ProducerRecord]]:
    return [(event.event_id, event.seq, event_to_record(event)) for event in events]


def pending_events(fallback_queue: FallbackQueue, max_rows: int = 10) -> list[Event]:
    return [
        parse_event(row.record.value) for row in fallback_queue.list_pending_rows(1, max_rows) if row.record
    ]


def test_entries_come_back_unchanged_and_in_order(
    fallback_queue: FallbackQueue, sample_users: SampleUsers
) -> None:
    events = [
        like_event(sample_users.bob_id, sample_users, 1),
        comment_event(sample_users.carol_id, sample_users, 2, 'ça "va"?'),
        like_event(sample_users.bob_id, sample_users, 3),
    ]

    fallback_queue.enqueue(1, queue_entries(*events[:2]))
    fallback_queue.enqueue(1, queue_entries(*events[2:]))

    assert pending_events(fallback_queue) == events
    for row, event in zip(fallback_queue.list_pending_rows(1, 10), events, strict=True):
        record, expected = row.record, event_to_record(event)
        assert record is not None
        assert (record.topic, record.key, record.headers) == (
            expected.topic,
            expected.key,
            expected.headers,
        )


def test_entries_are_ordered_by_arrival_not_by_seq(
    fallback_queue: FallbackQueue, sample_users: SampleUsers
) -> None:
    later, earlier = (
        like_event(sample_users.bob_id, sample_users, 9),
        like_event(sample_users.carol_id, sample_users, 1),
    )

    fallback_queue.enqueue(1, queue_entries(later, earlier))

    assert pending_events(fallback_queue) == [later, earlier]


def test_repeated_batch_adds_no_rows(fallback_queue: FallbackQueue, sample_users: SampleUsers) -> None:
    batch = queue_entries(
        like_event(sample_users.bob_id, sample_users, 1),
        like_event(sample_users.carol_id, sample_users, 2),
    )

    for _ in range(2):
        fallback_queue.enqueue(1, batch)

    assert fallback_queue.count_pending_and_failed() == (2, 0)


def test_shards_are_separate(fallback_queue: FallbackQueue, sample_users: SampleUsers) -> None:
    fallback_queue.enqueue(1, queue_entries(like_event(sample_users.bob_id, sample_users, 1)))
    fallback_queue.enqueue(2, queue_entries(like_event(sample_users.carol_id, sample_users, 2)))

    assert [len(fallback_queue.list_pending_rows(shard, 10)) for shard in (1, 2, 3)] == [1, 1, 0]


def test_page_returns_the_oldest_entries(fallback_queue: FallbackQueue, sample_users: SampleUsers) -> None:
    events = [like_event(sample_users.bob_id, sample_users, n) for n in range(1, 6)]
    fallback_queue.enqueue(1, queue_entries(*events))

    assert pending_events(fallback_queue, max_rows=2) == events[:2]


def test_completed_entries_are_kept_with_their_time(
    fallback_queue: FallbackQueue, sample_users: SampleUsers, engine: Engine
) -> None:
    fallback_queue.enqueue(
        1,
        queue_entries(
            like_event(sample_users.bob_id, sample_users, 1),
            like_event(sample_users.carol_id, sample_users, 2),
        ),
    )
    first, second = (row.id for row in fallback_queue.list_pending_rows(1, 10))

    fallback_queue.mark_processed([first])

    assert [row.id for row in fallback_queue.list_pending_rows(1, 10)] == [second]
    with engine.connect() as conn:
        processed_at = conn.execute(text("select processed_at from kafka_fallback_queue where processed"))
        assert processed_at.scalars().one() is not None


@pytest.mark.parametrize(
    ("retry_count", "pending_count", "expected_counts"),
    [
        pytest.param(MAX_RETRIES, 1, (1, 0), id="the last retry"),
        pytest.param(MAX_RETRIES + 1, 0, (0, 1), id="failed: an administrator must handle it"),
    ],
)
def test_entry_past_its_retries_blocks_no_other(
    fallback_queue: FallbackQueue,
    sample_users: SampleUsers,
    engine: Engine,
    retry_count: int,
    pending_count: int,
    expected_counts: tuple[int, int],
) -> None:
    fallback_queue.enqueue(1, queue_entries(like_event(sample_users.bob_id, sample_users, 1)))
    with engine.begin() as conn:
        conn.execute(text("update kafka_fallback_queue set retry_count = :n"), {"n": retry_count})

    assert len(fallback_queue.list_pending_rows(1, 10)) == pending_count
    assert fallback_queue.count_pending_and_failed() == expected_counts


def row_states(engine: Engine) -> list[tuple[object, ...]]:
    """(retry count, whether an error is stored, processed) of each row, oldest first."""
    with engine.connect() as conn:
        rows = conn.execute(
            text(
                "select retry_count, last_error is not null, processed from kafka_fallback_queue order by id"
            )
        )
        return [tuple(row) for row in rows]


def test_rejected_entry_counts_an_attempt_and_the_rest_passes(
    fallback_queue: FallbackQueue, sample_users: SampleUsers, engine: Engine
) -> None:
    memory_kafka = MemoryKafka(max_record_bytes=2_000)
    large_comment = comment_event(sample_users.carol_id, sample_users, 2, "x" * 3_000)
    fallback_queue.enqueue(
        1,
        queue_entries(
            like_event(sample_users.bob_id, sample_users, 1),
            large_comment,
            like_event(sample_users.bob_id, sample_users, 3),
        ),
    )

    fallback_queue.publish_and_settle(fallback_queue.list_pending_rows(1, 10), memory_kafka.publisher())

    assert row_states(engine) == [(0, False, True), (1, True, False), (0, False, True)]
    assert len(memory_kafka.records(Topic.LOW)) == 2


def test_entry_past_its_retries_waits_for_an_administrator(
    fallback_queue: FallbackQueue, sample_users: SampleUsers, engine: Engine
) -> None:
    memory_kafka = MemoryKafka(max_record_bytes=2_000)
    fallback_queue.enqueue(
        1, queue_entries(comment_event(sample_users.carol_id, sample_users, 2, "x" * 3_000))
    )

    for _ in range(MAX_RETRIES + 1):
        fallback_queue.publish_and_settle(fallback_queue.list_pending_rows(1, 10), memory_kafka.publisher())

    assert (fallback_queue.list_pending_rows(1, 10), fallback_queue.count_pending_and_failed()) == (
        [],
        (0, 1),
    )


def test_unavailable_kafka_counts_no_attempt(
    fallback_queue: FallbackQueue, sample_users: SampleUsers, engine: Engine
) -> None:
    memory_kafka = MemoryKafka(is_unavailable=True)
    fallback_queue.enqueue(1, queue_entries(like_event(sample_users.bob_id, sample_users, 1)))

    for _ in range(MAX_RETRIES + 3):
        with pytest.raises(Unavailable):
            fallback_queue.publish_and_settle(
                fallback_queue.list_pending_rows(1, 10), memory_kafka.publisher()
            )

    assert (row_states(engine), fallback_queue.count_pending_and_failed()) == (
        [(0, False, False)],
        (1, 0),
    )


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        pytest.param("no-such-topic", '{"key": "a", "value": {}, "headers": []}', id="topic"),
        pytest.param(Topic.LOW.value, '{"anything": 1}', id="no record"),
        pytest.param(Topic.LOW.value, '"text"', id="no object"),
        pytest.param(Topic.LOW.value, '{"key": "a", "value": {}, "headers": [1]}', id="headers"),
    ],
)
def test_unreadable_entry_does_not_block_the_others(
    fallback_queue: FallbackQueue,
    sample_users: SampleUsers,
    engine: Engine,
    topic: str,
    payload: str,
) -> None:
    memory_kafka = MemoryKafka()
    with engine.begin() as conn:
        conn.execute(
            text(
                "insert into kafka_fallback_queue (event_id, shard, seq, topic, payload) "
                "values (gen_random_uuid(), 1, 0, :topic, cast(:payload as jsonb))"
            ),
            {"topic": topic, "payload": payload},
        )
    fallback_queue.enqueue(1, queue_entries(like_event(sample_users.bob_id, sample_users, 1)))

    fallback_queue.publish_and_settle(fallback_queue.list_pending_rows(1, 10), memory_kafka.publisher())

    assert row_states(engine) == [(1, True, False), (0, False, True)]
