"""The outbox relay: outbox rows are published to the ready topic, in order, by one relay at a time."""

import json
import time
from collections.abc import Callable
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
from tests.support.fixtures import follow_event, insert_users, like_event

pytestmark = pytest.mark.service


def new_relay(engine: Engine, memory_kafka: MemoryKafka, owner: str) -> OutboxRelay:
    dead_letters = DeadLetterQueue(engine, memory_kafka.publisher())
    return OutboxRelay(engine, memory_kafka.publisher(), owner, dead_letters)


@pytest.fixture
def outbox_relay(engine: Engine, memory_kafka: MemoryKafka) -> OutboxRelay:
    return new_relay(engine, memory_kafka, "relay one")


@pytest.fixture
def other_relay(engine: Engine, memory_kafka: MemoryKafka) -> OutboxRelay:
    return new_relay(engine, memory_kafka, "relay two")


def ready_messages(memory_kafka: MemoryKafka) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in memory_kafka.records(Topic.READY)]


def count_unpublished(engine: Engine) -> int:
    with engine.connect() as conn:
        count = conn.execute(text("select count(*) from outbox where published_at is null"))
        return int(count.scalar_one())


def test_client_events_are_published_in_order_keyed_by_recipient(
    outbox_relay: OutboxRelay, writer: EventWriterHarness, memory_kafka: MemoryKafka
) -> None:
    for seq, actor_id in enumerate(insert_users(writer.engine, "Ann", "Ben", "Cem"), 1):
        writer.write(like_event(actor_id, writer.sample_users, seq))

    published_count = outbox_relay.step()

    messages = ready_messages(memory_kafka)
    assert published_count == 6
    assert [message["clientEvent"] for message in messages] == ["notification", "unread_count"] * 3
    assert [message["seq"] for message in messages if message["seq"]] == [1, 2, 3]
    assert {record.key for record in memory_kafka.records(Topic.READY)} == {writer.sample_users.alice_id}
    assert [message["id"] for message in messages] == sorted(message["id"] for message in messages)


def test_headers_have_type_and_priority(
    outbox_relay: OutboxRelay, writer: EventWriterHarness, memory_kafka: MemoryKafka
) -> None:
    writer.write(follow_event(writer.sample_users.carol_id, writer.sample_users, 1))

    outbox_relay.step()

    headers = [dict(record.headers) for record in memory_kafka.records(Topic.READY)]
    assert headers[0] == {"type": "FOLLOW", "priority": "HIGH"}


def test_published_rows_are_kept_and_not_published_again(
    outbox_relay: OutboxRelay, writer: EventWriterHarness, memory_kafka: MemoryKafka
) -> None:
    writer.write(like_event(writer.sample_users.bob_id, writer.sample_users, 1))
    outbox_relay.step()

    assert outbox_relay.step() == 0
    assert (
        len(ready_messages(memory_kafka)),
        count_unpublished(writer.engine),
        writer.count_rows("outbox"),
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
    writer: EventWriterHarness,
    memory_kafka: MemoryKafka,
    failure: str,
    published_copies: int,
) -> None:
    writer.write(like_event(writer.sample_users.bob_id, writer.sample_users, 1))
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
    assert count_unpublished(writer.engine) == 0


def test_only_one_relay_works_at_a_time(
    outbox_relay: OutboxRelay, other_relay: OutboxRelay, writer: EventWriterHarness
) -> None:
    outbox_relay.step()
    writer.write(like_event(writer.sample_users.bob_id, writer.sample_users, 1))

    published_without_lease = other_relay.step()
    outbox_relay.release_lease()

    assert (published_without_lease, other_relay.step()) == (0, 2)


def test_lease_is_released_by_its_owner_only(
    outbox_relay: OutboxRelay, other_relay: OutboxRelay, writer: EventWriterHarness
) -> None:
    outbox_relay.step()

    other_relay.release_lease()
    writer.write(like_event(writer.sample_users.bob_id, writer.sample_users, 1))

    assert other_relay.step() == 0


def test_commit_with_outbox_rows_sends_a_notify(
    listen: Callable[[str], PgNotifyListener], writer: EventWriterHarness
) -> None:
    listener = listen(OUTBOX_CHANNEL)
    event = like_event(writer.sample_users.bob_id, writer.sample_users, 1)
    Timer(0.1, writer.write, (event,)).start()
    started_at = time.monotonic()

    listener.wait_for_payloads(10)

    assert time.monotonic() - started_at < 8


def test_wait_without_notify_ends_at_its_timeout(listen: Callable[[str], PgNotifyListener]) -> None:
    listener = listen(OUTBOX_CHANNEL)
    started_at = time.monotonic()

    listener.wait_for_payloads(0.05)

    assert time.monotonic() - started_at < 5


def test_listener_without_postgresql_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        PgNotifyListener("postgresql://nobody@127.0.0.1:1/nothing", OUTBOX_CHANNEL).wait_for_payloads(0)
