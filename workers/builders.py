"""Builders: what each loop of app/domain/worker_loops.py does, from the services of app/bootstrap.py."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from app.bootstrap import WorkerServices, check_tables_exist, new_id
from app.clients.leases import PostgresLease
from app.clients.pg_notify import PgNotifyListener
from app.clients.postgres import create_pg_engine
from app.delivery.links import NotificationLinks
from app.delivery.post_change_publisher import PostChangePublisher
from app.delivery.transports import create_transports_by_channel
from app.domain.clock import TimeAndIdSource
from app.domain.worker_loops import WorkerLoop
from app.ingest.cache_eviction import MembershipCacheEviction
from app.ingest.failover_writes import FailoverWrites
from app.ingest.pending_comment_deletions import PendingCommentDeletions
from app.messaging.consumer import KafkaSubscriber
from app.messaging.message_encryption import MessageEncryption
from app.messaging.outbox_relay import OutboxRelay
from app.messaging.stage_counters import StageCounters
from app.operations.consumer_lag import read_priority_topic_committed_offsets, read_priority_topic_end_offsets
from app.operations.health.report import Health
from app.operations.health.stages import list_stages
from app.operations.pipeline_history import PipelineHistory, PipelineSampler
from app.operations.retention import RetentionPurge
from app.persistence.clear_watermarks import OutboxClearWatermark
from app.persistence.critical_notify import CRITICAL_NOTIFY_CHANNEL
from app.persistence.delivery_log import DeliveryLog, create_dynamodb_client
from app.persistence.fan_out_pages import FanOutPageWriter
from app.persistence.fan_outs import FAN_OUT_CHANNEL
from app.persistence.followers import FollowerLookup
from app.persistence.outbox_writer import OUTBOX_CHANNEL
from app.persistence.outgoing_messages import OutgoingMessages
from app.persistence.profile_changes import ProfileChangeBroadcaster
from app.persistence.quiet_hours import QuietHoursDelivery
from app.persistence.serializer import NotificationRenderer
from app.persistence.snoozes import SnoozedNotifications
from app.persistence.written_memberships import WrittenMemberships
from workers import aggregator, mailer
from workers.bridge import Bridge
from workers.delays import make_idle_delay, make_notify_delay, step_then_rest
from workers.deliverer import Deliverer
from workers.delivery_log_writer import DeliveryLogWriter
from workers.failback_steps import FailbackSteps, PendingDeletions, PipelineBacklogSources
from workers.fan_out import FanOutWorker
from workers.fan_out_pages_log import delivery_log_items_of_page
from workers.flusher import Flusher
from workers.message_renderer import MessageRenderer
from workers.ready_records import MAX_BATCH_RECORDS
from workers.redis_failback import RedisFailback
from workers.retention import RetentionLoop
from workers.runner import Worker, noop

PAGE_REST_RATIO, PAGE_LOG_REST_RATIO = 0.7, 3.0
"""The delivery log of a large audience is not urgent, and costs more than the fan-out itself."""
MIN_PAGE_TO_REST = 100
"""Fan-outs to fewer recipients follow each other without a rest."""
MAILER_WAIT_SECONDS = 0.25
"""How often the mailer looks for due messages while others are being sent."""


@dataclass(frozen=True)
class LoopParts:
    """What a loop does (workers/runner.py)."""

    step: Callable[[], int]
    prepare: Callable[[], object]
    close: Callable[[], object] = noop
    idle_delay: Callable[[], float] | None = None
    """None: `idle_seconds` of the loop."""


def build_worker(loop: WorkerLoop, worker_services: WorkerServices) -> Worker:
    """A loop with a consumer group gets a subscriber of it, which it closes at its end."""
    if loop.consumer_group:
        subscriber = worker_services.create_subscriber(loop)
        parts = CONSUMER_BUILDERS[loop.name](worker_services, subscriber)
        parts = replace(parts, close=subscriber.close)
    else:
        parts = BUILDERS[loop.name](worker_services)
    return Worker(
        loop.name,
        parts.step,
        parts.idle_delay or make_idle_delay(loop.idle_seconds),
        worker_services.services.heartbeats.record_heartbeat,
        parts.prepare,
        parts.close,
        loop.batch_interval_seconds,
    )


def _make_table_check(worker_services: WorkerServices) -> Callable[[], None]:
    """For loops that do not wait for Kafka or Redis."""
    return lambda: check_tables_exist(worker_services.services.engine)


def _build_bridge(worker_services: WorkerServices) -> LoopParts:
    services = worker_services.services
    bridge = Bridge(
        services.ingress,
        worker_services.publisher,
        worker_services.fallback_queue,
        worker_services.dead_letters,
        FollowerLookup(services.engine, services.memberships.pending_follows).find_existing,
        new_id,
        StageCounters(services.redis).record_batch_stats,
    )

    def prepare() -> None:
        # Needs Redis only: the bridge works without Kafka or PostgreSQL.
        worker_services.check_redis_server()
        bridge.create_consumer_groups()

    return LoopParts(bridge.step, prepare, bridge.release_leases)


def _build_aggregator(worker_services: WorkerServices, subscriber: KafkaSubscriber) -> LoopParts:
    services = worker_services.services
    sinks = aggregator.AggregatorSinks(
        services.windows,
        worker_services.event_writer,
        worker_services.dead_letters,
        PostChangePublisher(services.push_publisher),
        services.comments,
        services.memberships.pending_follows,
        WrittenMemberships(services.redis),
        StageCounters(services.redis).record_batch_stats,
    )
    step = aggregator.Aggregator(
        subscriber, sinks, services.settings.window_rules, TimeAndIdSource(time.time, new_id), random.random
    ).step
    return LoopParts(step, worker_services.check_dependencies_and_create_topics)


def _build_flusher(worker_services: WorkerServices) -> LoopParts:
    services = worker_services.services
    flusher = Flusher(
        services.windows,
        worker_services.event_writer,
        services.comments,
        WrittenMemberships(services.redis),
        worker_services.dead_letters,
        services.settings.window_rules.flush_max_rows,
        time.time,
        StageCounters(services.redis).record_batch_stats,
    )
    return LoopParts(flusher.step, worker_services.check_dependencies_and_create_topics)


def _build_fan_out(worker_services: WorkerServices) -> LoopParts:
    services = worker_services.services
    fan_out = FanOutWorker(
        services.engine,
        FanOutPageWriter(services.engine, time.time),
        worker_services.event_writer,
        worker_services.dead_letters,
        StageCounters(services.redis).record_batch_stats,
    )
    listener = PgNotifyListener(services.settings.service_urls.database_url, FAN_OUT_CHANNEL)

    def step() -> int:
        # A new fan-out ends the rest: its mentions do not wait.
        return step_then_rest(fan_out.step, PAGE_REST_RATIO, MIN_PAGE_TO_REST, listener.wait_for_payloads)

    return LoopParts(step, _make_table_check(worker_services), idle_delay=make_notify_delay(listener))


def _build_redis_failback(worker_services: WorkerServices) -> LoopParts:
    services = worker_services.services
    kafka_connection = services.settings.service_urls.kafka_connection
    pipeline_positions = PipelineBacklogSources(
        services.ingress,
        worker_services.fallback_queue,
        lambda: read_priority_topic_end_offsets(kafka_connection),
        lambda: read_priority_topic_committed_offsets(kafka_connection),
        services.windows,
    )
    pending_deletions = PendingDeletions(
        services.removals.redis_updates.apply_pending_page,
        PendingCommentDeletions(services.engine),
        services.comments.find_pending_ids,
        services.actions.delete_comment,
    )
    steps = FailbackSteps(
        services.redis,
        services.redis_failover,
        FailoverWrites(services.engine),
        pipeline_positions,
        pending_deletions,
        new_id,
    )
    redis_failback = RedisFailback(
        services.redis,
        services.redis_failover,
        services.ingress,
        pending_deletions,
        steps,
        PostgresLease(services.engine, "redis-failback", new_id()),
    )
    # It has to notice that Redis is unavailable or empty.
    return LoopParts(
        redis_failback.step,
        _make_table_check(worker_services),
        redis_failback.release_lease,
        redis_failback.idle_delay,
    )


def _build_quiet_hours(worker_services: WorkerServices) -> LoopParts:
    quiet_hours = QuietHoursDelivery(worker_services.services.engine, time.time)
    return LoopParts(quiet_hours.announce_due_rows, worker_services.check_dependencies_and_create_topics)


def _build_snoozes(worker_services: WorkerServices) -> LoopParts:
    snoozed = SnoozedNotifications(worker_services.services.engine, time.time)
    return LoopParts(snoozed.return_due_rows, _make_table_check(worker_services))


def _build_cache_eviction(worker_services: WorkerServices) -> LoopParts:
    services = worker_services.services
    idle_seconds = services.settings.limits.membership_cache_idle_seconds
    return LoopParts(MembershipCacheEviction(services.redis, idle_seconds).step, noop)


def _build_pipeline_history(worker_services: WorkerServices) -> LoopParts:
    services = worker_services.services
    settings = services.settings
    # With the short statement timeout, PostgreSQL ends a query soon after health has given it up. The timeout
    # of the other loops would leave several of them running.
    engine = create_pg_engine(settings.service_urls.database_url, application="pipeline-history", pool_size=1)
    health = Health(settings.service_urls, settings.limits, services.redis, engine)
    sampler = PipelineSampler(
        PipelineHistory(services.redis), lambda: list_stages(health, health.report_stages()), time.time
    )
    return LoopParts(sampler.step, noop, engine.dispose)


def _build_profile_changes(worker_services: WorkerServices) -> LoopParts:
    step = ProfileChangeBroadcaster(worker_services.services.engine).step
    return LoopParts(step, _make_table_check(worker_services))


def _build_retention(worker_services: WorkerServices) -> LoopParts:
    services = worker_services.services
    settings = services.settings.retention
    retention = RetentionLoop(
        RetentionPurge(services.engine, settings.read_notification_days),
        PostgresLease(services.engine, "retention", new_id()),
        settings.interval_seconds,
    )
    return LoopParts(
        retention.step, _make_table_check(worker_services), retention.release_lease, retention.idle_delay
    )


def _build_relay(worker_services: WorkerServices) -> LoopParts:
    services = worker_services.services
    relay = OutboxRelay(
        services.engine,
        worker_services.publisher,
        new_id(),
        worker_services.dead_letters,
        StageCounters(services.redis).record_batch_stats,
    )
    listener = PgNotifyListener(services.settings.service_urls.database_url, OUTBOX_CHANNEL)
    return LoopParts(
        relay.step,
        worker_services.check_dependencies_and_create_topics,
        relay.release_lease,
        make_notify_delay(listener),
    )


def _build_deliverer(worker_services: WorkerServices, subscriber: KafkaSubscriber) -> LoopParts:
    services = worker_services.services
    deliverer = Deliverer(
        subscriber,
        services.push_publisher,
        NotificationRenderer(services.engine).render_payloads,
        worker_services.dead_letters,
        OutboxClearWatermark(services.redis).read_last_cleared_outbox_id,
        StageCounters(services.redis).record_batch_stats,
    )
    return LoopParts(deliverer.step, worker_services.check_dependencies_and_create_topics)


def _build_delivery_log(worker_services: WorkerServices, subscriber: KafkaSubscriber) -> LoopParts:
    delivery_log = _open_delivery_log(worker_services)
    record_stats = StageCounters(worker_services.services.redis).record_batch_stats
    log_writer = DeliveryLogWriter(subscriber, delivery_log, time.time, record_stats)

    def step_or_idle() -> int:
        # Rests after each batch that is not full: the log shares a processor with the deliverer, and one
        # call for many events is cheaper.
        moved_count = log_writer.step()
        return moved_count if moved_count >= MAX_BATCH_RECORDS else 0

    return LoopParts(step_or_idle, _make_delivery_log_preparation(worker_services, delivery_log))


def _build_fan_out_log(worker_services: WorkerServices, subscriber: KafkaSubscriber) -> LoopParts:
    delivery_log = _open_delivery_log(worker_services)
    log_writer = DeliveryLogWriter(
        subscriber,
        delivery_log,
        time.time,
        StageCounters(worker_services.services.redis).record_batch_stats,
        delivery_log_items_of_page,
        "fan-out-log",
        max_batch_records=1,
    )
    return LoopParts(
        lambda: step_then_rest(log_writer.step, PAGE_LOG_REST_RATIO),
        _make_delivery_log_preparation(worker_services, delivery_log),
    )


def _open_delivery_log(worker_services: WorkerServices) -> DeliveryLog:
    service_urls = worker_services.services.settings.service_urls
    return _open_delivery_log_at(service_urls.dynamodb_endpoint_url, service_urls.aws_region)


@cache
def _open_delivery_log_at(endpoint_url: str | None, region: str) -> DeliveryLog:
    """One for both loops: creating a client takes half a second."""
    return DeliveryLog(create_dynamodb_client(endpoint_url, region))


def _make_delivery_log_preparation(
    worker_services: WorkerServices, delivery_log: DeliveryLog
) -> Callable[[], None]:
    def check_ready() -> None:
        worker_services.check_dependencies_and_create_topics()
        delivery_log.create_table()

    return check_ready


def _build_mailer(worker_services: WorkerServices) -> LoopParts:
    services = worker_services.services
    settings, secret = services.settings, services.settings.web.secret_key
    message_mailer = mailer.Mailer(
        OutgoingMessages(services.engine),
        create_transports_by_channel(
            settings.data_dir, settings.smtp_url, settings.sms_webhook_url, settings.mail_from
        ),
        MessageRenderer(MessageEncryption(secret), NotificationLinks(secret, settings.public_url)),
        time.time,
        random.random,
        StageCounters(services.redis).record_batch_stats,
    )
    wait_for_critical = make_notify_delay(
        PgNotifyListener(settings.service_urls.database_url, CRITICAL_NOTIFY_CHANNEL)
    )

    def mailer_delay() -> float:
        return 0.0 if message_mailer.wait_for_send_to_end(MAILER_WAIT_SECONDS) else wait_for_critical()

    # Messages need PostgreSQL only.
    return LoopParts(
        message_mailer.step, _make_table_check(worker_services), message_mailer.close, mailer_delay
    )


BUILDERS: dict[str, Callable[[WorkerServices], LoopParts]] = {
    "bridge": _build_bridge,
    "flusher": _build_flusher,
    "fan-out": _build_fan_out,
    "redis-failback": _build_redis_failback,
    "quiet-hours": _build_quiet_hours,
    "snoozes": _build_snoozes,
    "cache-eviction": _build_cache_eviction,
    "pipeline-history": _build_pipeline_history,
    "profile-changes": _build_profile_changes,
    "retention": _build_retention,
    "relay": _build_relay,
    "mailer": _build_mailer,
}
CONSUMER_BUILDERS: dict[str, Callable[[WorkerServices, KafkaSubscriber], LoopParts]] = {
    "aggregator-critical": _build_aggregator,
    "aggregator-high": _build_aggregator,
    "aggregator-low": _build_aggregator,
    "deliverer": _build_deliverer,
    "delivery-log": _build_delivery_log,
    "fan-out-log": _build_fan_out_log,
}
"""Loops that read a topic."""
