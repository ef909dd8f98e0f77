"""The pipeline with web actions and aggregators that cannot reach Redis, and the failback worker.

failover.actions.set_like(...)        as in a web process whose Redis refuses every connection
failover.new_aggregator(topic).step() an aggregator without windows
failover.fail_back()                  runs failback and the workers until Redis is in use again

Fixture `failover`: this harness with a post of Alice ("Hello") and eight users.
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
from app.domain.clock import TimeAndIdSource
from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.failover.redis_failover import INGRESS_ENABLED_KEY, RedisFailover
from app.ingest.actions import Actions
from app.ingest.comments import Comments
from app.ingest.failover_path import FailoverWriter
from app.ingest.failover_writes import FailoverEvents, FailoverWrites, SeqGenerator
from app.ingest.ingress import IngressStreams
from app.ingest.membership_kinds import POST_LIKES
from app.ingest.memberships import (
    DesiredState,
    IngressLimits,
    MembershipState,
    MembershipStore,
    SetMembershipRequest,
)
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
from tests.support.post_counts import count_comments, read_likes
from workers.aggregator import Aggregator
from workers.failback_steps import FailbackSteps, PendingDeletions, PipelineBacklogSources
from workers.redis_failback import RedisFailback

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
    users: list[PipelineUser] = field(default_factory=list)
    actions: Actions = field(init=False)
    memberships: MembershipStore = field(init=False)
    comments: Comments = field(init=False)
    failover_writes: FailoverWrites = field(init=False)
    redis_failover: RedisFailover = field(init=False)
    failback_steps: FailbackSteps = field(init=False)
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
        clock = TimeAndIdSource(time.time, new_id)
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
            engine,
            unreachable_redis,
            TimeAndIdSource(time.time, new_id),
            failover_writer.update_redis_unless_failover,
        )
        self.removals_with_redis = PostAndAccountRemoval(
            engine,
            pipeline.redis,
            TimeAndIdSource(time.time, new_id),
            self.failover_writer_with_redis.update_redis_unless_failover,
        )
        pending_deletions = PendingDeletions(
            self.removals_with_redis.redis_updates.apply_pending_page,
            PendingCommentDeletions(engine),
            services.comments.find_pending_ids,
            self.actions_with_redis.delete_comment,
        )
        self.failback_steps = FailbackSteps(
            pipeline.redis,
            redis_failover_with_redis,
            self.failover_writes,
            pipeline_positions,
            pending_deletions,
            new_id,
        )
        self.redis_failback = RedisFailback(
            pipeline.redis,
            redis_failover_with_redis,
            pipeline_positions.ingress,
            pending_deletions,
            self.failback_steps,
            lease,
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

    @property
    def post_id(self) -> str:
        return self.pipeline.post_id_by_caption["Hello"]

    @property
    def status(self) -> str:
        return self.redis_failover.read_state().status

    def is_redis_enabled(self) -> bool:
        return bool(self.pipeline.redis.exists(INGRESS_ENABLED_KEY))

    def like(
        self, user: PipelineUser, desired_state: DesiredState = DesiredState.ON, post_id: str = ""
    ) -> MembershipState:
        """In a process that cannot reach Redis."""
        return self.actions.set_like(user.id, post_id or self.post_id, desired_state)

    def like_with_redis(
        self, user: PipelineUser, desired_state: DesiredState = DesiredState.ON
    ) -> MembershipState:
        return self.actions_with_redis.set_like(user.id, self.post_id, desired_state)

    def like_request(
        self, user: PipelineUser, desired_state: DesiredState = DesiredState.ON, post_id: str = ""
    ) -> SetMembershipRequest:
        return SetMembershipRequest(POST_LIKES, user.id, post_id or self.post_id, desired_state, new_id(), "")

    def like_count_and_state(self, viewer: PipelineUser, post_id: str = "") -> tuple[int, bool]:
        """As a process that reaches Redis answers."""
        post_id = post_id or self.post_id
        memberships = self.pipeline.worker_services.services.memberships
        return read_likes(memberships, viewer.id, post_id)

    def comment_count_and_contents(self) -> tuple[int, list[str]]:
        """As a process that reaches Redis answers."""
        services = self.pipeline.worker_services.services
        contents = [comment.content for comment in services.comments.list_by_post(self.post_id)]
        return count_comments(services.memberships, self.post_id), contents

    def count_fallback_rows(self, condition: str = "true") -> int:
        statement = f"select count(*) from kafka_fallback_queue where {condition}"  # noqa: S608 - constants
        return int(self.pipeline.query(statement)[0][0])

    def violations(self) -> list[str]:
        """Violated invariants once all windows are closed and everything is processed."""
        for seconds in (WINDOW_AND_JITTER_SECONDS, 2):
            self.pipeline.clock.advance(seconds)
            self.pipeline.run_until_idle()
        return StoreInvariants(self.pipeline.engine, self.pipeline.redis).find_violations()

    def committed(self, topic: Topic = Topic.LOW) -> int:
        """Sum of the committed offsets of one topic (likes by non-followers have priority LOW)."""
        offsets = self.pipeline.memory_kafka.committed_offsets.items()
        return sum(offset for (group, *_), offset in offsets if group == CONSUMER_GROUP_BY_TOPIC[topic])

    def stays_in_failover(self) -> bool:
        """Whether twenty steps of the failback worker do not switch back."""
        for _ in range(20):
            self.redis_failback.step()
        return not self.is_redis_enabled()

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
def failover(pipeline: PipelineHarness, monkeypatch: pytest.MonkeyPatch) -> RedisFailoverHarness:
    monkeypatch.setattr("workers.redis_failback.REST_SECONDS", 0.0)
    monkeypatch.setattr("workers.bridge.FALLBACK_CHECK_INTERVAL_SECONDS", 0.0)  # copies of failover writes
    pipeline.alice.create_post("Hello")
    return RedisFailoverHarness(pipeline, pipeline.create_users(*USER_NAMES))
