"""The store invariants hold after normal use; each kind of damage is detected."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from app.devtools.checker.store_invariants import StoreInvariants
from tests.support.pipeline_harness import (
    WINDOW_AND_JITTER_SECONDS,
    PipelineHarness,
    pipeline,
    worker_services,
)

__all__ = ["pipeline", "worker_services"]
pytestmark = pytest.mark.service
Damage = Callable[[PipelineHarness], object]


@pytest.fixture
def consistent_pipeline(pipeline: PipelineHarness) -> PipelineHarness:
    """Five users like a post, one of them takes it back, one comments, one follows; all is announced."""
    pipeline.alice.create_post("Hello")
    users = pipeline.create_users("Ann", "Ben", "Cem", "Dan", "Eve")
    for user in users:
        user.like("Hello")
    users[0].comment("Hello", "Nice")
    users[1].follow(pipeline.alice)
    pipeline.run_until_idle()
    users[2].unlike("Hello")
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()
    return pipeline


def execute_sql(statement: str) -> Damage:
    def damage(pipeline: PipelineHarness) -> None:
        with pipeline.engine.begin() as connection:
            assert connection.execute(text(statement)).rowcount

    damage.__name__ = statement
    return damage


def increase_redis_count(pipeline: PipelineHarness) -> None:
    pipeline.redis.incr(f"like:count:{pipeline.post_id_by_caption['Hello']}")


def add_window(pipeline: PipelineHarness) -> None:
    pipeline.redis.zadd("windows:due", {"somebody:LIKE:something": 1})


def add_pending_comment(pipeline: PipelineHarness) -> None:
    pipeline.redis.hset("comment:pending:some-post", "id", "text")


def add_unwritten_like(pipeline: PipelineHarness) -> None:
    pipeline.redis.hset("like:unwritten:some-post", "some-user", "1 1")


def add_ingress_entry(pipeline: PipelineHarness) -> None:
    pipeline.redis.xadd("ingress:0", {"type": "LIKE"})


def test_invariants_hold_after_normal_use(consistent_pipeline: PipelineHarness) -> None:
    assert StoreInvariants(consistent_pipeline.engine, consistent_pipeline.redis).find_violations() == []


@pytest.mark.parametrize(
    ("damage", "description"),
    [
        (execute_sql("update outbox set published_at = null where id = 1"), "unpublished outbox rows"),
        (add_window, "windows"),
        (add_pending_comment, "comment:pending"),
        (add_unwritten_like, "like:unwritten"),
        (add_ingress_entry, "entries in the ingress"),
        (increase_redis_count, "redis_count=5"),
        (execute_sql("update posts set like_count = like_count + 1"), "stored_count=5"),
        (
            execute_sql(
                "update likes set active = false where (post_id, user_id) = "
                "(select post_id, user_id from likes where active limit 1)"
            ),
            "LIKE: missing set() extra",
        ),
        (
            execute_sql("delete from notification_actors where event_id is not null and active"),
            "LIKE: missing",
        ),
        (execute_sql("update notifications set actor_count = actor_count + 1"), "count"),
        (
            execute_sql("update notifications set unannounced_count = 1 where type = 'LIKE'"),
            "unannounced_count 1",
        ),
        (execute_sql("delete from outbox where client_event = 'notification' and id = 1"), " in events, "),
        (execute_sql("update notification_actors set announced = false"), "not announced"),
        (execute_sql("delete from outbox where client_seq = 2"), "client events of"),
        (
            execute_sql("update users set client_seq = client_seq + 1 where client_seq > 0"),
            "users.client_seq",
        ),
        (execute_sql("update notifications set version = version + 1"), "sent"),
        (execute_sql("update notifications set is_read = true"), "unread count of"),
    ],
    ids=lambda parameter: parameter if isinstance(parameter, str) else parameter.__name__[:40],
)
def test_each_violation_is_detected(
    consistent_pipeline: PipelineHarness, damage: Damage, description: str
) -> None:
    damage(consistent_pipeline)

    assert any(
        description in violation
        for violation in StoreInvariants(
            consistent_pipeline.engine, consistent_pipeline.redis
        ).find_violations()
    )
