"""The event writer and the mailer, with a manual clock and fake transports."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine

from app.delivery.links import NotificationLinks
from app.delivery.mail_message import OutboundEmailOrSms
from app.delivery.message_transport import MessageTransport
from app.domain.events import Event, Kind
from app.messaging.message_encryption import MessageEncryption
from app.messaging.stage_counters import BatchStats
from app.persistence.outgoing_messages import OutgoingMessages
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import follow_event, insert_sample_users, insert_users, otp_event
from workers.mailer import Mailer
from workers.message_renderer import MessageRenderer

SECRET = "a test's secret"
ENCRYPTION = MessageEncryption(SECRET)


@dataclass
class FailingTransport:
    """A transport that raises `error`."""

    error: Exception | None = None
    messages: list[OutboundEmailOrSms] = field(default_factory=list)
    attempt_count: int = 0

    def send(self, message: OutboundEmailOrSms) -> None:
        self.attempt_count += 1
        if self.error:
            raise self.error
        self.messages.append(message)


def create_mailer(
    engine: Engine,
    transports: Mapping[str, MessageTransport],
    now: Callable[[], float],
    record_stats: Callable[[BatchStats], None],
    secret: str = SECRET,
) -> Mailer:
    """A mailer that retries after exactly the delays of its rules."""
    links = NotificationLinks(secret, "https://chime.example.org")
    renderer = MessageRenderer(MessageEncryption(secret), links)
    return Mailer(OutgoingMessages(engine), transports, renderer, now, lambda: 0.0, record_stats)


def send_all(mailer: Mailer) -> None:
    """Steps the mailer until nothing is due."""
    while mailer.step() or mailer.wait_for_send_to_end(10):
        pass


class MailerHarness:
    """The event writer and the mailer, with a manual clock and fake transports."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.writer = EventWriterHarness(engine, insert_sample_users(engine))
        self.sample_users, self.clock = (
            self.writer.sample_users,
            self.writer.clock,
        )
        self.mail, self.sms = FailingTransport(), FailingTransport()
        self.recorded_stats: list[BatchStats] = []
        self.seq = 0
        self.mailer = self.new_mailer()

    def new_mailer(self, transports: Mapping[str, MessageTransport] | None = None) -> Mailer:
        transports = transports or {"EMAIL": self.mail, "SMS": self.sms}
        return create_mailer(self.engine, transports, self.clock.now, self.recorded_stats.append)

    def run_until_idle(self, mailer: Mailer | None = None) -> None:
        send_all(mailer or self.mailer)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.run_until_idle()

    def write_code(self, recipient_id: str | None = None, **changes: Any) -> Event:
        """Writes a log-in code with the current time."""
        self.seq += 1
        event = otp_event(self.sample_users, self.seq, f"Your code is {self.seq:06d}")
        seq_offset = int((self.clock.now() - 1_780_000_000) * 1000) * 1024
        fields = {
            "recipient_id": recipient_id or self.sample_users.alice_id,
            "seq": event.seq + seq_offset,
        } | changes
        event = Event(**{name: getattr(event, name) for name in event.__slots__} | fields)
        self.writer.write(event)
        return event

    def enable_channels(self, kind: Kind, *channels: str) -> None:
        matrix = json.dumps({kind.value: dict.fromkeys(channels, True)})
        self.writer.execute(
            "insert into notification_preferences (user_id, sms_enabled, matrix) "
            "select id, true, cast(:matrix as jsonb) from users "
            "on conflict (user_id) do update set matrix = excluded.matrix",
            matrix=matrix,
        )

    def add_follower(self, name: str = "Ben") -> None:
        """Alice gets a follower."""
        self.seq += 1
        (actor,) = insert_users(self.engine, name)
        self.writer.write(follow_event(actor, self.sample_users, self.seq))

    def statuses(self, channel: str = "EMAIL") -> list[tuple[Any, ...]]:
        return self.writer.query(
            "select status, attempts, last_error from outgoing_messages where channel = :channel order by id",
            channel=channel,
        )

    def seconds_until_due(self) -> float:
        """Seconds until the first waiting e-mail is due."""
        [(due_at,)] = self.writer.query(
            "select extract(epoch from min(due_at)) from outgoing_messages "
            "where channel = 'EMAIL' and status = 'waiting'"
        )
        return round(float(due_at) - self.clock.now(), 3)

    def dead_letter_reasons(self) -> list[str]:
        rows = self.writer.query("select reason from dead_letters where status = 'waiting' order by 1")
        return [row[0] for row in rows]


@pytest.fixture
def mailer_harness(engine: Engine) -> MailerHarness:
    return MailerHarness(engine)


def address(user_id: str) -> str:
    return f"{user_id}@example.org"
