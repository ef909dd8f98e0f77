"""Whatever users do and whichever processes die, pause or fail in between: at rest the tables contain the
requested states, the counts agree, and each announcement was made once.

Hypothesis generates the sequences. At any fail point a worker can die, fail (the service behind it is
unavailable), or pause there while another takes over, and resume later with its old batch. Redis may be
unavailable for the web or for an aggregator, and may be emptied once the bridge has moved everything; the
failback worker then restores it.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import greenlet
import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from sqlalchemy import Engine

from app.bootstrap import WorkerServices
from app.devtools.checker.store_invariants import StoreInvariants
from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.domain.windows import AggregationRules
from app.failpoints import FAILPOINT_NAMES
from app.social.notification_status import NotificationStatusStore
from tests.conftest import empty_redis, empty_tables
from tests.support.pipeline_harness import (
    CONSUMER_GROUP_BY_TOPIC,
    LANE_TOPICS,
    PipelineHarness,
    PipelineUser,
)
from tests.support.redis_failover_harness import RedisFailoverHarness
from workers.aggregator import Aggregator

pytestmark = [pytest.mark.service, pytest.mark.slow]
TIGHT_RULES = AggregationRules(instant_likes=1, window_seconds=60.0, jitter_seconds=10.0, flush_max_rows=2)
"""Tight limits, so that a few users fill, close and overlap windows."""
PATCHED_MODULES = ("workers.bridge", "workers.aggregator", "workers.flusher", "workers.deliverer")
OTHER_PROCESSES = ("web", "delivery-log", "mailer")
PIPELINE_FAILPOINTS = [
    failpoint for failpoint in FAILPOINT_NAMES if not failpoint.startswith(OTHER_PROCESSES)
]
USER_COUNT, OWNER_COUNT = 5, 2
MAX_ROUNDS = 30


class WorkerDied(BaseException):
    """Like SIGKILL: passes every `except Exception`, and the database rolls back."""


class NextFailure:
    """What happens the next time a fail point is reached."""

    def __init__(self) -> None:
        self.failpoint, self.outcome = "", ""

    def hit_failpoint(self, name: str) -> None:
        if name != self.failpoint:
            return
        self.failpoint = ""
        if self.outcome == "die":
            raise WorkerDied
        if self.outcome == "fail":
            raise Unavailable("unavailable")
        parent = greenlet.getcurrent().parent
        assert parent is not None
        parent.switch()  # paused until another greenlet switches back


NEXT_FAILURE = NextFailure()


class FaultStateMachine(RuleBasedStateMachine):
    worker_services: WorkerServices
    connection: "redis.Redis"

    def __init__(self) -> None:
        super().__init__()
        empty_tables(self.worker_services.services.engine)
        empty_redis(self.connection)
        self.pipeline = PipelineHarness(self.worker_services, TIGHT_RULES)
        self.failover_harness = RedisFailoverHarness(self.pipeline)
        self.pipeline.actions = self.failover_harness.actions_with_redis
        self.users: list[PipelineUser] = self.pipeline.create_users(*(f"P{n}" for n in range(USER_COUNT)))
        self.post_ids = [user.create_post(user.name) for user in self.users[:OWNER_COUNT]]
        self.liked: dict[tuple[str, str], bool] = {}
        self.followed: dict[tuple[str, str], bool] = {}
        self.worker_by_name: dict[str, Any] = {}
        self.paused: list[greenlet.greenlet] = []
        for name in ("bridge", "critical", "high", "low", "flusher", "fan-out", "relay", "deliverer"):
            self._replace_worker(name)

    @rule(
        user_index=st.integers(0, USER_COUNT - 1),
        post_index=st.integers(0, OWNER_COUNT - 1),
        is_on=st.booleans(),
    )
    def like(self, user_index: int, post_index: int, is_on: bool) -> None:
        user, post_id = self.users[user_index], self.post_ids[post_index]
        caption = self.users[post_index].name
        is_exact = self._reaches_redis() and self.failover_harness.is_redis_enabled()
        state = user.like(caption) if is_on else user.unlike(caption)
        self.liked[post_id, user.id] = is_on
        assert state.active == is_on
        if is_exact:
            assert state.count == sum(
                active for (liked_post_id, _), active in self.liked.items() if liked_post_id == post_id
            )

    @rule(post_index=st.integers(0, OWNER_COUNT - 1), is_on=st.booleans())
    def all_users_like(self, post_index: int, is_on: bool) -> None:
        for user_index in range(USER_COUNT):
            self.like(user_index, post_index, is_on)

    @rule(user_index=st.integers(0, USER_COUNT - 1), post_index=st.integers(0, OWNER_COUNT - 1))
    def like_unlike_like(self, user_index: int, post_index: int) -> None:
        for is_on in (True, False, True):
            self.like(user_index, post_index, is_on)
            for name in ("bridge", "high", "low"):
                self._step(self.worker_by_name[name])

    @rule(
        user_index=st.integers(0, USER_COUNT - 1),
        followed_index=st.integers(0, OWNER_COUNT - 1),
        is_on=st.booleans(),
    )
    def follow(self, user_index: int, followed_index: int, is_on: bool) -> None:
        user, followed_user = self.users[user_index], self.users[followed_index]
        if user is not followed_user:
            state = user.follow(followed_user) if is_on else user.unfollow(followed_user)
            self.followed[followed_user.id, user.id] = is_on
            assert state.active == is_on

    @rule(user_index=st.integers(0, USER_COUNT - 1), post_index=st.integers(0, OWNER_COUNT - 1))
    def comment(self, user_index: int, post_index: int) -> None:
        self.users[user_index].comment(self.users[post_index].name, "Nice one")

    @rule(is_unavailable=st.booleans())
    def change_redis(self, is_unavailable: bool) -> None:
        """For web processes."""
        self.pipeline.actions = (
            self.failover_harness.actions if is_unavailable else self.failover_harness.actions_with_redis
        )
        if not is_unavailable:
            self.failover_harness.actions_with_redis._failover._redis_failover.verify_ingress_after_failure()

    @rule(lane_name=st.sampled_from(["high", "low"]))
    def run_aggregator_without_redis(self, lane_name: str) -> None:
        self._replace_worker(lane_name, self.failover_harness.new_aggregator)

    @rule(count=st.integers(1, 12))
    def step_failback_worker(self, count: int) -> None:
        for _ in range(count):
            self._step(self.failover_harness.redis_failback)

    @rule()
    def empty_redis_store(self) -> None:
        """Only when all accepted events are in Kafka or in the fallback queue."""
        if self._reaches_redis() and not self.paused:
            self._step(self.worker_by_name["bridge"])
            if not sum(self.worker_services.services.ingress.length_by_shard().values()):
                self.connection.flushall()
                self._step(self.worker_by_name["bridge"])  # recreates its streams

    def _reaches_redis(self) -> bool:
        return self.pipeline.actions is self.failover_harness.actions_with_redis

    @rule(user_index=st.integers(0, OWNER_COUNT - 1))
    def mark_all_read(self, user_index: int) -> None:
        NotificationStatusStore(self.pipeline.engine).mark_all_read(self.users[user_index].id, None)

    @rule(name=st.sampled_from(["bridge", "high", "low", "flusher", "relay", "deliverer"]))
    def step_worker(self, name: str) -> None:
        self._step(self.worker_by_name[name])

    @rule(lane_name=st.sampled_from(["high", "low"]))
    def step_one_lane(self, lane_name: str) -> None:
        """All events are in Kafka, and the other topic was not read yet."""
        self._step(self.worker_by_name["bridge"])
        self._step(self.worker_by_name[lane_name])

    @rule(outcome=st.sampled_from(["die", "pause"]))
    def fail_a_flusher_with_claims(self, outcome: str) -> None:
        self.pipeline.clock.advance(71.0)
        self.fail_at("flusher.claimed", outcome)

    @rule()
    def step_all_workers(self) -> None:
        for worker in self.worker_by_name.values():
            self._step(worker)

    @rule(failpoint=st.sampled_from(PIPELINE_FAILPOINTS), outcome=st.sampled_from(["die", "pause", "fail"]))
    def fail_at(self, failpoint: str, outcome: str) -> None:
        """The worker dies, pauses or fails the next time it reaches the fail point."""
        for name in self._workers_reaching(failpoint):
            NEXT_FAILURE.failpoint, NEXT_FAILURE.outcome = failpoint, outcome
            worker_greenlet = greenlet.greenlet(self.worker_by_name[name].step)
            with suppress(WorkerDied, Unavailable):
                worker_greenlet.switch()
            was_reached, NEXT_FAILURE.failpoint = not NEXT_FAILURE.failpoint, ""
            if was_reached and outcome == "fail":
                return
            if was_reached:
                if outcome == "pause":
                    self.paused.append(worker_greenlet)
                self._replace_worker(name)

    @precondition(lambda self: self.paused)
    @rule(index=st.integers(0, 9))
    def resume_paused(self, index: int) -> None:
        """Continues with its old batch, although another worker has taken over."""
        worker_greenlet = self.paused.pop(index % len(self.paused))
        with suppress(Unavailable):
            worker_greenlet.switch()

    @rule(name=st.sampled_from(["bridge", "high", "low", "flusher", "relay", "deliverer"]))
    def replace_worker(self, name: str) -> None:
        self._replace_worker(name)

    @rule(seconds=st.sampled_from([5.0, 31.0, 71.0]))
    def advance_clock(self, seconds: float) -> None:
        self.pipeline.clock.advance(seconds)

    @rule(is_unavailable=st.booleans(), loses_acknowledgements=st.booleans())
    def change_kafka(self, is_unavailable: bool, loses_acknowledgements: bool) -> None:
        (
            self.pipeline.memory_kafka.is_unavailable,
            self.pipeline.memory_kafka.loses_acknowledgements,
        ) = is_unavailable, loses_acknowledgements

    def teardown(self) -> None:
        NEXT_FAILURE.failpoint = ""
        self.pipeline.memory_kafka.is_unavailable = self.pipeline.memory_kafka.loses_acknowledgements = False
        while self.paused:
            self.resume_paused(0)
        self.change_redis(is_unavailable=False)
        for lane_name in ("high", "low"):
            self._replace_worker(lane_name)  # Redis is back for all aggregators
        self._run_until_at_rest()
        self.failover_harness.fail_back(self.step_all_workers)
        self._run_until_at_rest()
        invariants = StoreInvariants(self.pipeline.engine, self.pipeline.redis)
        assert invariants.find_violations() == []
        _assert_same_pairs(invariants.read_memberships("likes"), self.liked)
        _assert_same_pairs(invariants.read_memberships("follows"), self.followed)
        assert self.pipeline.query("select origin, reason from dead_letters") == []
        assert self._uncommitted_records() == {}

    def _run_until_at_rest(self) -> None:
        invariants = StoreInvariants(self.pipeline.engine, self.pipeline.redis)
        for _ in range(MAX_ROUNDS):
            while sum(self._step(worker) for worker in self.worker_by_name.values()):
                pass
            at_rest = not invariants.find_pending_work()
            self.pipeline.clock.advance(71.0)
            if at_rest:
                return self._step_aggregators()
        return None

    def _step_aggregators(self) -> None:
        for name in ("critical", "high", "low"):
            self._step(self.worker_by_name[name])

    def _uncommitted_records(self) -> dict[tuple[str, str, int], int]:
        """Number of uncommitted records by group and partition."""
        kafka = self.pipeline.memory_kafka
        return {
            (CONSUMER_GROUP_BY_TOPIC[Topic(topic)], topic, partition): len(log) - committed_offset
            for (topic, partition), log in kafka.log_by_partition.items()
            if topic in CONSUMER_GROUP_BY_TOPIC
            and len(log)
            > (
                committed_offset := kafka.committed_offsets.get(
                    (CONSUMER_GROUP_BY_TOPIC[Topic(topic)], topic, partition), 0
                )
            )
        }

    def _step(self, worker: Any) -> int:
        try:
            return int(worker.step())
        except Unavailable:
            return 0

    def _workers_reaching(self, failpoint: str) -> list[str]:
        name = failpoint.partition(".")[0]
        return ["high", "low"] if name == "aggregator" else [name]

    def _replace_worker(self, name: str, new_aggregator: Callable[[Topic], Aggregator] | None = None) -> None:
        """Replaces a worker; the leases of the old one expire, and it leaves its consumer group."""
        pipeline, old_worker = self.pipeline, self.worker_by_name.get(name)
        topics = {topic.value.partition("-")[0]: topic for topic in LANE_TOPICS}
        if old_worker is not None:
            pipeline.expire_leases()
            subscriber = getattr(old_worker, "_subscriber", None)
            if subscriber is not None:
                subscriber.close()
                subscriber.commit = lambda offsets: None  # the broker rejects commits of former members
        if name in topics:
            self.worker_by_name[name] = (new_aggregator or pipeline.new_aggregator)(topics[name])
        else:
            self.worker_by_name[name] = getattr(pipeline, f"new_{name.replace('-', '_')}")()


def _assert_same_pairs(stored: dict[tuple[str, str], bool], requested: dict[tuple[str, str], bool]) -> None:
    active_pairs = {pair for pair, active in stored.items() if active}
    assert active_pairs == {pair for pair, active in requested.items() if active}


def test_any_fault_ends_in_the_same_tables(
    worker_services: WorkerServices,
    engine: Engine,
    real_redis: "redis.Redis",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (*PATCHED_MODULES, "app.messaging.outbox_relay", "app.messaging.fallback_queue"):
        monkeypatch.setattr(f"{module}.hit_failpoint", NEXT_FAILURE.hit_failpoint)
    monkeypatch.setattr("workers.bridge.READ_WAIT_SECONDS", 0.001)
    FaultStateMachine.worker_services, FaultStateMachine.connection = worker_services, real_redis

    run_state_machine_as_test(
        FaultStateMachine,
        settings=settings(
            max_examples=7,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            phases=[Phase.generate],  # shrinking would take minutes
        ),
    )
