"""Aggregator: services that are unavailable or emptied, and invalid records."""

import json
from dataclasses import replace

import pytest

from app.bootstrap import new_id
from app.domain.errors import Unavailable
from app.domain.event_codec import parse_event
from app.domain.routing import Topic
from app.messaging.publisher import event_to_record
from app.messaging.records import ProducerRecord
from tests.support.fixtures import FIRST_TEST_SEQ
from tests.support.pipeline_harness import (
    CONSUMER_GROUP_BY_TOPIC,
    USER_NAMES,
    WINDOW_AND_JITTER_SECONDS,
    LaneAggregators,
    PipelineHarness,
    die_at,
)

pytestmark = pytest.mark.service
LOW = Topic.LOW.value


def lag(pipeline: PipelineHarness, topic: Topic = Topic.LOW) -> int:
    """Records of the topic that the consumer group has not committed."""
    return sum(
        len(log)
        - pipeline.memory_kafka.committed_offsets.get((CONSUMER_GROUP_BY_TOPIC[topic], name, partition), 0)
        for (name, partition), log in pipeline.memory_kafka.log_by_partition.items()
        if name == topic.value
    )


def test_batch_not_written_by_postgresql_is_kept_and_retried(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    for user in pipeline.create_users(*USER_NAMES[:2]):
        user.like("Hello")
    pipeline.bridge.step()

    with pipeline.without_postgresql(), pytest.raises(Unavailable):
        pipeline.aggregator.step()
    assert (pipeline.count_active_likes(), lag(pipeline)) == (0, 2)

    assert pipeline.aggregator.step() == 2
    assert (pipeline.count_active_likes(), lag(pipeline)) == (2, 0)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="no value"),
        pytest.param(b"not json", id="not JSON"),
        pytest.param(b'{"type":"LIKE"}', id="fields missing"),
        pytest.param(b"\xff\xfe\x00", id="not UTF-8"),
    ],
)
def test_poison_becomes_a_dead_letter_and_the_rest_passes(
    pipeline: PipelineHarness, value: bytes | None
) -> None:
    pipeline.alice.create_post("Hello")
    ann, ben = pipeline.create_users("Ann", "Ben")
    ann.like("Hello")
    pipeline.bridge.step()
    pipeline.publisher.publish([ProducerRecord(LOW, pipeline.alice.id, value)])  # type: ignore[arg-type]
    ben.like("Hello")
    pipeline.bridge.step()

    pipeline.aggregator.step()

    assert pipeline.count_active_likes() == 2
    assert pipeline.query("select origin from dead_letters") == [(LOW,)]
    assert len(pipeline.memory_kafka.records(Topic.DEAD_LETTER.value)) == 1
    assert lag(pipeline) == 0


def test_unwritable_event_does_not_affect_the_rest_of_the_batch(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    pipeline.create_users("Ann")[0].like("Hello")
    pipeline.bridge.step()
    wire_event = json.loads(pipeline.memory_kafka.records(LOW)[0].value)
    wire_event |= {"type": "MENTION", "targetType": "X" * 21, "metadata": {}}
    pipeline.publisher.publish([ProducerRecord(LOW, pipeline.alice.id, json.dumps(wire_event).encode())])

    pipeline.aggregator.step()

    assert pipeline.count_active_likes() == 1
    assert pipeline.query("select count(*) from dead_letters") == [(1,)]
    assert lag(pipeline) == 0


@pytest.mark.parametrize("new_count", [0, 1], ids=["no new events", "new events"])
def test_lost_windows_are_rebuilt_from_kafka(pipeline: PipelineHarness, new_count: int) -> None:
    pipeline.alice.create_post("Hello")
    users = pipeline.create_users(*USER_NAMES[:6])
    for user in users[:5]:
        user.like("Hello")
    pipeline.bridge.step()
    pipeline.aggregator.step()

    pipeline.redis.flushall()
    for user in users[5 : 5 + new_count]:
        pipeline.publisher.publish([_like_record(pipeline, user.id)])
    pipeline.clock.advance(1)
    pipeline.aggregator.step()  # detects the loss
    pipeline.aggregator.step()  # reads again
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.flusher.step()

    assert pipeline.count_active_likes() == 5 + new_count
    pipeline.clock.advance(1)
    pipeline.aggregator.step()
    assert lag(pipeline) == 0


def _like_record(pipeline: PipelineHarness, actor_id: str) -> ProducerRecord:
    first_record = pipeline.memory_kafka.records(LOW)[0]
    event = replace(parse_event(first_record.value), event_id=new_id(), actor_id=actor_id, seq=FIRST_TEST_SEQ)
    return event_to_record(event)


def test_successor_of_a_dead_aggregator_changes_nothing_twice(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    for user in pipeline.create_users(*USER_NAMES[:5]):
        user.like("Hello")
    pipeline.bridge.step()
    die_at("aggregator.written", pipeline.aggregator.step)
    pipeline.aggregator.aggregator_by_topic[Topic.LOW]._subscriber.close()

    pipeline.aggregator = LaneAggregators(pipeline)
    pipeline.close_windows()

    assert [toast.split(" liked")[0] for toast in pipeline.alice.toast_messages] == [
        "Ann",
        "Ben",
        "Cem",
        "Eve and 4 others",
    ]
