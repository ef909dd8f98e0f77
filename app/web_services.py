"""Builds everything that only a web process needs: accounts, read models, operations, sockets.

Comes after app/bootstrap.py, which builds what web and worker processes share. Nothing here connects
to a service.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from flask import Flask
from sqlalchemy import Engine

from app.accounts.access_tokens import AccessTokens
from app.accounts.authentication import AccountAuthentication, AuthServices
from app.accounts.credentials import PasswordsAndOneTimeCodes
from app.accounts.known_devices import KnownDeviceCookies
from app.accounts.one_time_tokens import OneTimeTokens
from app.accounts.passwords import PasswordHashing
from app.accounts.rate_limits import RateLimits
from app.accounts.revocations import RevocationCache
from app.accounts.service_keys import ServiceKeys
from app.accounts.sessions import Sessions
from app.bootstrap import SharedServices, new_id
from app.clients.redis_server_check import RedisServerCheck
from app.delivery.history import ClientEventHistory
from app.delivery.live_post_counts import LivePostCounts
from app.delivery.local_sockets import LocalSockets
from app.delivery.read_receipts import ReadReceiptBuffer
from app.delivery.sockets import SocketServer
from app.devtools.service_control import EmbeddedServiceControl
from app.devtools.simulated_users import SimulatedUsers
from app.devtools.storm.row_per_like import RowPerLike, create_pool
from app.devtools.storm.storms import Storms
from app.devtools.worker_control import WorkerControl
from app.domain.clock import TimeAndIdSource
from app.ingest.idempotency import IdempotencyKeys
from app.ingest.membership_kinds import USER_FOLLOWS
from app.messaging.fallback_queue import FallbackQueue
from app.messaging.message_encryption import MessageEncryption
from app.operations.admin_queues import AdminQueues
from app.operations.audit_log import AuditLog
from app.operations.data_wipe import EventDataWipe
from app.operations.database_viewer import DatabaseViewer
from app.operations.event_search import EventSearch
from app.operations.health.public_figures import PublicFiguresReader
from app.operations.health.report import Health
from app.operations.in_flight_events import InFlightEvents
from app.operations.mail_list import MailList
from app.operations.metrics import Metrics
from app.operations.notification_search import NotificationSearch
from app.operations.open_windows import OpenWindows
from app.operations.pipeline_history import PipelineHistory
from app.operations.trace import EventTraceReader
from app.persistence.blocks import Blocks
from app.persistence.delivery_log import DeliveryLog, create_dynamodb_client
from app.persistence.seen_receipts import record_seen_receipts
from app.settings import Settings
from app.social.bookmarks import Bookmarks
from app.social.follows import Follows
from app.social.mutes import MutesAndBlocks
from app.social.notification_status import NotificationStatusStore
from app.social.notifications import Notifications
from app.social.posts import PostReader
from app.social.preferences import PreferenceStore
from app.social.users import Users


@dataclass(frozen=True)
class SocialStores:
    """The tables that views read and write directly, without an event."""

    users: Users
    posts: PostReader
    bookmarks: Bookmarks
    follows: Follows
    blocks: Blocks
    mutes: MutesAndBlocks
    notifications: Notifications
    notification_status: NotificationStatusStore
    preferences: PreferenceStore


@dataclass(frozen=True)
class AdminServices:
    """What the admin routes work with."""

    queues: AdminQueues
    audit_log: AuditLog
    data_wipe: EventDataWipe
    database_viewer: DatabaseViewer
    event_search: EventSearch
    event_traces: EventTraceReader
    fallback_queue: FallbackQueue
    in_flight_events: InFlightEvents
    mail_list: MailList
    notification_search: NotificationSearch
    open_windows: OpenWindows
    pipeline_history: PipelineHistory
    open_delivery_log: Callable[[], DeliveryLog]
    """Connects at the first call: few web processes need it, and importing boto3 takes half a second."""


@dataclass(frozen=True)
class WebServices:
    """What blueprints get their collaborators from (blueprints/registration.py)."""

    services: SharedServices
    stores: SocialStores
    auth: AuthServices
    accounts: AccountAuthentication
    access_tokens: AccessTokens
    credentials: PasswordsAndOneTimeCodes
    service_keys: ServiceKeys
    idempotency_keys: IdempotencyKeys
    redis_server_check: RedisServerCheck
    health: Health
    public_figures: PublicFiguresReader
    metrics: Metrics
    socket_server: SocketServer
    admin: AdminServices
    simulated_users: SimulatedUsers
    service_control: EmbeddedServiceControl
    worker_control: WorkerControl
    storms: Storms
    row_per_like: RowPerLike

    def start_background_tasks(self) -> None:
        self.socket_server.start_background_tasks()
        self.auth.revocations.start_refreshing(self.socket_server.close_expired_connections)


def build_local_sockets(settings: Settings, critical_engine: Engine) -> LocalSockets:
    """The sockets of this process, before the Flask application exists."""
    return LocalSockets(ClientEventHistory(critical_engine), MessageEncryption(settings.web.secret_key))


def build_web_services(services: SharedServices, app: Flask, local_sockets: LocalSockets) -> WebServices:
    """`app` gets the configuration of the access tokens, and Socket.IO in front of its wsgi_app."""
    settings, engine = services.settings, services.engine
    auth = _build_auth_services(services)
    access_tokens = AccessTokens(app, settings.web, services.now, auth.revocations)
    socket_server = SocketServer(
        app,
        local_sockets,
        service_urls=settings.service_urls,
        cors_origins=settings.web.cors_origins,
        access_tokens=access_tokens,
        history=ClientEventHistory(engine),
        read_receipts=ReadReceiptBuffer(partial(record_seen_receipts, engine)),
        live_counts=LivePostCounts(
            services.memberships,
            local_sockets.post_watchers,
            local_sockets.emit,
            time.monotonic,
            new_id,
        ),
        posts=PostReader(engine),
        now=services.now,
    )
    health = Health(settings.service_urls, settings.limits, services.redis, engine)
    return WebServices(
        services=services,
        stores=_build_social_stores(services),
        auth=auth,
        accounts=AccountAuthentication(auth),
        access_tokens=access_tokens,
        credentials=PasswordsAndOneTimeCodes(
            auth, OneTimeTokens(services.critical_engine), settings.web.secret_key
        ),
        service_keys=ServiceKeys(engine),
        idempotency_keys=IdempotencyKeys(engine),
        redis_server_check=RedisServerCheck(services.redis),
        health=health,
        public_figures=PublicFiguresReader(services.redis, _all_ingress_shards(services)),
        metrics=Metrics(health, socket_server.count_connected_users),
        socket_server=socket_server,
        admin=_build_admin_services(services),
        simulated_users=SimulatedUsers(engine, services.redis, services.removals),
        service_control=EmbeddedServiceControl(settings.data_dir, settings.service_urls.as_environment()),
        worker_control=WorkerControl(settings.service_urls.as_environment()),
        storms=Storms(settings.data_dir),
        row_per_like=RowPerLike(create_pool(settings.service_urls.database_url)),
    )


def _all_ingress_shards(services: SharedServices) -> range:
    """The ingress shards and the critical shard, which is the last."""
    return range(services.settings.limits.ingress_shards + 1)


def _build_auth_services(services: SharedServices) -> AuthServices:
    web_settings, sessions = services.settings.web, Sessions(services.engine)
    redis_url = services.settings.service_urls.redis_url
    return AuthServices(
        users=Users(services.engine),
        sessions=sessions,
        password_hashing=PasswordHashing(),
        revocations=RevocationCache(sessions, web_settings.access_token_minutes),
        known_devices=KnownDeviceCookies(web_settings.secret_key),
        rate_limits=RateLimits(web_settings.rate_limits, redis_url, time.monotonic),
        publish_event=lambda event: services.actions.publish_event(event),
        on_user_created=lambda user_id: services.memberships.cache_loader.cache_as_empty(
            USER_FOLLOWS, user_id, user_id
        ),
        new_id=new_id,
        refresh_token_days=web_settings.refresh_token_days,
    )


def _build_social_stores(services: SharedServices) -> SocialStores:
    engine = services.engine
    return SocialStores(
        users=Users(engine),
        posts=PostReader(engine),
        bookmarks=Bookmarks(engine),
        follows=Follows(engine),
        blocks=Blocks(engine),
        mutes=MutesAndBlocks(engine, TimeAndIdSource(services.now, new_id)),
        notifications=Notifications(engine),
        notification_status=NotificationStatusStore(engine),
        preferences=PreferenceStore(engine, services.now),
    )


def _build_admin_services(services: SharedServices) -> AdminServices:
    engine, redis, settings = services.engine, services.redis, services.settings
    limits, service_urls, all_shards = settings.limits, settings.service_urls, _all_ingress_shards(services)

    @cache
    def open_delivery_log() -> DeliveryLog:
        return DeliveryLog(
            create_dynamodb_client(service_urls.dynamodb_endpoint_url, service_urls.aws_region)
        )

    return AdminServices(
        queues=AdminQueues(engine, limits.fallback_max_retries, limits.ingress_shards, services.now),
        audit_log=AuditLog(engine),
        data_wipe=EventDataWipe(engine, redis, limits.ingress_shards),
        database_viewer=DatabaseViewer(engine),
        event_search=EventSearch(redis, engine),
        event_traces=EventTraceReader(redis, engine),
        fallback_queue=FallbackQueue(engine, limits.fallback_max_retries),
        in_flight_events=InFlightEvents(redis, engine, all_shards),
        mail_list=MailList(engine),
        notification_search=NotificationSearch(engine),
        open_windows=OpenWindows(redis),
        pipeline_history=PipelineHistory(redis),
        open_delivery_log=open_delivery_log,
    )
