"""The outbox relay: outbox rows are published to the ready topic, in order, by one relay at a time."""

import json
import time
from collections.abc import Iterator
from threading import Timer
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.clients.pg_notify import PgNotifyListener
from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.messaging.dead_letters import DeadLetterQueue
from app.messaging.outbox_relay import OutboxRelay
from app.persistence.outbox_writer import OUTBOX_CHANNEL
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fakes import MemoryKafka
from tests.support.fixtures import SampleUsers, follow_event, insert_users, like_event

pytestmark = pytest.mark.service


@pytest.fixture
def outbox_relay(engine: Engine, memory_kafka: MemoryKafka) -> OutboxRelay:
    return OutboxRelay(
        engine,
        memory_kafka.publisher(),
        "relay one",
        DeadLetterQueue(engine, memory_kafka.publisher()),
    )


@pytest.fixture
def event_writer_harness(engine: Engine, sample_users: SampleUsers) -> EventWriterHarness:
    return EventWriterHarness(engine, sample_users)


def ready_messages(memory_kafka: MemoryKafka) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in memory_kafka.records(Topic.READY)]


def count_unpublished(engine: Engine) -> int:
    with engine.connect() as conn:
        count = conn.execute(text("select count(*) from outbox where published_at is null"))
        return int(count.scalar_one())


def test_client_events_are_published_in_order_keyed_by_recipient(
    outbox_relay: OutboxRelay, event_writer_harness: EventWriterHarness, memory_kafka: MemoryKafka
) -> None:
    for seq, actor_id in enumerate(insert_users(event_writer_harness.engine, "Ann", "Ben", "Cem"), 1):
        event_writer_harness.write(like_event(actor_id, event_writer_harness.sample_users, seq))

    published_count = outbox_relay.step()

    messages = ready_messages(memory_kafka)
    assert published_count == 6
    assert [message["clientEvent"] for message in messages] == ["notification", "unread_count"] * 3
    assert [message["seq"] for message in messages if message["seq"]] == [1, 2, 3]
    assert {record.key for record in memory_kafka.records(Topic.READY)} == {
        event_writer_harness.sample_users.alice_id
    }
    assert [message["id"] for message in messages] == sorted(message["id"] for message in messages)


def test_headers_have_type_and_priority(
    outbox_relay: OutboxRelay, event_writer_harness: EventWriterHarness, memory_kafka: MemoryKafka
) -> None:
    event_writer_harness.write(
        follow_event(event_writer_harness.sample_users.carol_id, event_writer_harness.sample_users, 1)
    )

    outbox_relay.step()

    headers = [dict(record.headers) for record in memory_kafka.records(Topic.READY)]
    assert headers[0] == {"type": "FOLLOW", "priority": "HIGH"}


def test_published_rows_are_kept_and_not_published_again(
    outbox_relay: OutboxRelay, event_writer_harness: EventWriterHarness, memory_kafka: MemoryKafka
) -> None:
    event_writer_harness.write(
        like_event(event_writer_harness.sample_users.bob_id, event_writer_harness.sample_users, 1)
    )
    outbox_relay.step()

    assert outbox_relay.step() == 0
    assert (
        len(ready_messages(memory_kafka)),
        count_unpublished(event_writer_harness.engine),
        event_writer_harness.count_rows("outbox"),
    ) == (2, 0, 2)


@pytest.mark.parametrize(
    ("failure", "published_copies"),
    [
        pytest.param("is_unavailable", 1, id="Kafka accepted nothing"),
        pytest.param("loses_acknowledgements", 2, id="Kafka accepted it and the acknowledgement was lost"),
    ],
)
def test_rows_are_published_again_after_a_failure(
    outbox_relay: OutboxRelay,
    event_writer_harness: EventWriterHarness,
    memory_kafka: MemoryKafka,
    failure: str,
    published_copies: int,
) -> None:
    event_writer_harness.write(
        like_event(event_writer_harness.sample_users.bob_id, event_writer_harness.sample_users, 1)
    )
    setattr(memory_kafka, failure, True)
    with pytest.raises(Unavailable):
        outbox_relay.step()
    setattr(memory_kafka, failure, False)

    outbox_relay.step()

    notifications = [
        message for message in ready_messages(memory_kafka) if message["clientEvent"] == "notification"
    ]
    assert len(notifications) == published_copies
    # The same id, version and seq: clients skip the second one.
    assert all(message == notifications[0] for message in notifications)
    assert count_unpublished(event_writer_harness.engine) == 0


def test_only_one_relay_works_at_a_time(
    outbox_relay: OutboxRelay, event_writer_harness: EventWriterHarness, memory_kafka: MemoryKafka
) -> None:
    other_relay = OutboxRelay(
        event_writer_harness.engine,
        memory_kafka.publisher(),
        "relay two",
        DeadLetterQueue(event_writer_harness.engine, memory_kafka.publisher()),
    )
    outbox_relay.step()
    event_writer_harness.write(
        like_event(event_writer_harness.sample_users.bob_id, event_writer_harness.sample_users, 1)
    )

    published_without_lease = other_relay.step()
    outbox_relay.release_lease()

    assert (published_without_lease, other_relay.step()) == (0, 2)


def test_lease_is_released_by_its_owner_only(
    outbox_relay: OutboxRelay, event_writer_harness: EventWriterHarness, memory_kafka: MemoryKafka
) -> None:
    other_relay = OutboxRelay(
        event_writer_harness.engine,
        memory_kafka.publisher(),
        "relay two",
        DeadLetterQueue(event_writer_harness.engine, memory_kafka.publisher()),
    )
    outbox_relay.step()

    other_relay.release_lease()
    event_writer_harness.write(
        like_event(event_writer_harness.sample_users.bob_id, event_writer_harness.sample_users, 1)
    )

    assert other_relay.step() == 0


@pytest.fixture
def notify_listener(environment: dict[str, str]) -> Iterator[PgNotifyListener]:
    notify_listener = PgNotifyListener(environment["DATABASE_URL"], OUTBOX_CHANNEL)
    yield notify_listener
    notify_listener.close()


def test_commit_with_outbox_rows_sends_a_notify(
    notify_listener: PgNotifyListener, event_writer_harness: EventWriterHarness
) -> None:
    notify_listener.wait_for_payloads(0)  # starts listening
    event = like_event(event_writer_harness.sample_users.bob_id, event_writer_harness.sample_users, 1)
    Timer(0.1, event_writer_harness.write, (event,)).start()
    started_at = time.monotonic()

    notify_listener.wait_for_payloads(10)

    assert time.monotonic() - started_at < 8


def test_wait_without_notify_ends_at_its_timeout(notify_listener: PgNotifyListener) -> None:
    started_at = time.monotonic()

    notify_listener.wait_for_payloads(0.05)

    assert time.monotonic() - started_at < 5


def test_listener_without_postgresql_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        PgNotifyListener("postgresql://nobody@127.0.0.1:1/nothing", OUTBOX_CHANNEL).wait_for_payloads(0)
