"""Bridge: no event is lost or reordered, and only the owner of a shard moves its entries."""

import json
from contextlib import suppress
from typing import Any

import pytest

from app.domain.errors import Unavailable
from app.domain.routing import Topic, ingress_shard_of_object
from app.messaging.records import ProducerRecord
from tests.conftest import empty_redis
from tests.support.fakes import MemoryPublisher
from tests.support.pipeline_harness import USER_NAMES, PipelineHarness, die_at, raise_unavailable
from workers.bridge import Bridge

pytestmark = pytest.mark.service
LOW = Topic.LOW.value


def published_likes(pipeline: PipelineHarness) -> list[tuple[str, bool]]:
    """(actor_id, liked) of the records in Kafka, in order."""
    events = [json.loads(record.value) for record in pipeline.memory_kafka.records(LOW)]
    return [(event["actorId"], event["active"]) for event in events]


def count_fallback_rows(pipeline: PipelineHarness) -> int:
    """Number of rows of the fallback queue not published yet."""
    return int(pipeline.query("select count(*) from kafka_fallback_queue where not processed")[0][0])


def shard_key(pipeline: PipelineHarness) -> str:
    return f"ingress:{ingress_shard_of_object(pipeline.post_id_by_caption['Hello'], 4)}"


def count_pending(pipeline: PipelineHarness) -> int:
    summary: Any = pipeline.redis.xpending(shard_key(pipeline), "bridge")
    return int(summary["pending"])


def start_second_bridge(pipeline: PipelineHarness) -> Bridge:
    """It has taken over the leases of the first, which does not know it yet."""
    pipeline.bridge.step()
    pipeline.expire_leases()
    second_bridge = pipeline.new_bridge()
    second_bridge.step()
    return second_bridge


def test_entry_leaves_the_ingress_only_after_kafka_has_it(
    pipeline: PipelineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.alice.create_post("Hello")
    pipeline.create_users("Ann")[0].like("Hello")
    lengths_during_publish = []

    def publish(self: MemoryPublisher, records: list[ProducerRecord]) -> None:
        lengths_during_publish.append((pipeline.redis.xlen(shard_key(pipeline)), count_pending(pipeline)))

    monkeypatch.setattr(MemoryPublisher, "publish", publish)
    pipeline.bridge.step()

    assert lengths_during_publish == [(1, 1)]
    assert (pipeline.redis.xlen(shard_key(pipeline)), count_pending(pipeline)) == (0, 0)


def test_entries_stay_in_the_ingress_without_kafka_and_postgresql(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    pipeline.create_users("Ann")[0].like("Hello")
    pipeline.bridge.step()
    pipeline.create_users("Ben")[0].like("Hello")
    pipeline.memory_kafka.is_unavailable = True

    with pipeline.without_postgresql(), pytest.raises(Unavailable):
        pipeline.bridge.step()
    assert count_pending(pipeline) == 1

    pipeline.memory_kafka.is_unavailable = False
    pipeline.bridge.step()
    assert len(published_likes(pipeline)) == 2
    assert count_pending(pipeline) == 0


def test_fallback_events_are_published_in_order_before_newer_ones(
    pipeline: PipelineHarness,
) -> None:
    pipeline.alice.create_post("Hello")
    ann, ben, cem = pipeline.create_users(*USER_NAMES[:3])
    ann.like("Hello")
    pipeline.bridge.step()
    pipeline.memory_kafka.is_unavailable = True
    ben.like("Hello")
    pipeline.bridge.step()
    ben.unlike("Hello")
    pipeline.bridge.step()
    assert count_fallback_rows(pipeline) == 2

    pipeline.memory_kafka.is_unavailable = False
    cem.like("Hello")
    pipeline.bridge.step()
    pipeline.bridge.step()

    assert published_likes(pipeline) == [(ann.id, True), (ben.id, True), (ben.id, False), (cem.id, True)]
    assert count_fallback_rows(pipeline) == 0


def test_second_bridge_keeps_the_order_of_the_fallback_queue(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    pipeline.memory_kafka.is_unavailable = True
    ann.like("Hello")
    pipeline.bridge.step()
    pipeline.expire_leases()
    pipeline.memory_kafka.is_unavailable = False
    ann.unlike("Hello")

    second_bridge = pipeline.new_bridge()
    while second_bridge.step():
        pass
    pipeline.run_until_idle()

    assert published_likes(pipeline) == [(ann.id, True), (ann.id, False)]
    assert pipeline.query("select count(*) from active_likes") == [(0,)]


def test_next_owner_starts_with_the_unmoved_entries_of_the_last(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    ann, ben = pipeline.create_users("Ann", "Ben")
    ann.like("Hello")
    die_at("bridge.read", pipeline.bridge.step)
    pipeline.expire_leases()
    ben.like("Hello")

    second_bridge = pipeline.new_bridge()
    while second_bridge.step():
        pass

    assert published_likes(pipeline) == [(ann.id, True), (ben.id, True)]
    assert count_pending(pipeline) == 0


def test_fenced_owner_acknowledges_nothing_and_releases_its_lease(
    pipeline: PipelineHarness,
) -> None:
    pipeline.alice.create_post("Hello")
    ann, ben = pipeline.create_users("Ann", "Ben")
    start_second_bridge(pipeline)

    ann.like("Hello")
    pipeline.bridge.step()  # its leases expired, which it does not know yet
    assert count_pending(pipeline) == 1
    ben.like("Hello")
    pipeline.bridge.step()  # it has read its leases again

    assert published_likes(pipeline) == [(ann.id, True)]


def test_entries_read_by_a_fenced_owner_are_moved_by_the_current_owner(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    ann, ben = pipeline.create_users("Ann", "Ben")
    second_bridge = start_second_bridge(pipeline)
    ann.like("Hello")
    die_at("bridge.read", pipeline.bridge.step)  # the former owner resumed, read once more, and died

    ben.like("Hello")
    while second_bridge.step():
        pass

    assert sorted(published_likes(pipeline)) == sorted([(ann.id, True), (ben.id, True)])
    assert count_pending(pipeline) == 0


def test_entries_enqueued_late_by_a_fenced_owner_are_drained(
    pipeline: PipelineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.bridge.FALLBACK_CHECK_INTERVAL_SECONDS", 0.0)
    pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    second_bridge = start_second_bridge(pipeline)
    ann.like("Hello")
    pipeline.memory_kafka.is_unavailable = True
    pipeline.bridge.step()  # a former owner, while Kafka is unavailable
    pipeline.memory_kafka.is_unavailable = False

    second_bridge.step()
    second_bridge.step()

    assert count_fallback_rows(pipeline) == 0
    assert (ann.id, True) in published_likes(pipeline)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"nonsense": "1"}, id="not an event"),
        pytest.param({b"type": b"\xff\xfe"}, id="not UTF-8"),
        pytest.param({"metadata": "[" * 5000}, id="nested too deeply"),
    ],
)
def test_poison_entry_becomes_a_dead_letter_and_the_rest_passes(
    pipeline: PipelineHarness, fields: dict[Any, Any]
) -> None:
    pipeline.alice.create_post("Hello")
    ann, ben = pipeline.create_users("Ann", "Ben")
    ann.like("Hello")
    pipeline.redis.xadd(shard_key(pipeline), fields)
    ben.like("Hello")

    pipeline.bridge.step()

    assert published_likes(pipeline) == [(ann.id, True), (ben.id, True)]
    assert pipeline.query("select origin from dead_letters") == [(shard_key(pipeline),)]
    assert len(pipeline.memory_kafka.records(Topic.DEAD_LETTER.value)) == 1
    assert count_pending(pipeline) == 0


def test_poison_entry_does_not_block_others_while_kafka_is_unavailable(
    pipeline: PipelineHarness,
) -> None:
    pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    pipeline.memory_kafka.is_unavailable = True
    pipeline.redis.xadd(shard_key(pipeline), {"nonsense": "1"})
    ann.like("Hello")

    pipeline.bridge.step()
    assert count_fallback_rows(pipeline) == 2  # the like, and the dead letter

    pipeline.memory_kafka.is_unavailable = False
    while pipeline.bridge.step():
        pass
    assert published_likes(pipeline) == [(ann.id, True)]
    assert len(pipeline.memory_kafka.records(Topic.DEAD_LETTER.value)) == 1


def test_oversized_event_becomes_a_dead_letter(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    ann.like("Hello")
    entries: Any = pipeline.redis.xrange(shard_key(pipeline))
    ((_, fields),) = entries
    large_metadata = {f"p{n}": ["x" * 4_000] * 90 for n in range(5)}
    pipeline.redis.xadd(shard_key(pipeline), fields | {"metadata": json.dumps(large_metadata)})

    pipeline.bridge.step()

    assert published_likes(pipeline) == [(ann.id, True)]
    assert pipeline.query("select count(*) from dead_letters") == [(1,)]


def test_rejected_event_is_set_aside_and_the_rest_passes(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    ann, ben = pipeline.create_users(*USER_NAMES[:2])
    pipeline.memory_kafka.max_record_bytes = 1_300
    ann.like("Hello")
    ann.comment("Hello", "x" * 900 + "ü" * 99)
    ben.like("Hello")

    for _ in range(12):
        pipeline.bridge.step()

    failed_rows = "select retry_count, last_error from kafka_fallback_queue where not processed"
    assert pipeline.query(failed_rows) == [(6, "MessageSizeTooLargeError")]
    assert {actor_id for actor_id, _ in published_likes(pipeline)} == {ann.id, ben.id}
    assert count_pending(pipeline) == 0


def test_bridge_continues_after_redis_was_emptied_with_pending_entries(
    pipeline: PipelineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.alice.create_post("Hello")
    ann, ben = pipeline.create_users("Ann", "Ben")
    ann.like("Hello")
    # Redis is emptied between reading and acknowledging.
    monkeypatch.setattr("workers.bridge.hit_failpoint", lambda name: pipeline.redis.flushall())
    with pytest.raises(Unavailable):
        pipeline.bridge.step()
    monkeypatch.undo()
    empty_redis(pipeline.redis)
    ben.like("Hello")

    with suppress(Unavailable):
        pipeline.bridge.step()

    assert pipeline.bridge.step() == 1


def published_lane_and_follower(pipeline: PipelineHarness, actor_id: str) -> list[tuple[str, bool]]:
    """(topic, whether the event names its actor as a follower) of the likes of an actor."""
    return [
        (topic, event["follower"])
        for topic in (Topic.HIGH.value, LOW)
        for event in (json.loads(record.value) for record in pipeline.memory_kafka.records(topic))
        if event["actorId"] == actor_id and event["type"] == "LIKE"
    ]


@pytest.mark.parametrize("is_follow_written", [False, True])
def test_like_of_a_follower_takes_the_high_lane(pipeline: PipelineHarness, is_follow_written: bool) -> None:
    pipeline.alice.create_post("Hello")
    ann, ben = pipeline.create_users("Ann", "Ben")
    ann.follow(pipeline.alice)
    if is_follow_written:
        pipeline.run_until_idle()

    ann.like("Hello")
    ben.like("Hello")
    pipeline.bridge.step()

    assert published_lane_and_follower(pipeline, ann.id) == [(Topic.HIGH.value, True)]
    assert published_lane_and_follower(pipeline, ben.id) == [(LOW, False)]


def test_like_after_an_unfollow_takes_the_low_lane(pipeline: PipelineHarness) -> None:
    pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    ann.follow(pipeline.alice)
    pipeline.run_until_idle()
    ann.unfollow(pipeline.alice)

    ann.like("Hello")
    pipeline.bridge.step()

    assert published_lane_and_follower(pipeline, ann.id) == [(LOW, False)]


def test_likes_take_the_low_lane_while_followers_are_unknown(
    pipeline: PipelineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without PostgreSQL the bridge goes on at once, and asks again later."""
    pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    ann.follow(pipeline.alice)
    pipeline.run_until_idle()
    bridge = pipeline.new_bridge()
    pipeline.expire_leases()
    attempts = []

    def refuse(*_: object) -> None:
        attempts.append(1)
        raise_unavailable()

    ann.like("Hello")
    bridge._read_fallback_rows = lambda *_: []  # type: ignore[method-assign]
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.engine.pool, "connect", refuse)
        bridge.step()
        ann.unlike("Hello")
        bridge.step()

    assert published_lane_and_follower(pipeline, ann.id) == [(LOW, False)] * 2
    assert len(attempts) == 1
