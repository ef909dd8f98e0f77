"""Aggregator: services that are unavailable or emptied, and invalid records."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis
from sqlalchemy import Engine, text

from app.bootstrap import WorkerServices, new_id
from app.domain.errors import Unavailable
from app.domain.event_codec import parse_event
from app.domain.routing import Topic
from app.messaging.publisher import event_to_record
from app.messaging.records import ProducerRecord
from tests.support.fixtures import FIRST_TEST_SEQ
from tests.support.pipeline_harness import (
    AGGREGATION_RULES,
    CONSUMER_GROUP_BY_TOPIC,
    USER_NAMES,
    WINDOW_AND_JITTER_SECONDS,
    LaneAggregators,
    PipelineHarness,
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


def count_likes(pipeline: PipelineHarness) -> int:
    return int(pipeline.query("select count(*) from active_likes")[0][0])


def test_batch_not_written_by_postgresql_is_kept_and_retried(
    pipeline: PipelineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.alice.create_post("Hello")
    for user in pipeline.create_users(*USER_NAMES[:2]):
        user.like("Hello")
    pipeline.bridge.step()

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.engine.pool, "connect", raise_unavailable)
        with pytest.raises(Unavailable):
            pipeline.aggregator.step()
    assert (count_likes(pipeline), lag(pipeline)) == (0, 2)

    assert pipeline.aggregator.step() == 2
    assert (count_likes(pipeline), lag(pipeline)) == (2, 0)


def raise_unavailable(*_: object) -> None:
    raise Unavailable("PostgreSQL is unavailable")


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

    assert count_likes(pipeline) == 2
    assert pipeline.query("select origin from dead_letters") == [(LOW,)]
    assert len(pipeline.memory_kafka.records(Topic.DEAD_LETTER.value)) == 1
    assert lag(pipeline) == 0


UNUSUAL_COMMENT = {"commentId": "01890000-0000-7000-8000-00000000000A", "content": "x"}


@pytest.mark.parametrize(
    ("changes", "metadata", "dead_letter_count"),
    [
        pytest.param({"type": "POST_UPDATED"}, {}, 0, id="kind without a notification"),
        pytest.param({"type": "FOLLOW", "targetId": "actor"}, {}, 1, id="follow of oneself"),
        pytest.param({"targetId": "nobody"}, {}, 0, id="deleted recipient"),
        pytest.param({"type": "MENTION", "targetType": "X" * 21}, {}, 1, id="type too long"),
        pytest.param({"type": "COMMENT"}, UNUSUAL_COMMENT, 0, id="UUID in capitals"),
        pytest.param({"type": "COMMENT"}, UNUSUAL_COMMENT | {"parentId": "me"}, 1, id="invalid parent id"),
    ],
)
def test_unwritable_event_does_not_affect_the_rest_of_the_batch(
    pipeline: PipelineHarness, changes: dict[str, str], metadata: dict[str, str], dead_letter_count: int
) -> None:
    pipeline.alice.create_post("Hello")
    _enable_all_kinds(pipeline)
    pipeline.create_users("Ann")[0].like("Hello")
    pipeline.bridge.step()
    wire_event = json.loads(pipeline.memory_kafka.records(LOW)[0].value)
    id_by_name = {"actor": wire_event["actorId"], "nobody": new_id()}
    wire_event |= {name: id_by_name.get(value, value) for name, value in changes.items()}
    wire_event["metadata"] = (
        metadata | {"postId": pipeline.post_id_by_caption["Hello"].upper()} if metadata else {}
    )
    pipeline.publisher.publish([ProducerRecord(LOW, pipeline.alice.id, json.dumps(wire_event).encode())])

    pipeline.aggregator.step()
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.flusher.step()
    pipeline.aggregator.step()

    assert count_likes(pipeline) == 1
    assert pipeline.query("select count(*) from dead_letters") == [(dead_letter_count,)]
    assert lag(pipeline) == 0


def _enable_all_kinds(pipeline: PipelineHarness) -> None:
    """Enables all kinds, so that nothing is filtered before the write."""
    with pipeline.engine.begin() as conn:
        statement = "insert into notification_preferences (user_id, marketing) values (:id, true)"
        conn.execute(text(statement), {"id": pipeline.alice.id})


def test_open_window_holds_the_commit_until_it_closes(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    for user in pipeline.create_users(*USER_NAMES[:5]):
        user.like("Hello")
    pipeline.bridge.step()
    pipeline.aggregator.step()
    assert lag(pipeline) == 2  # the fourth and fifth like are in a window

    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.flusher.step()
    pipeline.aggregator.step()  # commits although no new event arrived

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

    assert count_likes(pipeline) == 5 + new_count
    pipeline.clock.advance(1)
    pipeline.aggregator.step()
    assert lag(pipeline) == 0


def _like_record(pipeline: PipelineHarness, actor_id: str) -> ProducerRecord:
    first_record = pipeline.memory_kafka.records(LOW)[0]
    event = replace(parse_event(first_record.value), event_id=new_id(), actor_id=actor_id, seq=FIRST_TEST_SEQ)
    return event_to_record(event)


def test_successor_of_a_dead_aggregator_changes_nothing_twice(
    pipeline: PipelineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.alice.create_post("Hello")
    for user in pipeline.create_users(*USER_NAMES[:5]):
        user.like("Hello")
    pipeline.bridge.step()
    with monkeypatch.context() as patch:
        patch.setattr("workers.aggregator.hit_failpoint", die_at("aggregator.written"))
        with pytest.raises(SystemExit):
            pipeline.aggregator.step()
    pipeline.aggregator.aggregator_by_topic[Topic.LOW]._subscriber.close()

    pipeline.aggregator = LaneAggregators(pipeline)
    pipeline.close_windows()

    assert [toast.split(" liked")[0] for toast in pipeline.alice.toast_messages] == [
        "Ann",
        "Ben",
        "Cem",
        "Eve and 4 others",
    ]


def die_at(point: str) -> Callable[[str], None]:
    def hit_failpoint(name: str) -> None:
        if name == point:
            raise SystemExit

    return hit_failpoint


def test_full_window_is_flushed_early_and_announced_on_close(
    worker_services: WorkerServices,
    engine: Engine,
    real_redis: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.bridge.READ_WAIT_SECONDS", 0.001)
    pipeline = PipelineHarness(worker_services, replace(AGGREGATION_RULES, flush_max_rows=2))
    pipeline.alice.create_post("Hello")
    for user in pipeline.create_users(*USER_NAMES[:7]):
        user.like("Hello")

    pipeline.run_until_idle()
    assert count_likes(pipeline) == 7  # three at once, two full batches early
    assert len(pipeline.alice.toast_messages) == 3

    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()
    assert pipeline.alice.toast_messages[3:] == ["Gus and 6 others liked your post"]
    assert pipeline.alice.client_events()[3]["metadata"]["newCount"] == 4
