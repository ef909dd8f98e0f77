"""The pipeline with web actions and aggregators that cannot reach Redis, and the failback worker.

harness = RedisFailoverHarness(pipeline)
harness.actions.set_like(...)        as in a web process whose Redis refuses every connection
harness.new_aggregator(topic).step() an aggregator without windows
harness.fail_back()                  runs failback and the workers until Redis is in use again
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
import redis

from app.aggregation.windows import WindowStore
from app.bootstrap import new_id
from app.clients import circuit_breaker
from app.clients import redis as redis_store
from app.clients.leases import PostgresLease
from app.devtools.checker.store_invariants import StoreInvariants
from app.domain.clock import Clock
from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.failover.redis_failover import INGRESS_ENABLED_KEY, RedisFailover
from app.ingest.actions import Actions
from app.ingest.comments import Comments
from app.ingest.failover_path import FailoverWriter
from app.ingest.failover_writes import FailoverEvents, FailoverWrites, SeqGenerator
from app.ingest.ingress import IngressStreams
from app.ingest.memberships import IngressLimits, MembershipStore
from app.ingest.pending_comment_deletions import PendingCommentDeletions
from app.ingest.synchronous_writer import SynchronousWriter
from app.social.removals import PostAndAccountRemoval
from tests.support.fakes import MemoryKafka
from tests.support.pipeline_harness import (
    CONSUMER_GROUP_BY_TOPIC,
    LANE_TOPICS,
    USER_NAMES,
    WINDOW_AND_JITTER_SECONDS,
    PipelineHarness,
    PipelineUser,
)
from workers.aggregator import Aggregator
from workers.redis_failback import RedisFailback
from workers.redis_recovery import PendingDeletions, PipelineBacklogSources

INGRESS_LIMITS = IngressLimits(4, 1_000_000, 1.1)
UNREACHABLE_REDIS_URL = "redis://127.0.0.1:1/0"
MAX_FAILBACK_STEPS = 60


def read_end_offsets(memory_kafka: MemoryKafka) -> dict[str, int]:
    """The end offsets of the priority topics, as app/operations/consumer_lag.py reads them from Kafka."""
    log_items = memory_kafka.log_by_partition.items()
    return {
        f"{topic}:{partition}": len(log)
        for (topic, partition), log in log_items
        if Topic(topic) in LANE_TOPICS
    }


def read_committed_offsets(memory_kafka: MemoryKafka) -> dict[str, int]:
    """The committed offsets of the priority topics, as app/operations/consumer_lag.py reads them."""
    return {
        f"{topic}:{partition}": memory_kafka.committed_offsets.get(
            (CONSUMER_GROUP_BY_TOPIC[Topic(topic)], topic, partition), 0
        )
        for topic, partition in memory_kafka.log_by_partition
        if Topic(topic) in LANE_TOPICS
    }


@dataclass
class RedisFailoverHarness:
    pipeline: PipelineHarness
    actions: Actions = field(init=False)
    memberships: MembershipStore = field(init=False)
    comments: Comments = field(init=False)
    failover_writes: FailoverWrites = field(init=False)
    redis_failover: RedisFailover = field(init=False)
    redis_failback: RedisFailback = field(init=False)

    def __post_init__(self) -> None:
        pipeline, engine = self.pipeline, self.pipeline.engine
        # This process simulates processes with and without Redis: the shared circuit breaker must not open.
        circuit_breaker.configure_all_breakers(failure_threshold=1_000_000, reset_seconds=10)
        unreachable_redis: redis.Redis = redis_store.create_redis_client(UNREACHABLE_REDIS_URL)
        self.unreachable_redis = unreachable_redis
        redis_failover_with_redis = RedisFailover(pipeline.redis, engine)
        self.failover_writes = FailoverWrites(engine)
        self.writer = writer = SynchronousWriter(
            engine,
            pipeline.event_writer,
            pipeline.worker_services.fallback_queue,
            FailoverEvents(SeqGenerator(time.time)),
            is_grouped=True,
        )
        fallback_queue = pipeline.worker_services.fallback_queue
        self.failover_writer_with_redis = FailoverWriter(
            redis_failover_with_redis,
            self.failover_writes,
            writer,
        )
        self.memberships = MembershipStore(unreachable_redis, engine, INGRESS_LIMITS)
        self.comments = Comments(unreachable_redis, engine)
        self.redis_failover = RedisFailover(unreachable_redis, engine)
        failover_writer = FailoverWriter(
            self.redis_failover,
            self.failover_writes,
            writer,
        )
        clock = Clock(time.time, new_id)
        self.actions = Actions(
            self.memberships,
            self.comments,
            IngressStreams(unreachable_redis, INGRESS_LIMITS),
            engine,
            clock,
            lambda _: None,
            failover_writer,
        )
        # The same actions with Redis and the fake Kafka: pipeline.actions use a real Kafka.
        services = pipeline.worker_services.services
        self.actions_with_redis = Actions(
            services.memberships,
            services.comments,
            services.ingress,
            engine,
            clock,
            lambda _: None,
            self.failover_writer_with_redis,
        )
        pipeline_positions = PipelineBacklogSources(
            services.ingress,
            fallback_queue,
            lambda: read_end_offsets(pipeline.memory_kafka),
            lambda: read_committed_offsets(pipeline.memory_kafka),
            pipeline.window_store,
        )
        lease = PostgresLease(engine, "redis-failback", new_id())
        self.removals = PostAndAccountRemoval(
            engine, unreachable_redis, Clock(time.time, new_id), failover_writer.update_redis_unless_failover
        )
        self.removals_with_redis = PostAndAccountRemoval(
            engine,
            pipeline.redis,
            Clock(time.time, new_id),
            self.failover_writer_with_redis.update_redis_unless_failover,
        )
        pending_deletions = PendingDeletions(
            self.removals_with_redis.redis_updates.apply_pending_page,
            PendingCommentDeletions(engine),
            services.comments.find_pending_ids,
            self.actions_with_redis.delete_comment,
        )
        self.redis_failback = RedisFailback(
            pipeline.redis,
            redis_failover_with_redis,
            self.failover_writes,
            pipeline_positions,
            pending_deletions,
            lease,
            new_id,
        )

    def new_aggregator(self, topic: Topic) -> Aggregator:
        """An aggregator that cannot reach Redis, and so has no windows."""
        pipeline, saved_windows, saved_comments = (
            self.pipeline,
            self.pipeline.window_store,
            self.pipeline.comments,
        )
        saved_follows = pipeline.pending_follows
        pipeline.window_store, pipeline.comments = (
            WindowStore(self.unreachable_redis),
            self.comments,
        )
        pipeline.pending_follows = self.memberships.pending_follows
        try:
            return pipeline.new_aggregator(topic)
        finally:
            pipeline.window_store, pipeline.comments = saved_windows, saved_comments
            pipeline.pending_follows = saved_follows

    def is_redis_enabled(self) -> bool:
        return bool(self.pipeline.redis.exists(INGRESS_ENABLED_KEY))

    def fail_back(self, run_workers: Callable[[], object] | None = None) -> None:
        """Runs failback and the workers until Redis is enabled."""
        for _ in range(MAX_FAILBACK_STEPS):
            self.redis_failback.step()
            if (
                self.redis_failback.idle_delay()
                and self.is_redis_enabled()
                and self.redis_failover.read_state().status == "normal"
            ):
                return
            with suppress(Unavailable):  # an emptied ingress is created again at the next step
                (run_workers or self.pipeline.run_until_idle)()
            self.pipeline.clock.advance(1)
        raise AssertionError(f"failback did not complete: {self.redis_failover.read_state()}")


@pytest.fixture
def failover_harness(pipeline: PipelineHarness, monkeypatch: pytest.MonkeyPatch) -> RedisFailoverHarness:
    monkeypatch.setattr("workers.redis_failback.REST_SECONDS", 0.0)
    monkeypatch.setattr("workers.bridge.FALLBACK_CHECK_INTERVAL_SECONDS", 0.0)  # copies of failover writes
    return RedisFailoverHarness(pipeline)


@pytest.fixture
def users(pipeline: PipelineHarness) -> list[PipelineUser]:
    pipeline.alice.create_post("Hello")
    return pipeline.create_users(*USER_NAMES)


def violations(pipeline: PipelineHarness) -> list[str]:
    """Violated invariants once all windows are closed and everything is processed."""
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()
    pipeline.clock.advance(2)
    pipeline.run_until_idle()
    return StoreInvariants(pipeline.engine, pipeline.redis).find_violations()


def committed(pipeline: PipelineHarness, topic: Topic = Topic.LOW) -> int:
    """Sum of the committed offsets of one topic (likes by non-followers have priority LOW)."""
    offsets = pipeline.memory_kafka.committed_offsets.items()
    return sum(offset for (group, *_), offset in offsets if group == CONSUMER_GROUP_BY_TOPIC[topic])
