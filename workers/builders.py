"""Builders: the worker loops of each process, wired from the services of app/bootstrap.py."""

import random
import time

from app.bootstrap import WorkerServices, check_migrations_have_run, new_id
from app.clients.leases import PostgresLease
from app.clients.pg_notify import PgNotifyListener
from app.delivery.links import NotificationLinks
from app.delivery.post_change_publisher import PostChangePublisher
from app.delivery.transports import create_transports_by_channel
from app.domain.clock import Clock
from app.domain.worker_loops import WORKER_LOOPS, loops_of_process
from app.ingest.cache_eviction import MembershipCacheEviction
from app.ingest.failover_writes import FailoverWrites
from app.ingest.pending_comment_deletions import PendingCommentDeletions
from app.messaging.message_encryption import MessageEncryption
from app.messaging.outbox_relay import OutboxRelay
from app.messaging.stage_counters import StageCounters
from app.operations.consumer_lag import read_priority_topic_committed_offsets, read_priority_topic_end_offsets
from app.operations.retention import RetentionPurge
from app.operations.retention_progress import RetentionProgress
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
from app.persistence.written_memberships import WrittenMemberships
from workers import aggregator, mailer
from workers.bridge import Bridge
from workers.delays import (
    delivery_log_delay,
    flush_delay,
    make_notify_delay,
    no_delay,
    step_then_rest,
    table_poll_delay,
)
from workers.deliverer import Deliverer
from workers.delivery_log_writer import DeliveryLogWriter
from workers.fan_out import FanOutWorker
from workers.fan_out_pages_log import delivery_log_items_of_page
from workers.flusher import Flusher
from workers.message_renderer import MessageRenderer
from workers.ready_records import MAX_BATCH_RECORDS
from workers.redis_failback import RedisFailback
from workers.redis_recovery import PendingDeletions, PipelineBacklogSources
from workers.retention import RetentionLoop
from workers.runner import Worker

PAGE_REST_RATIO, PAGE_LOG_REST_RATIO = 0.7, 3.0
"""The delivery log of a large audience is not urgent, and costs more than the fan-out itself."""
MIN_PAGE_TO_REST = 100
"""Fan-outs to fewer recipients follow each other without a rest."""
MAILER_WAIT_SECONDS = 0.25
"""How often the mailer looks for due messages while others are being sent."""


def build_bridge_workers(worker_services: WorkerServices) -> list[Worker]:
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

    # No idle delay: step() blocks until there are new entries.
    heartbeat = services.heartbeats.record_heartbeat
    return [Worker("bridge", bridge.step, no_delay, heartbeat, prepare, bridge.release_leases)]


def build_aggregator_workers(worker_services: WorkerServices) -> list[Worker]:
    """One loop per priority topic."""
    services = worker_services.services
    clock = Clock(time.time, new_id)
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
    heartbeat = services.heartbeats.record_heartbeat
    workers = []
    for loop in loops_of_process("aggregator"):
        subscriber = worker_services.create_subscriber(loop)
        step = aggregator.Aggregator(
            subscriber, sinks, services.settings.window_rules, clock, random.random
        ).step
        workers.append(
            Worker(
                loop.name,
                step,
                no_delay,
                heartbeat,
                worker_services.check_dependencies_and_create_topics,
                subscriber.close,
            )
        )
    return workers


def build_flusher_workers(worker_services: WorkerServices) -> list[Worker]:
    services = worker_services.services
    record_stats = StageCounters(services.redis).record_batch_stats
    flusher = Flusher(
        services.windows,
        worker_services.event_writer,
        services.comments,
        WrittenMemberships(services.redis),
        worker_services.dead_letters,
        services.settings.window_rules.flush_max_rows,
        time.time,
        record_stats,
    )
    relay = OutboxRelay(
        services.engine, worker_services.publisher, new_id(), worker_services.dead_letters, record_stats
    )
    outbox_listener = PgNotifyListener(services.settings.service_urls.database_url, OUTBOX_CHANNEL)
    redis_failback = _build_redis_failback(worker_services)
    quiet_hours = QuietHoursDelivery(services.engine, time.time)
    profile_changes = ProfileChangeBroadcaster(services.engine)
    retention = _build_retention_loop(worker_services)
    cache_eviction = MembershipCacheEviction(
        services.redis, services.settings.limits.membership_cache_idle_seconds
    )
    heartbeat, check_ready = (
        services.heartbeats.record_heartbeat,
        worker_services.check_dependencies_and_create_topics,
    )

    def check_tables() -> None:
        check_migrations_have_run(services.engine)

    fan_out = FanOutWorker(
        services.engine,
        FanOutPageWriter(services.engine, time.time),
        worker_services.event_writer,
        worker_services.dead_letters,
        record_stats,
    )
    fan_out_listener = PgNotifyListener(services.settings.service_urls.database_url, FAN_OUT_CHANNEL)
    return [
        Worker("flusher", flusher.step, flush_delay, heartbeat, check_ready),
        Worker(
            "fan-out",
            # A new fan-out ends the rest: its mentions do not wait.
            lambda: step_then_rest(
                fan_out.step, PAGE_REST_RATIO, MIN_PAGE_TO_REST, fan_out_listener.wait_for_payloads
            ),
            make_notify_delay(fan_out_listener),
            heartbeat,
            check_tables,
        ),
        # Does not wait for Kafka or Redis: it has to notice that Redis is unavailable or empty.
        Worker(
            "redis-failback",
            redis_failback.step,
            redis_failback.idle_delay,
            heartbeat,
            check_tables,
            redis_failback.release_lease,
        ),
        Worker("quiet-hours", quiet_hours.announce_due_rows, table_poll_delay, heartbeat, check_ready),
        Worker("cache-eviction", cache_eviction.step, table_poll_delay, heartbeat),
        Worker("profile-changes", profile_changes.step, table_poll_delay, heartbeat, check_tables),
        Worker(
            "retention",
            retention.step,
            retention.idle_delay,
            heartbeat,
            check_tables,
            retention.release_lease,
        ),
        Worker(
            "relay",
            relay.step,
            make_notify_delay(outbox_listener),
            heartbeat,
            check_ready,
            relay.release_lease,
        ),
    ]


def _build_retention_loop(worker_services: WorkerServices) -> RetentionLoop:
    services = worker_services.services
    settings = services.settings.retention
    return RetentionLoop(
        RetentionPurge(services.engine, settings.read_notification_days).purge_batch,
        RetentionProgress(services.engine),
        PostgresLease(services.engine, "retention", new_id()),
        settings.interval_seconds,
    )


def _build_redis_failback(worker_services: WorkerServices) -> RedisFailback:
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
    return RedisFailback(
        services.redis,
        services.redis_failover,
        FailoverWrites(services.engine),
        pipeline_positions,
        pending_deletions,
        PostgresLease(services.engine, "redis-failback", new_id()),
        new_id,
    )


def build_deliverer_workers(worker_services: WorkerServices) -> list[Worker]:
    services = worker_services.services
    heartbeat, check_ready = (
        services.heartbeats.record_heartbeat,
        worker_services.check_dependencies_and_create_topics,
    )
    subscriber = worker_services.create_subscriber(WORKER_LOOPS["deliverer"])
    deliverer = Deliverer(
        subscriber,
        services.push_publisher,
        NotificationRenderer(services.engine).render_payloads,
        worker_services.dead_letters,
        OutboxClearWatermark(services.redis).read_last_cleared_outbox_id,
        StageCounters(services.redis).record_batch_stats,
    )
    return [
        Worker("deliverer", deliverer.step, no_delay, heartbeat, check_ready, subscriber.close),
        _build_mailer(worker_services),
        *_build_delivery_log_workers(worker_services),
    ]


def _build_delivery_log_workers(worker_services: WorkerServices) -> list[Worker]:
    services = worker_services.services
    service_urls = services.settings.service_urls
    delivery_log = DeliveryLog(
        create_dynamodb_client(service_urls.dynamodb_endpoint_url, service_urls.aws_region)
    )
    subscriber = worker_services.create_subscriber(WORKER_LOOPS["delivery-log"])
    record_stats = StageCounters(services.redis).record_batch_stats
    log_writer = DeliveryLogWriter(subscriber, delivery_log, time.time, record_stats)
    page_subscriber = worker_services.create_subscriber(WORKER_LOOPS["fan-out-log"])
    page_log_writer = DeliveryLogWriter(
        page_subscriber,
        delivery_log,
        time.time,
        record_stats,
        delivery_log_items_of_page,
        "fan-out-log",
        max_batch_records=1,
    )

    def check_ready() -> None:
        worker_services.check_dependencies_and_create_topics()
        delivery_log.create_table()

    def step_or_idle() -> int:
        # Rests after each batch that is not full: the log shares a processor with the deliverer, and one
        # call for many events is cheaper.
        moved_count = log_writer.step()
        return moved_count if moved_count >= MAX_BATCH_RECORDS else 0

    heartbeat = services.heartbeats.record_heartbeat
    return [
        Worker("delivery-log", step_or_idle, delivery_log_delay, heartbeat, check_ready, subscriber.close),
        Worker(
            "fan-out-log",
            lambda: step_then_rest(page_log_writer.step, PAGE_LOG_REST_RATIO),
            no_delay,
            heartbeat,
            check_ready,
            page_subscriber.close,
        ),
    ]


def _build_mailer(worker_services: WorkerServices) -> Worker:
    services = worker_services.services
    settings, heartbeat = services.settings, services.heartbeats.record_heartbeat
    secret = settings.web.secret_key
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

    def check_tables() -> None:
        check_migrations_have_run(services.engine)  # messages need PostgreSQL only

    return Worker("mailer", message_mailer.step, mailer_delay, heartbeat, check_tables, message_mailer.close)
