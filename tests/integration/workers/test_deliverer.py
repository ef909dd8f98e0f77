"""Deliverer and delivery log writer: neither delays the other, and invalid records delay none."""

import time
from typing import Any

import orjson
import pytest

from app.bootstrap import new_id
from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.messaging.records import ProducerRecord
from app.persistence.delivery_log import DeliveryLog, create_dynamodb_client
from harness.waiting import poll_until
from tests.support.isolated_app import environment_variables
from tests.support.pipeline_harness import (
    USER_NAMES,
    PipelineHarness,
    die_at,
    raise_redis_unavailable,
)
from workers.delivery_log_writer import DeliveryLogWriter

pytestmark = pytest.mark.service
READY = Topic.READY.value


def ready(pipeline: PipelineHarness, **changes: object) -> ProducerRecord:
    """A record as the relay publishes it, with the given changes."""
    value: dict[str, object] = {
        "id": 1,
        "targetId": pipeline.alice.id,
        "clientEvent": "notification",
        "seq": 1,
        "at": "2026-01-01T00:00:00.000Z",
        "data": {"id": new_id(), "version": 1, "message": "Hello", "metadata": {"channels": []}},
    }
    return ProducerRecord(READY, pipeline.alice.id, orjson.dumps(value | changes))


def data(**changes: object) -> dict[str, object]:
    return {"id": new_id(), "version": 1, "message": "Hello", "metadata": {}} | changes


def data_with_actors(**changes: object) -> dict[str, object]:
    """Data of an event with actors, with the given changes."""
    group: object = {"title": "t", "count": 1, "quote": None}
    metadata = {"aggregatedActors": [new_id()], "aggregatedCount": 1}
    return data(type="LIKE", metadata=metadata, group=group, actorId=new_id()) | changes


INVALID_CHANGES = [
    pytest.param({"clientEvent": "unknown"}, id="unknown client event"),
    pytest.param({"targetId": "nobody"}, id="invalid recipient id"),
    pytest.param({"data": []}, id="no data"),
    pytest.param({"data": data(metadata=[])}, id="metadata is not an object"),
    pytest.param({"data": data(metadata={"channels": 1})}, id="channels is not a list"),
    pytest.param({"data": data(version="one")}, id="version is not a number"),
    pytest.param({"data": data(priority="")}, id="empty priority"),
    pytest.param({"data": data(type="x" * 500_000)}, id="too large for the log"),
    pytest.param({"at": ""}, id="no time"),
    pytest.param({"id": True}, id="id is not a number"),
    pytest.param({"seq": "one"}, id="seq is not a number"),
    pytest.param({"data": data_with_actors(group="all")}, id="group is not an object"),
    pytest.param({"data": data_with_actors(group={})}, id="group without count"),
    pytest.param({"data": data_with_actors(actorId="ann")}, id="invalid actor id"),
    pytest.param({"data": data_with_actors(quote=7)}, id="quote is not text"),
    pytest.param({"data": data_with_actors(type=None)}, id="actors without type"),
    pytest.param({"data": data_with_actors(metadata={"aggregatedActors": 7})}, id="actors is not a list"),
]


@pytest.mark.parametrize("changes", INVALID_CHANGES)
def test_poison_on_the_ready_topic_becomes_a_dead_letter_and_the_rest_passes(
    pipeline: PipelineHarness, changes: dict[str, object]
) -> None:
    pipeline.publisher.publish([ready(pipeline), ready(pipeline, **changes), ready(pipeline, id=3)])

    pipeline.deliverer.step()

    assert len(pipeline.alice.client_events()) == 2
    assert pipeline.query("select origin from dead_letters") == [(READY,)]


class MemoryDeliveryLog:
    """A delivery log in memory."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.is_unavailable = False

    def append(self, items: list[dict[str, Any]]) -> None:
        if self.is_unavailable:
            raise Unavailable("DynamoDB is unavailable")
        self.items += items


def new_log_writer(pipeline: PipelineHarness, delivery_log: Any) -> DeliveryLogWriter:
    subscriber: Any = pipeline.memory_kafka.subscriber("delivery-log-consumer", READY)
    # The real time: DynamoDB deletes items that have expired, and the clock of the tests is in the past.
    return DeliveryLogWriter(subscriber, delivery_log, time.time)


@pytest.mark.parametrize("changes", INVALID_CHANGES)
def test_delivery_log_writer_skips_poison_and_records_the_rest(
    pipeline: PipelineHarness, environment: dict[str, str], changes: dict[str, object]
) -> None:
    with environment_variables(environment):  # credentials
        delivery_log = DeliveryLog(create_dynamodb_client(environment["DYNAMODB_ENDPOINT_URL"], "us-east-1"))
        delivery_log.create_table()
    pipeline.publisher.publish([ready(pipeline), ready(pipeline, **changes), ready(pipeline, id=3)])

    assert new_log_writer(pipeline, delivery_log).step() == 3

    # An index of DynamoDB is updated with a delay.
    assert poll_until(lambda: len(delivery_log.list_by_user(pipeline.alice.id, 10)) == 2, 20)
    assert pipeline.query("select count(*) from dead_letters") == [(0,)]


def test_unavailable_delivery_log_delays_no_toast_and_is_complete_afterwards(
    pipeline: PipelineHarness,
) -> None:
    delivery_log = MemoryDeliveryLog()
    delivery_log.is_unavailable = True
    log_writer = new_log_writer(pipeline, delivery_log)
    pipeline.alice.create_post("Hello")
    for user in pipeline.create_users(*USER_NAMES[:2]):
        user.like("Hello")
    pipeline.run_until_idle()

    with pytest.raises(Unavailable):
        log_writer.step()
    assert len(pipeline.alice.toast_messages) == 2

    delivery_log.is_unavailable = False
    log_writer.step()
    assert [item["clientEvent"]["S"] for item in delivery_log.items] == ["notification", "notification"]


def test_only_the_newest_unread_count_is_sent(pipeline: PipelineHarness) -> None:
    for caption in ("One", "Two"):
        pipeline.alice.create_post(caption)
    (ann,) = pipeline.create_users("Ann")
    ann.like("One")
    ann.like("Two")
    pipeline.bridge.step()
    pipeline.bridge.step()
    pipeline.aggregator.step()
    pipeline.outbox_relay.step()
    (ben,) = pipeline.create_users("Ben")
    ben.follow(pipeline.alice)
    pipeline.bridge.step()
    pipeline.aggregator.step()
    pipeline.outbox_relay.step()

    pipeline.deliverer.step()

    assert [
        badge["count"] for badge in pipeline.push_publisher.events_for_user(pipeline.alice.id, "unread_count")
    ] == [3]
    assert len(pipeline.alice.client_events()) == 3


def test_event_polled_by_a_dead_deliverer_is_sent_by_the_next(pipeline: PipelineHarness) -> None:
    pipeline.publisher.publish([ready(pipeline)])
    die_at("deliverer.polled", pipeline.deliverer.step)
    assert pipeline.alice.toast_messages == []

    pipeline.deliverer._subscriber.close()  # the broker removed it from the group
    assert pipeline.new_deliverer().step() == 1
    assert pipeline.alice.toast_messages == ["Hello"]


def test_event_not_accepted_by_redis_is_sent_by_the_next_deliverer(
    pipeline: PipelineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.publisher.publish([ready(pipeline)])
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.push_publisher, "emit_all", raise_redis_unavailable)
        with pytest.raises(Unavailable):
            pipeline.deliverer.step()

    pipeline.deliverer._subscriber.close()  # it is killed
    assert pipeline.new_deliverer().step() == 1
    assert pipeline.alice.toast_messages == ["Hello"]
