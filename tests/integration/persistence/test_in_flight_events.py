"""InFlightEvents lists accepted events that are not written yet, with the store that has them."""

import pytest

from app.operations.in_flight_events import InFlightEvents
from tests.support.pipeline_harness import USER_NAMES, WINDOW_AND_JITTER_SECONDS, PipelineHarness

pytestmark = pytest.mark.service


@pytest.fixture
def in_flight_events(pipeline: PipelineHarness) -> InFlightEvents:
    return InFlightEvents(pipeline.redis, pipeline.engine, pipeline.worker_services.services.ingress.shards)


def _locations(in_flight_events: InFlightEvents, table: str) -> list[str]:
    return [row["where"] for row in in_flight_events.list_for_table(table, 50)]


def test_like_is_in_flight_in_the_ingress_then_in_its_window_then_nowhere(
    pipeline: PipelineHarness, in_flight_events: InFlightEvents
) -> None:
    pipeline.alice.create_post("Hello")
    for user in pipeline.create_users(*USER_NAMES[:5]):
        user.like("Hello")
    assert _locations(in_flight_events, "likes") == ["ingress"] * 5

    pipeline.run_until_idle()
    rows = in_flight_events.list_for_table("likes", 50)
    assert [row["where"] for row in rows] == ["window"] * 2
    assert all(row["dueAt"] for row in rows)

    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()
    assert _locations(in_flight_events, "likes") == []


def test_like_is_in_flight_in_the_fallback_queue_while_kafka_is_unavailable(
    pipeline: PipelineHarness, in_flight_events: InFlightEvents
) -> None:
    pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    pipeline.memory_kafka.is_unavailable = True
    ann.like("Hello")
    pipeline.bridge.step()

    assert _locations(in_flight_events, "likes") == ["fallback queue"]


def test_in_flight_events_have_the_columns_of_their_table(
    pipeline: PipelineHarness, in_flight_events: InFlightEvents
) -> None:
    post = pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    ann.follow(pipeline.alice)
    ann.comment("Hello", "Nice one")

    (follow,) = in_flight_events.list_for_table("follows", 50)
    assert (follow["followerId"], follow["followingId"]) == (ann.id, pipeline.alice.id)
    (comment,) = in_flight_events.list_for_table("comments", 50)
    assert (comment["postId"], comment["userId"]) == (post, ann.id)
    assert comment["content"] == "Nice one"
    assert in_flight_events.list_for_table("likes", 50) == []


def test_open_window_is_listed_as_a_future_notification(
    pipeline: PipelineHarness, in_flight_events: InFlightEvents
) -> None:
    pipeline.alice.create_post("Hello")
    ann, ben = pipeline.create_users("Ann", "Ben")
    ann.comment("Hello", "One")
    ben.comment("Hello", "Two")
    pipeline.run_until_idle()

    (row,) = in_flight_events.list_for_table("notification-history", 50)
    assert (row["userId"], row["type"], row["aggregatedCount"]) == (pipeline.alice.id, "COMMENT", 2)


def test_in_flight_events_are_limited_and_newest_first(
    pipeline: PipelineHarness, in_flight_events: InFlightEvents
) -> None:
    pipeline.alice.create_post("Hello")
    users = pipeline.create_users(*USER_NAMES)
    for user in users:
        user.like("Hello")

    assert [row["userId"] for row in in_flight_events.list_for_table("likes", 2)] == [
        users[-1].id,
        users[-2].id,
    ]
