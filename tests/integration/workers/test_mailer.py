"""Mailer: each message is retried and settled separately, whatever the server does with others."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import gevent
import gevent.event
import pytest
from sqlalchemy import Engine

from app.clients import circuit_breaker
from app.delivery.links import NotificationLinks
from app.delivery.mail_message import OutboundEmailOrSms
from app.delivery.message_transport import DeliveryDeferred, MessageTransport, TransportTimeouts
from app.delivery.smtp_transport import SmtpTransport
from app.domain.errors import Poisoned, Rejected, Unavailable
from app.domain.events import Event, Kind
from app.domain.mail_policy import MailFromAddress
from app.messaging.dead_letters import DeadLetterQueue
from app.messaging.message_encryption import MessageEncryption
from app.messaging.outbox_relay import OutboxRelay
from app.messaging.stage_counters import BatchStats
from app.operations.admin_queues import AdminQueues, AdminSelection
from app.persistence.claimed_messages import ClaimedMessage, SendQueue
from app.persistence.outgoing_messages import CLAIM_LEASE_SECONDS, OutgoingMessages
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fakes import ManualClock, MemoryKafka
from tests.support.fixtures import (
    follow_event,
    insert_sample_users,
    insert_users,
    new_id,
    otp_event,
)
from tests.support.mail_server import DROP_AFTER_DATA, HANG, MailServer
from workers.mail_consumer import CONSUMER_GROUP, OutgoingMessagesWriter
from workers.mailer import Mailer, SendSlots
from workers.message_renderer import MessageRenderer

pytestmark = pytest.mark.service
ENCRYPTION = MessageEncryption("a test's secret")
DAY_SECONDS = 24 * 3600.0


@dataclass
class FailingTransport:
    """A transport that raises `error`, or the error of a single address."""

    error: Exception | None = None
    error_by_address: dict[str, Exception] = field(default_factory=dict)
    messages: list[OutboundEmailOrSms] = field(default_factory=list)
    attempt_count: int = 0

    def send(self, message: OutboundEmailOrSms) -> None:
        self.attempt_count += 1
        error = self.error or self.error_by_address.get(message.recipient_address)
        if error:
            raise error
        self.messages.append(message)


class MailerHarness:
    """The event writer, relay, mail consumer and mailer, with a manual clock and fake transports."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.event_writer_harness = EventWriterHarness(engine, insert_sample_users(engine))
        self.sample_users, self.clock = (
            self.event_writer_harness.sample_users,
            self.event_writer_harness.clock,
        )
        self.mail, self.sms = FailingTransport(), FailingTransport()
        self.kafka = MemoryKafka()
        self.recorded_stats: list[BatchStats] = []
        self.seq = 0
        self.mailer = self.new_mailer()

    def new_mailer(self, transports: Mapping[str, MessageTransport] | None = None) -> Mailer:
        links = NotificationLinks("a test's secret", "https://chime.example.org")
        return Mailer(
            OutgoingMessages(self.engine),
            transports or {"EMAIL": self.mail, "SMS": self.sms},
            MessageRenderer(ENCRYPTION, links),
            self.clock.now,
            lambda: 0.0,
            self.recorded_stats.append,
        )

    def run_until_idle(self, mailer: Mailer | None = None) -> None:
        """Steps the mailer until nothing is due."""
        mailer = mailer or self.mailer
        while mailer.step() or mailer.wait_for_send_to_end(10):
            pass

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
        self.event_writer_harness.write(event)
        return event

    def enable_channels(self, kind: Kind, *channels: str) -> None:
        matrix = json.dumps({kind.value: dict.fromkeys(channels, True)})
        self.event_writer_harness.execute(
            "insert into notification_preferences (user_id, sms_enabled, matrix) "
            "select id, true, cast(:matrix as jsonb) from users "
            "on conflict (user_id) do update set matrix = excluded.matrix",
            matrix=matrix,
        )

    def add_follower(self, name: str = "Ben") -> None:
        """Alice gets a follower; the announcement reaches outgoing_messages through the ready topic."""
        self.seq += 1
        (actor,) = insert_users(self.engine, name)
        self.event_writer_harness.write(follow_event(actor, self.sample_users, self.seq))
        self.relay()
        self.consume()

    def relay(self) -> None:
        dead_letters = DeadLetterQueue(self.engine, self.kafka.publisher())
        outbox_relay = OutboxRelay(self.engine, self.kafka.publisher(), new_id(), dead_letters)
        while outbox_relay.step():
            pass
        outbox_relay.release_lease()

    def consume(self) -> None:
        subscriber: Any = self.kafka.subscriber(CONSUMER_GROUP, "ready-notifications")
        OutgoingMessagesWriter(subscriber, OutgoingMessages(self.engine), self.clock.now).step()
        subscriber.close()

    def statuses(self, channel: str = "EMAIL") -> list[tuple[Any, ...]]:
        return self.event_writer_harness.query(
            "select status, attempts, last_error from outgoing_messages where channel = :channel order by id",
            channel=channel,
        )

    def seconds_until_due(self) -> float:
        """Seconds until the first waiting e-mail is due."""
        [(due_at,)] = self.event_writer_harness.query(
            "select extract(epoch from min(due_at)) from outgoing_messages "
            "where channel = 'EMAIL' and status = 'waiting'"
        )
        return round(float(due_at) - self.clock.now(), 3)

    def dead_letter_reasons(self) -> list[str]:
        rows = self.event_writer_harness.query(
            "select reason from dead_letters where status = 'waiting' order by 1"
        )
        return [row[0] for row in rows]


@pytest.fixture
def mailer_harness(engine: Engine) -> MailerHarness:
    return MailerHarness(engine)


def address(user_id: str) -> str:
    return f"{user_id}@example.org"


def test_code_is_sent_once_by_each_channel(mailer_harness: MailerHarness) -> None:
    event = mailer_harness.write_code()
    mailer_harness.run_until_idle()
    mailer_harness.event_writer_harness.write(event)  # the copy from the priority topic
    mailer_harness.run_until_idle()

    [mail], [sms] = mailer_harness.mail.messages, mailer_harness.sms.messages
    assert mail == sms
    assert (mail.id, mail.recipient_address, mail.text) == (
        f"{event.event_id}-1",
        address(mailer_harness.sample_users.alice_id),
        "Your code is 000001",
    )
    assert mailer_harness.statuses() == mailer_harness.statuses("SMS") == [("delivered", 1, None)]


def test_ready_topic_event_is_sent_once(mailer_harness: MailerHarness) -> None:
    mailer_harness.enable_channels(Kind.FOLLOW, "email")
    mailer_harness.add_follower()
    mailer_harness.kafka.committed_offsets.clear()  # as if the consumer had died before its commit
    mailer_harness.consume()
    mailer_harness.run_until_idle()

    [mail] = mailer_harness.mail.messages
    assert "Ben" in mail.text
    assert mail.unsubscribe_url is not None
    assert (mailer_harness.sms.messages, mailer_harness.statuses()) == ([], [("delivered", 1, None)])


def test_deferred_address_delays_no_other_recipient(mailer_harness: MailerHarness) -> None:
    """A defect that was reported: one 450 reply stopped all mail."""
    user_ids = insert_users(mailer_harness.engine, *(f"P{n}" for n in range(12)))
    mailer_harness.mail.error_by_address[address(user_ids[0])] = DeliveryDeferred(
        "450 4.1.2 Domain not found at RCPT"
    )
    for user_id in user_ids:
        mailer_harness.write_code(user_id)
    mailer_harness.run_until_idle()

    assert {message.recipient_address for message in mailer_harness.mail.messages} == {
        address(user_id) for user_id in user_ids[1:]
    }
    assert len(mailer_harness.sms.messages) == 12


def test_deferred_message_is_retried_with_doubling_delays(
    mailer_harness: MailerHarness,
) -> None:
    mailer_harness.enable_channels(Kind.FOLLOW, "email")
    mailer_harness.mail.error = DeliveryDeferred("450 busy at RCPT")
    mailer_harness.add_follower()
    delays = []
    for _ in range(8):
        mailer_harness.run_until_idle()
        delays.append(mailer_harness.seconds_until_due())
        mailer_harness.clock.advance(delays[-1])
    assert delays == [30, 60, 120, 240, 480, 900, 900, 900]
    assert mailer_harness.statuses() == [("waiting", 8, "450 busy at RCPT")]

    mailer_harness.mail.error = None
    mailer_harness.run_until_idle()
    assert mailer_harness.statuses() == [("delivered", 9, None)]


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [(Kind.OTP, 300.0), (Kind.PASSWORD_RESET, 1800.0), (Kind.SECURITY_ALERT, DAY_SECONDS)],
)
def test_critical_message_is_given_up_when_its_validity_ends(
    mailer_harness: MailerHarness, kind: Kind, seconds: float
) -> None:
    mailer_harness.mail.error = DeliveryDeferred("450 busy at RCPT")
    mailer_harness.write_code(kind=kind)
    elapsed_seconds = 0.0
    while mailer_harness.statuses()[0][0] == "waiting":
        mailer_harness.run_until_idle()
        if mailer_harness.statuses()[0][0] == "waiting":
            elapsed_seconds += mailer_harness.seconds_until_due()
            mailer_harness.clock.advance(mailer_harness.seconds_until_due())
    assert abs(elapsed_seconds - seconds) < 1
    [reason] = mailer_harness.dead_letter_reasons()
    assert reason.startswith("EMAIL: not sent in time, after ")
    assert reason.endswith("450 busy at RCPT")


def test_ordinary_message_is_given_up_after_a_day(mailer_harness: MailerHarness) -> None:
    mailer_harness.enable_channels(Kind.FOLLOW, "email")
    mailer_harness.mail.error = DeliveryDeferred("450 busy at RCPT")
    mailer_harness.add_follower()
    for _ in range(120):
        mailer_harness.advance(900)
    [reason] = mailer_harness.dead_letter_reasons()
    assert reason.startswith("EMAIL: not sent in time")
    assert mailer_harness.statuses()[0][0] == "failed"
    assert 90 < mailer_harness.mail.attempt_count < 105


def test_permanently_rejected_message_fails_at_once_and_loses_its_text(
    mailer_harness: MailerHarness,
) -> None:
    mailer_harness.sms.error = Rejected("the webhook answered 400")
    mailer_harness.write_code()
    mailer_harness.run_until_idle()

    assert mailer_harness.statuses("SMS") == [("failed", 1, "the webhook answered 400")]
    [(reason, payload)] = mailer_harness.event_writer_harness.query(
        "select reason, payload from dead_letters"
    )
    assert reason == "SMS: the webhook answered 400"
    assert "000001" not in payload
    assert mailer_harness.statuses() == [("delivered", 1, None)]


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(
            "update outbox set payload = jsonb_set(payload, '{metadata,aggregatedActors}', '[0]')",
            id="payload",
        ),
        pytest.param("update users set email = 'a,b@example.org'", id="address"),
    ],
)
def test_unwritable_message_is_a_dead_letter_at_once(mailer_harness: MailerHarness, statement: str) -> None:
    mailer_harness.enable_channels(Kind.FOLLOW, "email")
    mailer_harness.add_follower()
    mailer_harness.event_writer_harness.execute(statement.replace("email = 'a", "email = id::text || 'a"))
    smtp = SmtpTransport("smtp://127.0.0.1:1", MailFromAddress("", "us@example.org"))
    mailer_harness.run_until_idle(mailer_harness.new_mailer({"EMAIL": smtp, "SMS": mailer_harness.sms}))

    assert mailer_harness.statuses()[0][0] == "failed"
    assert len(mailer_harness.dead_letter_reasons()) == 1


def test_poisoned_message_delays_no_other(mailer_harness: MailerHarness) -> None:
    (other_user_id,) = insert_users(mailer_harness.engine, "Other")
    mailer_harness.mail.error_by_address[address(other_user_id)] = Poisoned(
        "cannot be rendered as an e-mail: ValueError"
    )
    mailer_harness.write_code(other_user_id)
    mailer_harness.write_code()
    mailer_harness.run_until_idle()
    assert [message.recipient_address for message in mailer_harness.mail.messages] == [
        address(mailer_harness.sample_users.alice_id)
    ]
    assert mailer_harness.dead_letter_reasons() == ["EMAIL: cannot be rendered as an e-mail: ValueError"]


def test_unavailable_server_costs_no_attempts_and_all_is_sent_after_recovery(
    mailer_harness: MailerHarness,
) -> None:
    mailer_harness.mail.error = Unavailable("The mail server is unavailable: ConnectionRefusedError")
    for _ in range(10):
        mailer_harness.write_code(kind=Kind.SECURITY_ALERT)
    mailer_harness.run_until_idle()
    assert {row[:2] for row in mailer_harness.statuses()} == {("waiting", 0)}
    assert len(mailer_harness.sms.messages) == 10
    assert mailer_harness.dead_letter_reasons() == []

    mailer_harness.mail.error = None
    mailer_harness.advance(2)
    assert [row[0] for row in mailer_harness.statuses()] == ["delivered"] * 10


def test_channel_with_open_breaker_claims_nothing(mailer_harness: MailerHarness) -> None:
    circuit_breaker.EMAIL.set_limits_and_reset(failure_threshold=1, reset_seconds=3600)
    circuit_breaker.EMAIL.on_failure(0, Unavailable("The mail server is unavailable"))
    mailer_harness.write_code()
    mailer_harness.run_until_idle()
    assert (mailer_harness.mail.attempt_count, len(mailer_harness.sms.messages)) == (0, 1)
    circuit_breaker.EMAIL.set_limits_and_reset(failure_threshold=1, reset_seconds=3600)
    mailer_harness.run_until_idle()
    assert mailer_harness.mail.attempt_count == 1


def test_slow_messages_leave_capacity_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, released = ManualClock(), gevent.event.Event()

    def wait_until_released(_: ClaimedMessage) -> None:
        released.wait()

    monkeypatch.setattr("workers.mailer.time.monotonic", clock.now)
    slots, message = SendSlots(), cast(ClaimedMessage, None)
    free_counts = []
    for _ in range(4):
        free_counts.append(slots.free_count(circuit_breaker.CLOSED))
        for _ in range(free_counts[-1]):
            slots.start_send(wait_until_released, message)
        clock.advance(2)
    assert free_counts == [8, 8, 4, 0]
    released.set()
    gevent.joinall(list(slots.started_at_by_greenlet))
    gevent.sleep(0)
    breaker_states = (circuit_breaker.CLOSED, circuit_breaker.HALF_OPEN, circuit_breaker.OPEN)
    assert [slots.free_count(state) for state in breaker_states] == [8, 1, 0]


def test_ordinary_messages_of_one_recipient_keep_their_order(mailer_harness: MailerHarness) -> None:
    mailer_harness.enable_channels(Kind.FOLLOW, "email")
    mailer_harness.mail.error = DeliveryDeferred("450 busy at RCPT")
    mailer_harness.add_follower()
    mailer_harness.run_until_idle()
    mailer_harness.add_follower("Cem")
    mailer_harness.run_until_idle()
    assert mailer_harness.mail.attempt_count == 1  # the second message waits for the first

    mailer_harness.mail.error = None
    mailer_harness.advance(30)
    assert [message.id[-2:] for message in mailer_harness.mail.messages] == ["-1", "-2"]


def test_code_does_not_wait_for_an_older_one_being_retried(mailer_harness: MailerHarness) -> None:
    mailer_harness.mail.error = DeliveryDeferred("450 greylisted at RCPT")
    mailer_harness.write_code(kind=Kind.SECURITY_ALERT)
    mailer_harness.run_until_idle()
    mailer_harness.mail.error = None
    mailer_harness.write_code()
    mailer_harness.run_until_idle()
    assert [message.kind for message in mailer_harness.mail.messages] == [Kind.OTP]


def test_code_waits_for_an_older_one_just_started_but_not_for_a_hanging_one(
    mailer_harness: MailerHarness,
) -> None:
    mailer_harness.write_code()
    claimed = OutgoingMessages(mailer_harness.engine).claim(
        SendQueue("EMAIL", True), 1, mailer_harness.clock.now()
    )
    mailer_harness.write_code()
    mailer_harness.run_until_idle()
    assert (len(claimed), mailer_harness.mail.messages) == (1, [])
    mailer_harness.advance(2.1)
    assert [message.text for message in mailer_harness.mail.messages] == ["Your code is 000002"]


def test_two_mailers_send_nothing_twice(mailer_harness: MailerHarness) -> None:
    for user_id in insert_users(mailer_harness.engine, *(f"P{n}" for n in range(20))):
        mailer_harness.write_code(user_id)
    first, second = mailer_harness.mailer, mailer_harness.new_mailer()
    assert first.step() > 0
    assert second.step() > 0
    mailer_harness.run_until_idle(first)
    mailer_harness.run_until_idle(second)
    assert (
        len(mailer_harness.mail.messages)
        == len({message.id for message in mailer_harness.mail.messages})
        == 20
    )


def test_claim_of_a_dead_mailer_expires_and_the_copy_is_identical(
    mailer_harness: MailerHarness,
) -> None:
    """The message was sent, and its mailer died before settling it."""
    mailer_harness.write_code()
    dead_mailer = mailer_harness.new_mailer()
    dead_mailer.step()
    dead_mailer.wait_for_send_to_end(10)  # sent; never settled
    mailer_harness.run_until_idle()
    assert len(mailer_harness.mail.messages) == 1
    mailer_harness.advance(CLAIM_LEASE_SECONDS + 1)
    assert mailer_harness.mail.messages[0] == mailer_harness.mail.messages[1]
    assert mailer_harness.statuses()[0][0] == "delivered"


def test_mailer_resumed_after_its_lease_changes_nothing(mailer_harness: MailerHarness) -> None:
    mailer_harness.enable_channels(Kind.FOLLOW, "email")
    mailer_harness.add_follower()
    stopped_mailer = mailer_harness.new_mailer()
    stopped_mailer.step()
    stopped_mailer.wait_for_send_to_end(10)
    mailer_harness.mail.error = Rejected("550 at RCPT")
    mailer_harness.advance(CLAIM_LEASE_SECONDS + 1)
    stopped_mailer.step()  # settles the first attempt too late
    assert mailer_harness.statuses() == [("failed", 1, "550 at RCPT")]


def test_outcome_is_kept_while_postgresql_is_unavailable(
    mailer_harness: MailerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailer_harness.write_code()
    mailer_harness.mailer.step()
    mailer_harness.mailer.wait_for_send_to_end(10)
    settle = OutgoingMessages.settle

    def raise_unavailable(*_: object) -> list[int]:
        raise Unavailable("PostgreSQL is unavailable")

    monkeypatch.setattr(OutgoingMessages, "settle", raise_unavailable)
    with pytest.raises(Unavailable):
        mailer_harness.mailer.step()
    monkeypatch.setattr(OutgoingMessages, "settle", settle)
    mailer_harness.run_until_idle()
    assert mailer_harness.statuses() == [("delivered", 1, None)]
    assert len(mailer_harness.mail.messages) == 1


@pytest.mark.parametrize(
    ("change", "state"),
    [
        pytest.param("delete from outbox", "expired", id="cleared"),
        pytest.param("update users set is_simulated = true", "expired", id="simulated user"),
        pytest.param("update notification_preferences set matrix = '{}'", "preference", id="disabled"),
    ],
)
def test_message_disabled_meanwhile_is_not_sent(
    mailer_harness: MailerHarness, change: str, state: str
) -> None:
    mailer_harness.enable_channels(Kind.FOLLOW, "email")
    mailer_harness.add_follower()
    mailer_harness.event_writer_harness.execute(change)
    mailer_harness.run_until_idle()
    assert mailer_harness.mail.messages == []
    assert mailer_harness.statuses() == [(state, 0, None)]


def test_simulated_users_get_no_messages(mailer_harness: MailerHarness) -> None:
    mailer_harness.event_writer_harness.execute("update users set is_simulated = true")
    mailer_harness.write_code()
    assert mailer_harness.event_writer_harness.count_rows("outgoing_messages") == 0


def test_secret_of_a_message_is_in_no_toast(mailer_harness: MailerHarness) -> None:
    event = ENCRYPTION.encrypt_body(
        otp_event(mailer_harness.sample_users, 1, "token=abc"), "Look into your mailbox"
    )
    mailer_harness.event_writer_harness.write(event)
    mailer_harness.run_until_idle()
    assert [message.text for message in mailer_harness.mail.messages] == ["token=abc"]
    assert mailer_harness.event_writer_harness.announcement_messages == ["Look into your mailbox"]


def test_message_encrypted_with_another_key_uses_the_toast_text(
    mailer_harness: MailerHarness,
) -> None:
    event = MessageEncryption("another").encrypt_body(
        otp_event(mailer_harness.sample_users, 1, "token=abc"), "Look into your mailbox"
    )
    mailer_harness.event_writer_harness.write(event)
    mailer_harness.run_until_idle()
    assert [message.text for message in mailer_harness.mail.messages] == ["Look into your mailbox"]


def test_stage_counters_record_the_outcome_of_each_message(mailer_harness: MailerHarness) -> None:
    mailer_harness.sms.error = Rejected("the webhook answered 400")
    mailer_harness.write_code()
    mailer_harness.write_code()
    mailer_harness.run_until_idle()
    count_by_outcome: dict[str, int] = {}
    for stats in mailer_harness.recorded_stats:
        assert stats.stage == "mail"
        for name, count in stats.count_by_outcome.items():
            count_by_outcome[name] = count_by_outcome.get(name, 0) + count
    assert count_by_outcome == {"delivered": 2, "failed": 2}


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        pytest.param(Kind.SECURITY_ALERT, "delivered", id="still valid"),
        pytest.param(Kind.OTP, "failed", id="expired code"),
    ],
)
def test_replayed_dead_letter_is_sent_if_it_is_still_valid(
    mailer_harness: MailerHarness, kind: Kind, outcome: str
) -> None:
    mailer_harness.mail.error = Rejected("550 at RCPT")
    mailer_harness.write_code(kind=kind)
    mailer_harness.run_until_idle()
    [(dead_letter_id,)] = mailer_harness.event_writer_harness.query("select id::text from dead_letters")
    mailer_harness.mail.error = None
    mailer_harness.clock.advance(2 * DAY_SECONDS)
    queues = AdminQueues(mailer_harness.engine, 5, 4, mailer_harness.clock.now)

    assert (
        queues.replay_dead_letters(AdminSelection(mailer_harness.sample_users.alice_id, (dead_letter_id,)))
        == 1
    )
    assert (
        queues.replay_dead_letters(AdminSelection(mailer_harness.sample_users.alice_id, (dead_letter_id,)))
        == 0
    )
    mailer_harness.run_until_idle()

    assert mailer_harness.statuses()[0][0] == outcome
    waiting = mailer_harness.event_writer_harness.query(
        "select id::text from dead_letters where status = 'waiting'"
    )
    assert waiting == ([] if outcome == "delivered" else [(dead_letter_id,)])


def test_message_of_a_removed_account_is_not_replayed(mailer_harness: MailerHarness) -> None:
    mailer_harness.mail.error = Rejected("550 at RCPT")
    mailer_harness.write_code()
    mailer_harness.run_until_idle()
    mailer_harness.event_writer_harness.execute(
        "delete from users where id = :alice", alice=mailer_harness.sample_users.alice_id
    )
    [(dead_letter_id,)] = mailer_harness.event_writer_harness.query("select id::text from dead_letters")
    queues = AdminQueues(mailer_harness.engine, 5, 4, mailer_harness.clock.now)
    assert (
        queues.replay_dead_letters(AdminSelection(mailer_harness.sample_users.bob_id, (dead_letter_id,))) == 0
    )


def test_claim_is_limited_to_the_batch_size(mailer_harness: MailerHarness) -> None:
    for user_id in insert_users(mailer_harness.engine, *(f"P{n}" for n in range(5))):
        mailer_harness.write_code(user_id)
    messages, queue = OutgoingMessages(mailer_harness.engine), SendQueue("EMAIL", True)
    counts = [len(messages.claim(queue, 2, mailer_harness.clock.now())) for _ in range(4)]
    assert counts == [2, 2, 1, 0]


def test_real_smtp_server_that_refuses_defers_hangs_and_drops_affects_no_other_recipient(
    mailer_harness: MailerHarness,
) -> None:
    failing_ids = insert_users(mailer_harness.engine, "Refused", "Deferred", "Hangs", "Drops")
    working_ids = insert_users(mailer_harness.engine, *(f"P{n}" for n in range(6)))
    sender = MailFromAddress("Chime", "hello@chime.example.org")
    timeouts = TransportTimeouts(connect_seconds=2.0, response_seconds=0.3, attempt_seconds=2.0)
    with MailServer() as server:
        rules = ("550 5.1.1 No such user", "450 4.1.2 Domain not found", HANG, DROP_AFTER_DATA)
        server.rule_by_recipient = dict(zip(map(address, failing_ids), rules, strict=True))
        mailer = mailer_harness.new_mailer(
            {"EMAIL": SmtpTransport(server.url, sender, timeouts), "SMS": mailer_harness.sms}
        )
        for user_id in [*failing_ids, *working_ids]:
            mailer_harness.write_code(user_id, kind=Kind.SECURITY_ALERT)
        mailer_harness.run_until_idle(mailer)

        assert set(server.accepted_messages) == {address(user_id) for user_id in working_ids}
        assert mailer_harness.statuses()[:4] == [
            ("failed", 1, "550 5.1.1 No such user at RCPT"),
            ("waiting", 1, "450 4.1.2 Domain not found at RCPT"),
            ("waiting", 1, "the connection ended at RCPT"),
            (
                "waiting",
                1,
                "the connection ended at DATA; it is unknown whether the message was accepted",
            ),
        ]
        assert mailer_harness.seconds_until_due() == 30

        server.rule_by_recipient.clear()
        mailer_harness.clock.advance(30)
        mailer_harness.run_until_idle(mailer)
        assert [row[0] for row in mailer_harness.statuses()] == ["failed"] + ["delivered"] * 9
        first, second = server.raw_messages[address(failing_ids[3])]
        assert first == second  # the possible duplicate is identical
    assert mailer_harness.dead_letter_reasons() == ["EMAIL: 550 5.1.1 No such user at RCPT"]


def test_message_date_is_the_event_time_in_each_attempt(mailer_harness: MailerHarness) -> None:
    mailer_harness.mail.error = DeliveryDeferred("450 busy")
    mailer_harness.write_code(kind=Kind.SECURITY_ALERT)
    mailer_harness.run_until_idle()
    mailer_harness.mail.error = None
    mailer_harness.advance(30)
    [mail] = mailer_harness.mail.messages
    age = timedelta(seconds=mailer_harness.clock.now() - mail.created_at.timestamp())
    assert timedelta(seconds=29) < age < timedelta(seconds=31)
