"""S8: cost of an event with ten times the posts, open windows, followers and stored notifications.

Each data set has a database and a Redis database of its own on the same servers, so that they are measured
alternately. The product's loops run in this process, from the like to the published outbox, with topics in
memory instead of Kafka, whose cost does not depend on the data.
"""

import gc
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, cast
from unittest.mock import patch
from urllib.parse import urlsplit

from sqlalchemy import text

from app.aggregation.windows import OfferedEvent
from app.bootstrap import WorkerServices, build_worker_services, new_id
from app.clients.postgres import autocommit_engine
from app.domain.events import SEQ_PER_MS, Event, Kind
from app.domain.windows import window_name_of_group
from app.domain.worker_loops import WORKER_LOOPS
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS
from app.ingest.memberships import DesiredState, SetMembershipRequest
from app.messaging.consumer import KafkaSubscriber
from app.messaging.publisher import CircuitBreakingPublisher
from app.operations.open_windows import OpenWindows
from app.settings import load_settings
from bench.harness import BENCH_TRACEPARENT, BenchHarness, enable_ingress, without_autovacuum
from bench.memory_topics import MemorySubscriber, MemoryTopics
from bench.pipeline import tree_cpu_seconds
from bench.results import BenchmarkResult, Goal, Measurement, cpu_cost_ratio, measure_alternately
from harness.fixtures import create_posts, create_users
from harness.redis_commands import count_redis_commands
from infra.run import migrate
from workers.builders import BUILDERS, CONSUMER_BUILDERS

POSTS, WINDOWS, FOLLOWERS, NOTIFICATIONS = "posts", "open windows", "followers", "stored notifications"
SMALL = {POSTS: 3_000, WINDOWS: 500, FOLLOWERS: 1_000, NOTIFICATIONS: 5_000}
"""The followers are those of the owner of the posts. A notification has an actor and a published outbox row;
a tenth of them are the owner's."""
FACTOR = 10
MAX_COST_RATIO = 1.1
EVENTS_PER_KIND = 200
"""Of each measurement: likes of a new post, likes of as many posts, and follows."""
WINDOW_SECONDS = 3_600
"""No window becomes due by itself."""
AGGREGATOR_LOOPS = ("aggregator-high", "aggregator-low")


class DataSet:
    """One database with its data, and the loops that work on it."""

    def __init__(
        self,
        harness: BenchHarness,
        number: int,
        size: Mapping[str, int],
        events_per_kind: int,
        measurement_count: int,
    ) -> None:
        self.database = f"bench_{number}"
        self._harness = harness
        self._postgres_pid = harness.embedded_services.status("postgres")["postgres"].pid or 0
        self._events_per_kind = events_per_kind
        self._worker_services = _create_database(harness, self.database, number)
        services = self._worker_services.services
        self._owner_id, *follower_ids = create_users(services.engine, size[FOLLOWERS] + 1)
        self._user_ids = create_users(services.engine, events_per_kind * measurement_count)
        self._post_ids = create_posts(services.engine, self._owner_id, size[POSTS])
        with services.engine.begin() as conn:
            owner = {"owner": self._owner_id}
            conn.execute(_INSERT_FOLLOWS, owner | {"followers": follower_ids})
            conn.execute(_INSERT_NOTIFICATIONS, owner | {"count": size[NOTIFICATIONS]})
        self._cache_loader = services.memberships.cache_loader
        self._cache_loader.load_if_missing(USER_FOLLOWS, self._owner_id)
        self._cache_as_new(self._post_ids)
        self._open_windows(size[WINDOWS])
        random.shuffle(self._post_ids)
        self._step_until_idle = self._build_loops()
        with autocommit_engine(services.engine).connect() as conn:
            conn.execute(text("vacuum analyze"))

    def measure(self) -> Measurement:
        requests, windows = self._next_requests()
        gc.collect()
        cpu_before, started_at = self._cpu_seconds(), time.perf_counter()
        self._run_events(requests, windows)
        seconds = time.perf_counter() - started_at
        spent = {name: cpu - cpu_before[name] for name, cpu in self._cpu_seconds().items()}
        cpu_ms = {name: cpu * 1000 / len(requests) for name, cpu in spent.items()}
        return Measurement(len(requests), seconds, cpu_seconds=sum(spent.values()), parts=cpu_ms)

    def count_calls(self) -> tuple[float, float]:
        """Redis commands and SQL statements per event."""
        requests, windows = self._next_requests()
        engine = autocommit_engine(self._harness.worker_services.services.engine)
        with engine.connect() as conn:
            conn.execute(text("create extension if not exists pg_stat_statements"))
            conn.execute(text("select pg_stat_statements_reset()"))
            commands = count_redis_commands(
                self._harness.redis_url, lambda: self._run_events(requests, windows)
            )
            statements = conn.execute(_COUNT_STATEMENTS, {"database": self.database}).scalar_one()
        return commands.total() / len(requests), float(statements) / len(requests)

    def drop(self) -> None:
        services = self._worker_services.services
        services.redis.flushdb()
        services.engine.dispose()
        with autocommit_engine(self._harness.worker_services.services.engine).connect() as conn:
            conn.execute(text(f"drop database {self.database} with (force)"))

    def _next_requests(self) -> tuple[list[SetMembershipRequest], list[str]]:
        """Requests that each change something, and the windows that their likes open."""
        count, services = self._events_per_kind, self._worker_services.services
        [new_post_id] = create_posts(services.engine, self._owner_id, 1)
        self._cache_as_new([new_post_id])
        actors, self._user_ids = self._user_ids[:count], self._user_ids[count:]
        posts, self._post_ids = self._post_ids[:count], self._post_ids[count:]
        objects = [(POST_LIKES, new_post_id)] * count + [(POST_LIKES, post_id) for post_id in posts]
        objects += [(USER_FOLLOWS, self._owner_id)] * count
        requests = [
            SetMembershipRequest(kind, actor_id, object_id, DesiredState.ON, new_id(), BENCH_TRACEPARENT)
            for (kind, object_id), actor_id in zip(objects, actors * 3, strict=True)
        ]
        windows = [
            window_name_of_group(self._owner_id, Kind.LIKE, post_id) for post_id in (new_post_id, *posts)
        ]
        return requests, windows

    def _cache_as_new(self, post_ids: Sequence[str]) -> None:
        for post_id in post_ids:
            self._cache_loader.cache_as_empty(POST_LIKES, post_id, self._owner_id)

    def _run_events(self, requests: list[SetMembershipRequest], windows: list[str]) -> None:
        services = self._worker_services.services
        for request in requests:
            services.memberships.set_membership(request)
        moved_count = 0
        while moved_count < len(requests):
            moved_count += self._bridge_step()
        self._step_until_idle()
        OpenWindows(services.redis).make_due(windows)
        self._step_until_idle()

    def _build_loops(self) -> Callable[[], None]:
        topics = MemoryTopics()
        worker_services = replace(self._worker_services, publisher=CircuitBreakingPublisher(topics))
        bridge = BUILDERS["bridge"](worker_services)
        bridge.prepare()
        self._bridge_step = bridge.step
        steps = []
        for name in AGGREGATOR_LOOPS:
            subscriber = MemorySubscriber(topics, str(WORKER_LOOPS[name].topic))
            parts = CONSUMER_BUILDERS[name](worker_services, cast(KafkaSubscriber, subscriber))
            steps.append(parts.step)
        steps += [BUILDERS[name](worker_services).step for name in ("flusher", "relay")]

        def step_until_idle() -> None:
            for step in steps:
                while step():
                    pass

        return step_until_idle

    def _open_windows(self, count: int) -> None:
        """Of other recipients, with one like each."""
        windows, now_ms = self._worker_services.services.windows, int(time.time() * 1000)
        epoch, due_ms = windows.get_or_set_epoch(new_id()), now_ms + WINDOW_SECONDS * 1000
        offers = [
            OfferedEvent(
                Event(new_id(), Kind.LIKE, new_id(), new_id(), "POST", new_id(), now_ms * SEQ_PER_MS),
                offset,
                0,
                due_ms,
            )
            for offset in range(count)
        ]
        for start in range(0, count, 500):
            windows.gather_events(epoch, f"{self.database}:0", 10_000, offers[start : start + 500])

    def _cpu_seconds(self) -> dict[str, float]:
        redis_info: Any = self._worker_services.services.redis.info("cpu")
        return {
            "loops": time.process_time(),
            "redis": redis_info["used_cpu_user"] + redis_info["used_cpu_sys"],
            "postgres": tree_cpu_seconds(self._postgres_pid),
        }


def _create_database(harness: BenchHarness, name: str, number: int) -> WorkerServices:
    """An empty one with its tables, and an empty Redis database."""
    with autocommit_engine(harness.worker_services.services.engine).connect() as conn:
        conn.execute(text(f"drop database if exists {name} with (force)"))
        conn.execute(text(f"create database {name}"))
    urls = {
        "DATABASE_URL": urlsplit(harness.environment["DATABASE_URL"])._replace(path=f"/{name}").geturl(),
        "REDIS_URL": urlsplit(harness.redis_url)._replace(path=f"/{number}").geturl(),
        "AGGREGATION_WINDOW_SECONDS": str(WINDOW_SECONDS),
    }
    with patch.dict(os.environ, urls):
        migrate(harness.embedded_services)
        worker_services = build_worker_services(load_settings(), name)
    enable_ingress(worker_services.services)
    return worker_services


def run_benchmark(harness: BenchHarness, rounds: int, scale: float) -> BenchmarkResult:
    small = {name: round(count * scale) for name, count in SMALL.items()}
    sizes = {"small": small}
    sizes |= {f"ten times the {name}": small | {name: count * FACTOR} for name, count in small.items()}
    events_per_kind, data_sets = round(EVENTS_PER_KIND * scale), dict[str, DataSet]()
    with ExitStack() as stack:
        stack.enter_context(without_autovacuum(harness.worker_services.services.engine))
        for number, (label, size) in enumerate(sizes.items(), 1):
            data_sets[label] = DataSet(harness, number, size, events_per_kind, rounds + 2)
            stack.callback(data_sets[label].drop)
            data_sets[label].measure()  # warm-up
        measurements = measure_alternately(
            {label: data_set.measure for label, data_set in data_sets.items()}, rounds
        )
        calls = {label: data_set.count_calls() for label, data_set in data_sets.items()}
    baseline, *large = sizes
    result = BenchmarkResult(
        "S8",
        "cost of an event with ten times the data",
        "events/s",
        measurements,
        baseline,
        compare_to_baseline=cpu_cost_ratio,
    )
    result.goals = [
        Goal(
            f"CPU per event with {label} / with a tenth",
            cpu_cost_ratio(measurements[label], measurements[baseline]),
            MAX_COST_RATIO,
            is_upper_bound=True,
        )
        for label in large
    ]
    for label, (commands, statements) in calls.items():
        result.facts[f"Redis commands and SQL statements per event, {label}"] = (
            f"{commands:.2f} and {statements:.2f}"
        )
    result.notes = [
        f"small: {', '.join(f'{count:,} {name}' for name, count in small.items())}. The posts are cached.",
        f"Each time {events_per_kind:,} likes of a new post, as many likes of a post each, as many follows. "
        "x baseline: CPU time per event.",
    ]
    return result


_INSERT_FOLLOWS = text("""
    with inserted as (
        insert into follows (follower_id, following_id) select unnest(cast(:followers as uuid[])), :owner
        returning 1)
    update users set follower_count = (select count(*) from inserted) where id = :owner
""")
_INSERT_NOTIFICATIONS = text("""
    with numbered as (select id, row_number() over () - 1 as k, count(*) over () as count from users),
    inserted as (
        insert into notifications
            (user_id, type, priority, object_id, version, actor_id, actor_count, is_read)
        select case when n % 10 = 0 then :owner else id end, 'LIKE', 'LOW', uuidv7(), 1, id, 1, n % 20 <> 0
        from generate_series(1, :count) n join numbered on k = n % numbered.count
        returning id, user_id, actor_id),
    actors as (
        insert into notification_actors (notification_id, actor_id, announced)
        select id, actor_id, true from inserted)
    insert into outbox (user_id, client_event, payload, published_at)
    select user_id, 'notification', jsonb_build_object('id', id, 'type', 'LIKE'), now() from inserted
""")
_COUNT_STATEMENTS = text("""
    select coalesce(sum(calls), 0) from pg_stat_statements s join pg_database d on d.oid = s.dbid
    where d.datname = :database
""")
