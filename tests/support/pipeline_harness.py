"""Pipeline harness: the real worker classes on real PostgreSQL and Redis, with in-memory Kafka, sockets and
a manual clock. Nothing moves unless the test calls step().

pipeline.alice.create_post("Hello")
pipeline.create_users("Ann")[0].like("Hello")
pipeline.bridge.step(); pipeline.aggregator.step()

Fixtures: `worker_services` (clients, once per session), `pipeline` (empty stores, with the user Alice). The
conftest.py of a test folder imports them.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest
import redis
from sqlalchemy import Engine, text

from app.aggregation.windows import CLAIM_LEASE_MS
from app.bootstrap import WorkerServices, build_worker_services, new_id
from app.delivery.history import ClientEventHistory
from app.delivery.post_change_publisher import PostChangePublisher
from app.domain.clock import TimeAndIdSource
from app.domain.errors import RedisUnavailable, Unavailable
from app.domain.grouping import ClientEventType
from app.domain.routing import TOPIC_BY_PRIORITY, Topic
from app.domain.windows import AggregationRules
from app.domain.worker_loops import WORKER_LOOPS
from app.ingest.memberships import DesiredState, MembershipState
from app.messaging.dead_letters import DeadLetterQueue
from app.messaging.outbox_relay import OutboxRelay
from app.messaging.socket_push import user_room
from app.messaging.stage_counters import StageCounters
from app.persistence.clear_watermarks import OutboxClearWatermark
from app.persistence.event_writer import EventWriter
from app.persistence.fan_out_pages import FanOutPageWriter
from app.persistence.followers import FollowerLookup
from app.persistence.pending_cache_updates import RedisUpdateQueue
from app.persistence.quiet_hours import QuietHoursDelivery
from app.persistence.serializer import NotificationRenderer
from app.persistence.written_memberships import WrittenMemberships
from app.settings import load_settings
from app.social.removals import PostAndAccountRemoval
from tests.support.fakes import ManualClock, MemoryKafka, MemoryPushPublisher
from tests.support.fixtures import insert_users
from tests.support.mail_folder import list_notifications
from workers.aggregator import Aggregator, AggregatorSinks
from workers.bridge import Bridge
from workers.deliverer import Deliverer
from workers.fan_out import FanOutWorker
from workers.flusher import Flusher

USER_NAMES = ("Ann", "Ben", "Cem", "Dan", "Eve", "Fay", "Gus", "Hana")
AGGREGATION_RULES = AggregationRules(window_seconds=120.0, jitter_seconds=30.0)
WINDOW_AND_JITTER_SECONDS = 151.0
AFTER_CLAIM_LEASE_SECONDS = CLAIM_LEASE_MS / 1000 + 1
LANE_TOPICS = tuple(TOPIC_BY_PRIORITY.values())
CONSUMER_GROUP_BY_TOPIC = {
    loop.topic: loop.consumer_group for loop in WORKER_LOOPS.values() if loop.topic in LANE_TOPICS
} | {Topic.READY: WORKER_LOOPS["deliverer"].consumer_group}
"""Consumers of this harness. The ready topic has others as well."""


@dataclass(frozen=True)
class PipelineUser:
    """A user, their actions, and what was pushed to them."""

    pipeline: "PipelineHarness"
    id: str
    name: str

    def create_post(self, caption: str) -> str:
        post_id = self.pipeline.actions.create_post(self.id, caption, None)
        self.pipeline.post_id_by_caption[caption] = post_id
        return post_id

    def like(self, caption: str) -> MembershipState:
        return self.pipeline.actions.set_like(
            self.id, self.pipeline.post_id_by_caption[caption], DesiredState.ON
        )

    def unlike(self, caption: str) -> MembershipState:
        return self.pipeline.actions.set_like(
            self.id, self.pipeline.post_id_by_caption[caption], DesiredState.OFF
        )

    def comment(self, caption: str, content: str) -> str:
        return self.pipeline.actions.create_comment(
            self.id, self.pipeline.post_id_by_caption[caption], content
        ).id

    def reply(self, comment_id: str, content: str) -> str:
        return self.pipeline.actions.create_reply(self.id, comment_id, content).id

    def delete_comment(self, comment_id: str) -> None:
        self.pipeline.actions.delete_comment(self.id, comment_id)

    def follow(self, other_user: "PipelineUser") -> MembershipState:
        return self.pipeline.actions.set_follow(self.id, other_user.id, DesiredState.ON)

    def unfollow(self, other_user: "PipelineUser") -> MembershipState:
        return self.pipeline.actions.set_follow(self.id, other_user.id, DesiredState.OFF)

    @property
    def toast_messages(self) -> list[str]:
        """Texts of the announcements pushed to this user."""
        return [client_event["message"] for client_event in self.client_events()]

    @property
    def unread_count(self) -> int:
        """The unread count that was pushed last."""
        unread_count_events = self.pipeline.push_publisher.events_for_user(self.id, "unread_count")
        return int(unread_count_events[-1]["count"]) if unread_count_events else 0

    @property
    def notifications(self) -> list[dict[str, Any]]:
        """The notification list as it is shown now."""
        return list_notifications(self.pipeline.engine, self.id)

    def subscribe_to(self, author: "PipelineUser") -> None:
        """Post alerts, from an hour ago."""
        self.pipeline.execute(
            "insert into bell_subscriptions (subscriber_id, target_user_id, created_at) "
            "values (:subscriber, :author, now() - interval '1 hour')",
            subscriber=self.id,
            author=author.id,
        )

    @property
    def username(self) -> str:
        return str(self.pipeline.query("select username from users where id = :id", id=self.id)[0][0])

    def set_preferences(self, **columns: object) -> None:
        """Sets columns of notification_preferences; `matrix` is a dictionary."""
        values = columns | ({"matrix": json.dumps(columns["matrix"])} if "matrix" in columns else {})
        names, parameters = ", ".join(values), ", ".join(f":{name}" for name in values)
        updates = ", ".join(f"{name} = excluded.{name}" for name in values)
        self.pipeline.execute(
            f"insert into notification_preferences (user_id, {names}) values (:user, {parameters}) "  # noqa: S608 - columns
            f"on conflict (user_id) do update set {updates}",
            user=self.id,
            **values,
        )

    def client_events(
        self, client_event_type: ClientEventType = ClientEventType.ANNOUNCED
    ) -> list[dict[str, Any]]:
        return self.pipeline.push_publisher.events_for_user(self.id, client_event_type.value)


class LaneAggregators:
    """The aggregators of all priority topics, stepped together."""

    def __init__(self, pipeline: "PipelineHarness") -> None:
        self.aggregator_by_topic = {topic: pipeline.new_aggregator(topic) for topic in LANE_TOPICS}

    def step(self) -> int:
        return sum(aggregator.step() for aggregator in self.aggregator_by_topic.values())


class FanOutStage:
    """The fan-out worker, and the web process that sends the client events of its pages to the sockets of
    connected users: in the harness every user is connected."""

    def __init__(self, pipeline: "PipelineHarness") -> None:
        self._pipeline = pipeline
        self._history = ClientEventHistory(pipeline.engine)
        self.worker = FanOutWorker(
            pipeline.engine,
            FanOutPageWriter(pipeline.engine, pipeline.clock.now),
            pipeline.event_writer,
            pipeline.dead_letters,
            pipeline.record_stats,
        )

    def step(self) -> int:
        newest_id = self._pipeline.query("select coalesce(max(id), 0) from outbox")[0][0]
        moved_count = self.worker.step()
        rows = self._pipeline.query(
            "select user_id::text, min(client_seq) from outbox "
            "where id > :newest and published_at is not null and client_seq is not null group by 1",
            newest=newest_id,
        )
        after_by_user = {user_id: client_seq - 1 for user_id, client_seq in rows}
        for user_id, client_events in self._history.load_events_after_by_user(after_by_user).items():
            for event, data in client_events:
                self._pipeline.push_publisher.emit(event, data, user_room(user_id))
        return moved_count


def raise_unavailable(*_: object, **__: object) -> NoReturn:
    """Replaces a method of a service that is unavailable."""
    raise Unavailable("unavailable in this test")


def raise_redis_unavailable(*_: object, **__: object) -> NoReturn:
    raise RedisUnavailable("unavailable in this test")


def die_at(failpoint: str, step: Callable[[], object]) -> None:
    """Calls `step` of a worker that dies at this fail point."""

    def hit_failpoint(name: str) -> None:
        if name == failpoint:
            raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"workers.{failpoint.partition('.')[0]}.hit_failpoint", hit_failpoint)
        with pytest.raises(SystemExit):
            step()


class PipelineHarness:
    def __init__(
        self,
        worker_services: WorkerServices,
        aggregation_rules: AggregationRules = AGGREGATION_RULES,
    ) -> None:
        self.worker_services = worker_services
        self.aggregation_rules = aggregation_rules
        self.actions = worker_services.services.actions
        self.engine: Engine = worker_services.services.engine
        self.redis: redis.Redis = worker_services.services.redis
        self.window_store = worker_services.services.windows
        self.comments = worker_services.services.comments
        self.pending_follows = worker_services.services.memberships.pending_follows
        self.clock = ManualClock()
        self.push_publisher = MemoryPushPublisher()
        self.memory_kafka = MemoryKafka()
        self.publisher = self.memory_kafka.publisher()
        self.dead_letters = DeadLetterQueue(self.engine, self.publisher)
        self.event_writer = EventWriter(
            self.engine,
            aggregation_rules.group_max_hours,
            self._event_writer_clock(),
            RedisUpdateQueue(self.engine, self.redis),
        )
        self.post_id_by_caption: dict[str, str] = {}
        self.record_stats = StageCounters(self.redis).record_batch_stats
        self.bridge = self.new_bridge()
        self.aggregator = LaneAggregators(self)
        self.flusher = self.new_flusher()
        self.removals = PostAndAccountRemoval(self.engine, self.redis, self._event_writer_clock())
        self.quiet_hours_delivery = QuietHoursDelivery(self.engine, self.clock.now)
        self.fan_out = self.new_fan_out()
        self.outbox_relay = self.new_relay()
        self.deliverer = self.new_deliverer()
        (self.alice,) = self.create_users("Alice")

    def create_users(self, *names: str) -> list[PipelineUser]:
        """Inserts users."""
        user_ids = insert_users(self.engine, *names)
        return [PipelineUser(self, user_id, name) for user_id, name in zip(user_ids, names, strict=True)]

    def new_bridge(self) -> Bridge:
        bridge = Bridge(
            self.worker_services.services.ingress,
            self.publisher,
            self.worker_services.fallback_queue,
            self.dead_letters,
            FollowerLookup(self.engine, self.pending_follows).find_existing,
            new_id,
            self.record_stats,
        )
        bridge.create_consumer_groups()
        return bridge

    def new_aggregator(self, topic: Topic, random_fraction: float = 0.5) -> Aggregator:
        post_changes = PostChangePublisher(self.push_publisher)  # type: ignore[arg-type]
        sinks = AggregatorSinks(
            self.window_store,
            self.event_writer,
            self.dead_letters,
            post_changes,
            self.comments,
            self.pending_follows,
            WrittenMemberships(self.redis),
            self.record_stats,
        )
        subscriber: Any = self.memory_kafka.subscriber(CONSUMER_GROUP_BY_TOPIC[topic], topic.value)
        return Aggregator(
            subscriber,
            sinks,
            self.aggregation_rules,
            TimeAndIdSource(self.clock.now, new_id),
            lambda: random_fraction,
        )

    def new_flusher(self) -> Flusher:
        max_rows = self.aggregation_rules.flush_max_rows
        return Flusher(
            self.window_store,
            self.event_writer,
            self.worker_services.services.comments,
            WrittenMemberships(self.redis),
            self.dead_letters,
            max_rows,
            self.clock.now,
            self.record_stats,
        )

    def new_fan_out(self) -> "FanOutStage":
        return FanOutStage(self)

    def new_relay(self) -> OutboxRelay:
        return OutboxRelay(self.engine, self.publisher, new_id(), self.dead_letters, self.record_stats)

    def new_deliverer(self) -> Deliverer:
        subscriber: Any = self.memory_kafka.subscriber(
            CONSUMER_GROUP_BY_TOPIC[Topic.READY], Topic.READY.value
        )
        push_publisher: Any = self.push_publisher
        last_cleared_id = OutboxClearWatermark(self.redis).read_last_cleared_outbox_id
        render_all = NotificationRenderer(self.engine).render_payloads
        return Deliverer(
            subscriber,
            push_publisher,
            render_all,
            self.dead_letters,
            last_cleared_id,
            self.record_stats,
        )

    def run_until_idle(self) -> int:
        """Steps all workers in pipeline order until nothing moves. Does not advance the clock."""
        moved = 0
        while moved_this_round := sum(
            worker.step()
            for worker in (
                self.bridge,
                self.aggregator,
                self.flusher,
                self.fan_out,
                self.outbox_relay,
                self.deliverer,
            )
        ):
            moved += moved_this_round
        return moved

    def close_windows(self) -> None:
        """Runs the pipeline, lets all windows become due, and runs it again."""
        self.run_until_idle()
        self.clock.advance(WINDOW_AND_JITTER_SECONDS)
        self.run_until_idle()

    def expire_leases(self) -> None:
        """Removes all leases, as if their owners had stopped for ten seconds."""
        lease_keys = list(self.redis.scan_iter("*lease*"))
        if lease_keys:
            self.redis.delete(*lease_keys)
        self.execute("delete from leases")

    def query(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(text(statement), values)]

    def execute(self, statement: str, **values: object) -> None:
        with self.engine.begin() as conn:
            conn.execute(text(statement), values)

    @contextmanager
    def without_postgresql(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.engine.pool, "connect", raise_unavailable)
            yield

    def count_active_likes(self) -> int:
        return int(self.query("select count(*) from active_likes")[0][0])

    def _event_writer_clock(self) -> TimeAndIdSource:
        return TimeAndIdSource(self.clock.now, new_id)


@pytest.fixture(scope="session")
def worker_services(environment: dict[str, str]) -> Iterator[WorkerServices]:
    """Clients shared by all harnesses; the Kafka clients are not used."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        worker_services = build_worker_services(load_settings(), "test")
    yield worker_services
    worker_services.services.engine.dispose()
    worker_services.services.critical_engine.dispose()
    worker_services.services.redis.close()


@pytest.fixture
def pipeline(
    request: pytest.FixtureRequest,
    worker_services: WorkerServices,
    engine: Engine,
    real_redis: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> PipelineHarness:
    """With the usual rules of aggregation, or those of an indirect parameter."""
    monkeypatch.setattr("workers.bridge.READ_WAIT_SECONDS", 0.001)  # an idle step must not delay tests
    return PipelineHarness(worker_services, getattr(request, "param", AGGREGATION_RULES))
