"""Critical events: written synchronously, then copied through the pipeline, announced once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import create_engine

from app.accounts.one_time_tokens import OneTimeTokens
from app.bootstrap import new_id
from app.clients.pg_notify import PgNotifyListener
from app.clients.postgres import psycopg2_url
from app.delivery.history import ClientEventHistory, ResumePoint
from app.domain.errors import RedisUnavailable, Unavailable
from app.domain.events import Event, Kind
from app.domain.redaction import LOGIN_CODE_VALID_MINUTES, MASKED_CODE_TEXT
from app.domain.routing import Topic
from app.ingest.critical_publisher import CriticalEventPublisher
from app.ingest.synchronous_writer import SynchronousWriter
from app.messaging.fallback_queue import FallbackQueue
from app.messaging.message_encryption import MessageEncryption
from app.persistence.critical_notify import CRITICAL_NOTIFY_CHANNEL, CriticalClientEvent
from app.persistence.event_writer import EventWriter
from app.social.notification_status import NotificationStatusStore
from tests.support.fakes import MemoryPushPublisher
from tests.support.pipeline_harness import PipelineHarness

pytestmark = pytest.mark.service
UNREACHABLE_POSTGRES_URL = psycopg2_url("postgresql://nobody@127.0.0.1:1/none")


class UnavailableIngress:
    """An ingress without Redis."""

    def append_events(self, events: Any) -> bool:
        raise RedisUnavailable("Redis is unavailable")


@dataclass
class CriticalPublisherHarness:
    """Publishes critical events to Alice, and records local dispatches and pushes to other processes."""

    pipeline: PipelineHarness
    unavailable: frozenset[str] = frozenset()
    dispatched: list[CriticalClientEvent] = field(default_factory=list)
    push_publisher: MemoryPushPublisher = field(default_factory=MemoryPushPublisher)

    def __post_init__(self) -> None:
        self.encryption = MessageEncryption("a secret of all processes", self.pipeline.clock.now)

    def publish(self, kind: Kind = Kind.OTP, message: str = "Your code is 123456") -> Event:
        event = Event(new_id(), kind, self.pipeline.alice.id, message=message)
        self.new_publisher().write_and_dispatch(event)
        return event

    def new_publisher(self) -> CriticalEventPublisher:
        engine = (
            create_engine(UNREACHABLE_POSTGRES_URL)
            if "postgres" in self.unavailable
            else self.pipeline.engine
        )
        fallback_queue = FallbackQueue(engine, 5)
        writer = SynchronousWriter(
            engine,
            EventWriter(engine, 12.0, self.pipeline._event_writer_clock()),
            fallback_queue,
        )
        ingress: Any = (
            UnavailableIngress()
            if "redis" in self.unavailable
            else self.pipeline.worker_services.services.ingress
        )
        push_publisher: Any = self.push_publisher
        publisher = CriticalEventPublisher(
            writer,
            ingress,
            fallback_queue,
            push_publisher,
            self.pipeline.clock.now,
            lambda task: task(),
            self.encryption,
            self.dispatched.append,
        )
        return publisher

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return self.pipeline.query("select id::text, version, message from notifications")


@pytest.mark.parametrize(
    ("kind", "list_text"),
    [
        (Kind.OTP, MASKED_CODE_TEXT),
        (Kind.PASSWORD_RESET, "A password reset was requested for your account."),
        (Kind.SECURITY_ALERT, "Look here"),
    ],
)
def test_critical_event_is_announced_before_any_worker_runs(
    pipeline: PipelineHarness, kind: Kind, list_text: str, listen: Callable[[str], PgNotifyListener]
) -> None:
    listener = listen(CRITICAL_NOTIFY_CHANNEL)
    harness = CriticalPublisherHarness(pipeline)
    event = harness.publish(kind, "Look here")

    assert harness.rows == [(event.event_id, 1, list_text)]
    assert listener.wait_for_payloads(10) == [f"{pipeline.alice.id} 1"]
    [dispatched] = harness.dispatched
    payload = dispatched.payload
    assert (payload["id"], payload["version"], payload["seq"]) == (event.event_id, 1, 1)
    assert harness.push_publisher.events_for_user(pipeline.alice.id) == [payload]


MESSAGE_WITH_CODE = "Your code is 493817"


def everything_stored(pipeline: PipelineHarness, harness: CriticalPublisherHarness) -> str:
    """All tables, Redis streams, Kafka records and client events as text."""
    names = pipeline.query("select tablename from pg_tables where schemaname = 'public'")
    tables = [pipeline.query(f"select t::text from {name} t") for (name,) in names]  # noqa: S608
    records = [pipeline.memory_kafka.records(topic.value) for topic in Topic]
    streams = [pipeline.redis.xrange(name) for name in pipeline.redis.scan_iter("ingress:?")]
    return repr(
        (
            tables,
            records,
            streams,
            pipeline.push_publisher.client_events,
            harness.push_publisher.client_events,
            harness.dispatched,
        )
    )


@pytest.mark.parametrize("kind", [Kind.OTP, Kind.PASSWORD_RESET])
@pytest.mark.parametrize("unavailable", [(), ("redis",), ("postgres",)])
def test_code_is_encrypted_wherever_it_is_stored(
    pipeline: PipelineHarness, kind: Kind, unavailable: tuple[str, ...]
) -> None:
    harness = CriticalPublisherHarness(pipeline, frozenset(unavailable))
    harness.publish(kind, MESSAGE_WITH_CODE)
    stored_before = everything_stored(pipeline, harness)
    pipeline.run_until_idle()
    pipeline.run_until_idle()

    assert "493817" not in stored_before + everything_stored(pipeline, harness)
    assert len(pipeline.alice.client_events()) == 1


@pytest.mark.parametrize("unavailable", ["", "postgres"])
def test_client_event_has_the_code_and_its_list_text_is_masked(
    pipeline: PipelineHarness, unavailable: str
) -> None:
    harness = CriticalPublisherHarness(pipeline, frozenset({unavailable}))
    harness.publish(message=MESSAGE_WITH_CODE)
    pipeline.run_until_idle()

    for client_event in (
        harness.dispatched[0].payload,
        harness.push_publisher.events_for_user(pipeline.alice.id)[0],
        pipeline.alice.client_events()[0],
    ):
        decrypted = harness.encryption.decrypt_login_code(client_event)
        assert decrypted["message"] == MESSAGE_WITH_CODE
        assert decrypted["group"]["message"] == MASKED_CODE_TEXT


def missed_messages(pipeline: PipelineHarness, harness: CriticalPublisherHarness) -> list[str]:
    history = ClientEventHistory(pipeline.engine)
    resume_point = ResumePoint(history.load_missed_events(pipeline.alice.id, None).epoch, 0)
    client_events = history.load_missed_events(pipeline.alice.id, resume_point).client_events
    return [harness.encryption.decrypt_login_code(event["data"])["message"] for event in client_events]


def use_code(tokens: OneTimeTokens, user_id: str) -> None:
    assert tokens.verify_and_use_login_code(user_id, "hash")


def request_another_code(tokens: OneTimeTokens, user_id: str) -> None:
    tokens.save_login_code(user_id, "another")


def reset_password(tokens: OneTimeTokens, user_id: str) -> None:
    tokens.save_reset_token(user_id, "token")
    assert tokens.reset_password_and_revoke_sessions("token", "new hash") is not None


@pytest.mark.parametrize("invalidate", [use_code, request_another_code, reset_password])
def test_reconnecting_client_gets_the_code_until_used_or_void(
    pipeline: PipelineHarness, invalidate: Callable[[OneTimeTokens, str], None]
) -> None:
    harness, tokens = CriticalPublisherHarness(pipeline), OneTimeTokens(pipeline.engine)
    tokens.save_login_code(pipeline.alice.id, "hash")
    harness.publish(message=MESSAGE_WITH_CODE)
    assert missed_messages(pipeline, harness) == [MESSAGE_WITH_CODE]

    invalidate(tokens, pipeline.alice.id)

    assert missed_messages(pipeline, harness) == [MASKED_CODE_TEXT]


def test_client_that_reconnects_after_the_code_expired_gets_no_code(pipeline: PipelineHarness) -> None:
    harness = CriticalPublisherHarness(pipeline)
    harness.publish(message=MESSAGE_WITH_CODE)

    pipeline.clock.advance(LOGIN_CODE_VALID_MINUTES * 60 + 1)

    assert missed_messages(pipeline, harness) == [MASKED_CODE_TEXT]


def test_every_code_request_uses_the_critical_path(pipeline: PipelineHarness) -> None:
    event = Event(new_id(), Kind.OTP, pipeline.alice.id, message="Your code is 123456")
    pipeline.actions.publish_event(event)
    assert [row[0] for row in CriticalPublisherHarness(pipeline).rows] == [event.event_id]


def test_copy_from_the_pipeline_announces_nothing(pipeline: PipelineHarness) -> None:
    event = CriticalPublisherHarness(pipeline).publish()
    pipeline.run_until_idle()

    records = pipeline.memory_kafka.records("critical-notifications")
    assert [event.event_id.encode() in record.value for record in records] == [True]
    assert [client_event["id"] for client_event in pipeline.alice.client_events()] == [event.event_id]


@pytest.mark.parametrize("status_change", ["MARK_READ", "ARCHIVE", "DELETE"])
def test_copy_announces_nothing_after_the_row_was_read_archived_or_deleted(
    pipeline: PipelineHarness, status_change: str
) -> None:
    from app.social import notification_status

    event = CriticalPublisherHarness(pipeline).publish()
    NotificationStatusStore(pipeline.engine).apply_status_change(
        pipeline.alice.id, event.event_id, getattr(notification_status, status_change)
    )
    pipeline.run_until_idle()
    announced_count = len(pipeline.alice.client_events())
    pipeline.actions.publish_event(event)
    pipeline.run_until_idle()

    assert announced_count == 1
    assert len(pipeline.alice.client_events()) == 1
    assert len(CriticalPublisherHarness(pipeline).rows) == 1


def test_copy_is_stored_with_the_event(pipeline: PipelineHarness) -> None:
    event = CriticalPublisherHarness(pipeline).publish()

    queued = pipeline.query("select event_id::text, shard, topic from kafka_fallback_queue")
    assert queued == [(event.event_id, 0, "critical-notifications")]
    pipeline.run_until_idle()
    pipeline.run_until_idle()
    assert [client_event["id"] for client_event in pipeline.alice.client_events()] == [event.event_id]


def test_preview_is_sent_without_postgresql(pipeline: PipelineHarness) -> None:
    harness = CriticalPublisherHarness(pipeline, frozenset({"postgres"}))
    event = harness.publish()

    [preview] = harness.dispatched
    assert harness.push_publisher.events_for_user(pipeline.alice.id) == [preview.payload]
    assert (preview.client_seq, harness.rows) == (None, [])
    pipeline.run_until_idle()
    [client_event] = pipeline.alice.client_events()
    assert client_event["id"] == event.event_id
    same_fields = {name: client_event[name] for name in preview.payload if name != "timestamp"}
    assert same_fields == {name: preview.payload[name] for name in same_fields}
    assert set(client_event) - set(preview.payload) == {"seq"}


def test_critical_event_is_refused_without_redis_and_postgresql(pipeline: PipelineHarness) -> None:
    harness = CriticalPublisherHarness(pipeline, frozenset({"postgres", "redis"}))
    with pytest.raises(Unavailable):
        harness.publish()
    assert harness.dispatched == []


def test_code_is_in_no_log_and_no_notify_payload(
    pipeline: PipelineHarness, listen: Callable[[str], PgNotifyListener], caplog: pytest.LogCaptureFixture
) -> None:
    listener = listen(CRITICAL_NOTIFY_CHANNEL)
    caplog.set_level("DEBUG")
    CriticalPublisherHarness(pipeline).publish()
    for unavailable in ({"redis"}, {"postgres"}):
        CriticalPublisherHarness(pipeline, frozenset(unavailable)).publish()

    assert "123456" not in caplog.text + str(listener.wait_for_payloads(10))
