"""Builds what web and worker processes share, from the settings. app/web_services.py builds the rest
of a web process.

Nothing here connects to a service: each client connects at its first use, so that a process can start
before the services do.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis
import uuid_utils
from gevent import monkey
from gevent.pool import Pool
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from app.aggregation.windows import WindowStore
from app.clients import circuit_breaker, postgres
from app.clients import kafka as kafka_clients
from app.clients import redis as redis_store
from app.clients.pipelined_client import PipelinedRedisClient, PipelinedScript
from app.clients.redis_health import REDIS_HEALTH
from app.clients.redis_server_check import UnsuitableRedis, raise_if_unsuitable
from app.domain.clock import TimeAndIdSource
from app.domain.errors import Unavailable
from app.domain.worker_loops import WorkerLoop
from app.failover.redis_failover import RedisFailover
from app.ingest.actions import Actions
from app.ingest.comments import Comments
from app.ingest.critical_publisher import BackgroundRunner, CriticalEventPublisher, skip_local_dispatch
from app.ingest.failover_path import FailoverWriter
from app.ingest.failover_writes import FailoverEvents, FailoverWrites, SeqGenerator
from app.ingest.ingress import IngressStreams
from app.ingest.memberships import IngressLimits, MembershipStore
from app.ingest.synchronous_writer import SynchronousWriter
from app.messaging import static_membership
from app.messaging.consumer import KafkaSubscriber
from app.messaging.dead_letters import DeadLetterQueue
from app.messaging.fallback_queue import FallbackQueue
from app.messaging.message_encryption import MessageEncryption
from app.messaging.producer import KafkaPublisher
from app.messaging.publisher import CircuitBreakingPublisher
from app.messaging.socket_push import SocketPushPublisher
from app.messaging.topics import create_missing_topics
from app.operations.heartbeats import Heartbeats
from app.persistence.critical_notify import CriticalClientEvent
from app.persistence.event_writer import EventWriter
from app.settings import Settings
from app.social.removals import PostAndAccountRemoval

log = logging.getLogger(__name__)
MAX_BACKGROUND_TASKS = 200


def new_id() -> str:
    """A new UUIDv7 (from uuid-utils, because Python has it from 3.14 only)."""
    return str(uuid_utils.uuid7())


@dataclass(frozen=True)
class SharedServices:
    """What both web and worker processes work with."""

    settings: Settings
    engine: Engine
    critical_engine: Engine
    """A small pool reserved for critical events, which other requests cannot exhaust."""
    redis: redis.Redis
    actions: Actions
    memberships: MembershipStore
    comments: Comments
    ingress: IngressStreams
    redis_failover: RedisFailover
    windows: WindowStore
    push_publisher: SocketPushPublisher
    critical_publisher: CriticalEventPublisher
    heartbeats: Heartbeats
    removals: PostAndAccountRemoval
    now: Callable[[], float]


@dataclass(frozen=True)
class WorkerServices:
    """What workers need besides the shared services."""

    services: SharedServices
    kafka_publisher: KafkaPublisher
    publisher: CircuitBreakingPublisher
    fallback_queue: FallbackQueue
    dead_letters: DeadLetterQueue
    event_writer: EventWriter

    def create_subscriber(self, loop: WorkerLoop) -> KafkaSubscriber:
        """A subscriber with the consumer group and topic of `loop`, and a static member id."""
        settings = self.services.settings
        instance_id = static_membership.claim_instance_id(settings.data_dir / "slots", loop.process)
        return KafkaSubscriber(
            settings.service_urls.kafka_connection, loop.consumer_group, str(loop.topic), instance_id
        )

    def check_redis_server(self) -> None:
        """Raises UnsuitableRedis with what to change. Passes when Redis is unavailable, because workers can
        start without it."""
        try:
            raise_if_unsuitable(self.services.redis)
        except UnsuitableRedis:
            raise
        except Unavailable as exc:
            log.warning("Redis could not be checked: %s", exc, extra={"event": "redis_unchecked"})

    def check_dependencies_and_create_topics(self) -> None:
        """Checks Redis, PostgreSQL and Kafka before the first step. Raises Unavailable with what is
        missing."""
        settings = self.services.settings
        self.check_redis_server()
        check_tables_exist(self.services.engine)
        kafka = settings.kafka
        create_missing_topics(
            settings.service_urls.kafka_connection,
            kafka.partitions,
            kafka.replication_factor,
            kafka.retention_ms,
        )


def check_tables_exist(engine: Engine) -> None:
    """Raises Unavailable when the migrations have not run."""
    try:
        with postgres.translate_errors("show its tables"), engine.connect() as conn:
            conn.execute(text("select 1 from epochs limit 1"))
    except ProgrammingError as exc:
        raise Unavailable("PostgreSQL has no tables yet: run make migrate", "no_tables") from exc


def create_critical_engine(settings: Settings) -> Engine:
    """The pool reserved for critical events."""
    return postgres.create_pg_engine(
        settings.service_urls.database_url, pool_size=postgres.CRITICAL_POOL_SIZE
    )


def build_shared_services(
    settings: Settings,
    critical_engine: Engine | None = None,
    dispatch_locally: Callable[[CriticalClientEvent], None] = skip_local_dispatch,
) -> SharedServices:
    """For a web process, and for tools. `dispatch_locally` emits critical events to the sockets of this
    process (app/web_services.py)."""
    engine = postgres.create_pg_engine(settings.service_urls.database_url)
    return _build_shared_services(
        settings, engine, critical_engine or create_critical_engine(settings), dispatch_locally
    )


def build_worker_services(settings: Settings, application_name: str) -> WorkerServices:
    """For a worker process: with Kafka, and with longer statement timeouts."""
    service_urls = settings.service_urls
    engine = postgres.create_pg_engine(
        service_urls.database_url, postgres.WORKER_STATEMENT_TIMEOUT_MS, application_name
    )
    services = _build_shared_services(settings, engine, create_critical_engine(settings), skip_local_dispatch)
    kafka = KafkaPublisher(service_urls.kafka_connection)
    publisher = CircuitBreakingPublisher(kafka)
    return WorkerServices(
        services=services,
        kafka_publisher=kafka,
        publisher=publisher,
        fallback_queue=FallbackQueue(engine, settings.limits.fallback_max_retries),
        dead_letters=DeadLetterQueue(engine, publisher),
        event_writer=EventWriter(
            engine,
            settings.window_rules.group_max_hours,
            TimeAndIdSource(time.time, new_id),
            services.removals.redis_updates,
        ),
    )


def _create_membership_script(settings: Settings) -> PipelinedScript | None:
    """A pipelined script call for likes. None in processes without gevent, which use redis-py."""
    if not monkey.is_module_patched("socket"):
        return None
    url = settings.service_urls.redis_url
    shared_client = PipelinedRedisClient(
        url, redis_store.CONNECT_TIMEOUT_SECONDS, redis_store.COMMAND_TIMEOUT_SECONDS
    )
    return shared_client.create_script("ingest/set_membership")


def _create_background_runner() -> BackgroundRunner:
    """Runs tasks in greenlets. When too many are running, the caller runs its task itself."""
    if not monkey.is_module_patched("socket"):
        return lambda act: act()
    pool = Pool(MAX_BACKGROUND_TASKS)
    return lambda act: act() if pool.full() else pool.spawn(act)


def _configure_breakers(settings: Settings, connection: redis.Redis) -> None:
    """Sets the thresholds of the circuit breakers, and pings that close them in the background."""
    circuit_breaker.configure_all_breakers(
        settings.breakers.failure_threshold, settings.breakers.reset_seconds
    )
    if not monkey.is_module_patched("socket"):
        return  # without gevent there is no background probe; the next call is the probe
    service_urls = settings.service_urls
    REDIS_HEALTH.ping_during_outages(connection)
    circuit_breaker.POSTGRES.set_probe(lambda: postgres.ping_or_raise(service_urls.database_url))
    circuit_breaker.KAFKA.set_probe(lambda: kafka_clients.ping_kafka_or_raise(service_urls.kafka_connection))


def _build_failover_writer(
    settings: Settings, engine: Engine, redis_failover: RedisFailover
) -> FailoverWriter:
    writer = _build_synchronous_writer(
        settings, engine, FailoverEvents(SeqGenerator(time.time)), monkey.is_module_patched("socket")
    )
    return FailoverWriter(redis_failover, FailoverWrites(engine), writer)


def _build_synchronous_writer(
    settings: Settings,
    engine: Engine,
    failover_events: FailoverEvents | None = None,
    is_grouped: bool = False,
) -> SynchronousWriter:
    return SynchronousWriter(
        engine,
        EventWriter(engine, settings.window_rules.group_max_hours, TimeAndIdSource(time.time, new_id)),
        FallbackQueue(engine, settings.limits.fallback_max_retries),
        failover_events,
        is_grouped,
    )


def _build_shared_services(
    settings: Settings,
    engine: Engine,
    critical_engine: Engine,
    dispatch_locally: Callable[[CriticalClientEvent], None],
) -> SharedServices:
    connection = redis_store.create_redis_client(settings.service_urls.redis_url)
    _configure_breakers(settings, connection)
    limits = settings.limits
    ingress_limits = IngressLimits(
        limits.ingress_shards, limits.ingress_max_entries, limits.write_deadline_seconds
    )
    redis_failover = RedisFailover(connection, engine)
    failover_writer = _build_failover_writer(settings, engine, redis_failover)
    memberships = MembershipStore(
        connection,
        engine,
        ingress_limits,
        _create_membership_script(settings),
        redis_failover,
        limits.membership_cache_max,
    )
    comments = Comments(connection, engine)
    ingress = IngressStreams(connection, ingress_limits)
    push_publisher = SocketPushPublisher(settings.service_urls.redis_url)
    critical_publisher = CriticalEventPublisher(
        _build_synchronous_writer(settings, critical_engine),
        ingress,
        FallbackQueue(critical_engine, limits.fallback_max_retries),
        push_publisher,
        time.time,
        _create_background_runner(),
        MessageEncryption(settings.web.secret_key),
        dispatch_locally,
    )
    clock = TimeAndIdSource(time.time, new_id)
    return SharedServices(
        settings=settings,
        engine=engine,
        critical_engine=critical_engine,
        redis=connection,
        actions=Actions(
            memberships,
            comments,
            ingress,
            engine,
            clock,
            critical_publisher.write_and_dispatch,
            failover_writer,
        ),
        redis_failover=redis_failover,
        memberships=memberships,
        comments=comments,
        ingress=ingress,
        windows=WindowStore(connection),
        push_publisher=push_publisher,
        critical_publisher=critical_publisher,
        heartbeats=Heartbeats(connection, circuit_breaker.breaker_states),
        removals=PostAndAccountRemoval(
            engine,
            connection,
            TimeAndIdSource(time.time, new_id),
            failover_writer.update_redis_unless_failover,
        ),
        now=time.time,
    )
