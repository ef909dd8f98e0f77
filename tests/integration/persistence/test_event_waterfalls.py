"""Where one event is: at every place of the pipeline it is found, with the person who caused it."""

import pytest

from app.bootstrap import new_id
from app.domain.event_waterfall import Hop, HopName, HopState
from app.ingest.memberships import DesiredState
from app.operations.event_waterfalls import EventWaterfall, EventWaterfalls
from app.operations.in_flight_events import InFlightEvents
from app.operations.trace import EventTraceReader
from app.persistence.seen_receipts import SeenReceipt, record_seen_receipts
from tests.support.pipeline_harness import (
    USER_NAMES,
    WINDOW_AND_JITTER_SECONDS,
    PipelineHarness,
    PipelineUser,
)
from tests.support.redis_failover_harness import RedisFailoverHarness
from tests.support.redis_failover_harness import failover as failover

pytestmark = pytest.mark.service
LIKES_BEFORE_THE_WINDOW = 3


@pytest.fixture
def waterfalls(pipeline: PipelineHarness) -> EventWaterfalls:
    shards = pipeline.worker_services.services.ingress.shards
    return EventWaterfalls(
        EventTraceReader(pipeline.redis, pipeline.engine),
        InFlightEvents(pipeline.redis, pipeline.engine, shards),
    )


def like(user: PipelineUser, caption: str = "Hello") -> str:
    """Returns the id of the event."""
    event_id, post_id = new_id(), user.pipeline.post_id_by_caption[caption]
    user.pipeline.actions.set_like(user.id, post_id, DesiredState.ON, event_id=event_id)
    return event_id


def read(waterfalls: EventWaterfalls, event_id: str) -> EventWaterfall:
    found = waterfalls.read(event_id)
    assert found is not None
    return found


def hops_by_name(found: EventWaterfall) -> dict[HopName, Hop]:
    return {hop.name: hop for hop in found.waterfall.hops}


def test_like_is_found_at_every_place_with_its_actor(
    pipeline: PipelineHarness, waterfalls: EventWaterfalls
) -> None:
    post_id = pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    event_id = like(ann)

    accepted = read(waterfalls, event_id)
    assert (accepted.actor_id, accepted.object_id) == (ann.id, post_id)
    assert accepted.waterfall.current_hop.name is HopName.KAFKA

    pipeline.bridge.step()
    published = read(waterfalls, event_id)
    assert (published.actor_id, published.waterfall.current_hop.name) == (ann.id, HopName.WINDOW)

    pipeline.run_until_idle()
    pushed = read(waterfalls, event_id)
    assert (pushed.actor_id, pushed.kind, pushed.object_id) == (ann.id, "LIKE", post_id)
    assert pushed.waterfall.current_hop.name is HopName.BROWSER
    assert hops_by_name(pushed)[HopName.SOCKET].state is HopState.DONE


def test_gathered_like_waits_until_its_window_is_due_and_arrives(
    pipeline: PipelineHarness, waterfalls: EventWaterfalls
) -> None:
    pipeline.alice.create_post("Hello")
    users = pipeline.create_users(*USER_NAMES[: LIKES_BEFORE_THE_WINDOW + 1])
    event_id = [like(user) for user in users][-1]
    pipeline.run_until_idle()

    waiting = read(waterfalls, event_id).waterfall.current_hop
    assert (waiting.name, waiting.detail) == (HopName.WINDOW, "Waits for the window until")
    assert waiting.due_at is not None

    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()
    hops = hops_by_name(read(waterfalls, event_id))
    done = (HopName.WINDOW, HopName.TRANSACTION, HopName.OUTBOX, HopName.READY, HopName.SOCKET)
    assert [hops[name].state for name in done] == [HopState.DONE] * len(done)


def test_only_a_receipt_for_the_version_that_announced_it_says_that_it_was_shown(
    pipeline: PipelineHarness, waterfalls: EventWaterfalls
) -> None:
    pipeline.alice.create_post("Hello")
    ann, ben = pipeline.create_users("Ann", "Ben")
    like(ann)
    pipeline.run_until_idle()
    event_id = like(ben)
    pipeline.run_until_idle()
    ((row_id,),) = pipeline.query(
        "select id::text from notifications where user_id = :id", id=pipeline.alice.id
    )

    record_seen_receipts(pipeline.engine, [SeenReceipt(pipeline.alice.id, row_id, 1)])
    pushed = read(waterfalls, event_id).waterfall.current_hop
    assert (pushed.name, pushed.state) == (HopName.BROWSER, HopState.WAITING)

    record_seen_receipts(pipeline.engine, [SeenReceipt(pipeline.alice.id, row_id, 2)])
    shown = read(waterfalls, event_id).waterfall.current_hop
    assert (shown.name, shown.state) == (HopName.BROWSER, HopState.DONE)


def test_own_like_ends_with_the_reason(pipeline: PipelineHarness, waterfalls: EventWaterfalls) -> None:
    pipeline.alice.create_post("Hello")
    event_id = like(pipeline.alice)
    pipeline.run_until_idle()

    found = read(waterfalls, event_id)
    assert found.waterfall.is_complete
    assert found.waterfall.current_hop.detail == "Nobody is told of their own actions."


def test_like_in_the_fallback_queue_is_found_with_its_actor(
    pipeline: PipelineHarness, waterfalls: EventWaterfalls
) -> None:
    pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    pipeline.memory_kafka.is_unavailable = True
    event_id = like(ann)
    pipeline.bridge.step()

    waiting = read(waterfalls, event_id)
    assert waiting.actor_id == ann.id
    assert waiting.waterfall.current_hop.detail == "Kafka is unavailable. It waits in the fallback queue."

    pipeline.redis.delete(f"trace:{event_id}")
    assert read(waterfalls, event_id).actor_id == ann.id


def test_repeated_like_announces_nothing_new(pipeline: PipelineHarness, waterfalls: EventWaterfalls) -> None:
    pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    like(ann)
    pipeline.run_until_idle()
    event_id = like(ann)
    pipeline.run_until_idle()

    found = read(waterfalls, event_id)
    assert found.waterfall.is_complete
    assert found.waterfall.hops[-1].name is HopName.OUTBOX


def test_like_during_a_redis_failover_was_written_at_once(
    pipeline: PipelineHarness, waterfalls: EventWaterfalls, failover: RedisFailoverHarness
) -> None:
    post_id = pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    event_id = new_id()
    failover.actions.set_like(ann.id, post_id, DesiredState.ON, event_id=event_id)

    found = read(waterfalls, event_id)

    assert (found.actor_id, found.object_id) == (ann.id, post_id)
    hops = hops_by_name(found)
    assert hops[HopName.INGRESS].detail.startswith("Redis was unavailable")
    assert (hops[HopName.INGRESS].state, hops[HopName.TRANSACTION].state) == (HopState.SKIPPED, HopState.DONE)


def test_unknown_event_is_not_found(pipeline: PipelineHarness, waterfalls: EventWaterfalls) -> None:
    assert waterfalls.read(new_id()) is None
    assert waterfalls.read("00000000-0000-4000-8000-000000000000") is None
