"""An announcement has the same fields and a target, whichever path and moment it comes from."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.domain.events import Kind
from app.domain.grouping import ClientEventType
from app.domain.routing import Topic
from app.ingest.actions import Actions
from app.ingest.memberships import DesiredState
from tests.conftest import empty_redis
from tests.support.pipeline_harness import (
    AGGREGATION_RULES,
    USER_NAMES,
    WINDOW_AND_JITTER_SECONDS,
    PipelineHarness,
    PipelineUser,
)
from tests.support.redis_failover_harness import RedisFailoverHarness

pytestmark = pytest.mark.service
SIX_NAMES = USER_NAMES[:6]


def act(kind: Kind, pipeline: PipelineHarness, user: PipelineUser, actions: Actions) -> object:
    """Makes the user cause a notification of this kind for Alice."""
    post_id, alice_id = pipeline.post_id_by_caption["Hello"], pipeline.alice.id
    match kind:
        case Kind.LIKE:
            return actions.set_like(user.id, post_id, DesiredState.ON)
        case Kind.FOLLOW:
            return actions.set_follow(user.id, alice_id, DesiredState.ON)
        case Kind.COMMENT:
            return actions.create_comment(user.id, post_id, f"{user.name} comments")
        case Kind.POST_SHARE:
            actions.share_post(user.id, post_id)
            return None
        case Kind.COMMENT_REPLY:
            return actions.create_reply(user.id, comment_of_alice(pipeline), f"{user.name} answers")
    raise AssertionError(kind)


def comment_of_alice(pipeline: PipelineHarness) -> str:
    if "comment of Alice" not in pipeline.post_id_by_caption:
        pipeline.post_id_by_caption["comment of Alice"] = pipeline.alice.comment("Hello", "Mine")
    return pipeline.post_id_by_caption["comment of Alice"]


def announcements(
    pipeline: PipelineHarness, event_type: ClientEventType = ClientEventType.ANNOUNCED
) -> list[dict[str, Any]]:
    return [
        client_event
        for client_event in pipeline.alice.client_events(event_type)
        if client_event["type"] != Kind.OTP.value
    ]


def act_as_six_users(pipeline: PipelineHarness, kind: Kind, actions: Actions | None = None) -> None:
    for user in pipeline.create_users(*SIX_NAMES):
        act(kind, pipeline, user, actions or pipeline.actions)


def in_several_transactions(pipeline: PipelineHarness, kind: Kind) -> list[dict[str, Any]]:
    act_as_six_users(pipeline, kind)
    pipeline.close_windows()
    return announcements(pipeline)


def during_failover(pipeline: PipelineHarness, kind: Kind) -> list[dict[str, Any]]:
    failover = RedisFailoverHarness(pipeline)
    if kind is Kind.COMMENT_REPLY:
        comment_of_alice(pipeline)
        pipeline.close_windows()
    for aggregator in pipeline.aggregator.aggregator_by_topic.values():
        aggregator._subscriber.close()
    failover_aggregators = [failover.new_aggregator(topic) for topic in (Topic.HIGH, Topic.LOW)]
    act_as_six_users(pipeline, kind, failover.actions)
    for aggregator in failover_aggregators:
        aggregator.step()
    pipeline.outbox_relay.step()
    pipeline.deliverer.step()
    return announcements(pipeline)


def after_redis_was_emptied(pipeline: PipelineHarness, kind: Kind) -> list[dict[str, Any]]:
    failover = RedisFailoverHarness(pipeline)
    failover.fail_back()
    act_as_six_users(pipeline, kind)
    pipeline.run_until_idle()
    empty_redis(pipeline.redis)
    failover.fail_back()
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()
    return announcements(pipeline)


def after_quiet_hours(pipeline: PipelineHarness, kind: Kind) -> list[dict[str, Any]]:
    pipeline.alice.set_preferences(dnd_enabled=True, dnd_start_time="00:00", dnd_end_time="23:59")
    act_as_six_users(pipeline, kind)
    pipeline.close_windows()
    assert announcements(pipeline) == []
    pipeline.clock.advance(24 * 3600)
    pipeline.quiet_hours_delivery.announce_due_rows()
    pipeline.run_until_idle()
    return [*announcements(pipeline), *announcements(pipeline, ClientEventType.UPDATED)]


def after_an_account_was_deleted(pipeline: PipelineHarness, kind: Kind) -> list[dict[str, Any]]:
    act_as_six_users(pipeline, kind)
    pipeline.close_windows()
    [(ann_id,)] = pipeline.query("select id::text from users where name = 'Ann'")
    pipeline.removals.delete_account(ann_id)
    pipeline.run_until_idle()
    assert announcements(pipeline, ClientEventType.UPDATED)
    return [*announcements(pipeline), *announcements(pipeline, ClientEventType.UPDATED)]


SCENARIOS: list[Callable[[PipelineHarness, Kind], list[dict[str, Any]]]] = [
    in_several_transactions,
    during_failover,
    after_redis_was_emptied,
    after_quiet_hours,
    after_an_account_was_deleted,
]
TARGET_TYPES = {
    Kind.LIKE: "POST",
    Kind.POST_SHARE: "POST",
    Kind.COMMENT: "POST",
    Kind.COMMENT_REPLY: "COMMENT",
    Kind.FOLLOW: "USER",
}
FIELDS = {
    "id", "type", "priority", "title", "message", "actorId", "actorName", "actorAvatar",
    "imageUrl", "targetType", "targetId", "timestamp", "isRead", "seenAt", "version", "seq",
    "generation", "actors", "group", "metadata",
}  # fmt: skip
METADATA = {"isAggregated", "aggregatedCount", "newCount", "aggregatedActors", "channels"}
LINKS = {
    Kind.LIKE: {"objectText"},
    Kind.POST_SHARE: {"postUrl", "objectText"},
    Kind.COMMENT: {"postUrl", "commentId", "objectText"},
    Kind.COMMENT_REPLY: {"postUrl", "commentId"},
    Kind.FOLLOW: {"isVerified"},
}


@pytest.mark.parametrize("pipeline", [replace(AGGREGATION_RULES, flush_max_rows=3)], indirect=True)
@pytest.mark.parametrize("run_scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("kind", list(TARGET_TYPES), ids=lambda kind: kind.value)
def test_announcement_has_the_same_fields_and_a_target_on_every_path(
    pipeline: PipelineHarness,
    kind: Kind,
    run_scenario: Callable[[PipelineHarness, Kind], list[dict[str, Any]]],
) -> None:
    pipeline.alice.create_post("Hello")
    client_events = [
        client_event for client_event in run_scenario(pipeline, kind) if client_event["type"] == kind.value
    ]

    assert client_events
    object_id = pipeline.alice.id if kind is Kind.FOLLOW else pipeline.post_id_by_caption["Hello"]
    object_id = pipeline.post_id_by_caption["comment of Alice"] if kind is Kind.COMMENT_REPLY else object_id
    assert {(client_event["targetType"], client_event["targetId"]) for client_event in client_events} == {
        (TARGET_TYPES[kind], object_id)
    }
    for client_event in client_events:
        assert set(client_event) == FIELDS
        assert set(client_event["metadata"]) == METADATA | LINKS.get(kind, set())
        assert None not in client_event["metadata"].values()


@pytest.mark.parametrize("kind", [Kind.MENTION, Kind.BELL_POST])
def test_instant_kinds_have_the_same_fields(pipeline: PipelineHarness, kind: Kind) -> None:
    (ann,) = pipeline.create_users("Ann")
    pipeline.alice.subscribe_to(ann)

    ann.create_post(f"Look, @{pipeline.alice.username}" if kind is Kind.MENTION else "Look")
    pipeline.run_until_idle()

    for client_event in announcements(pipeline):
        assert set(client_event) == FIELDS
        assert (client_event["targetType"], client_event["targetId"]) == (
            "POST",
            list(pipeline.post_id_by_caption.values())[-1],
        )
