"""Mailer: each message is claimed, sent in its order and settled, also by several or dying mailers."""

from datetime import timedelta
from typing import cast

import gevent
import gevent.event
import pytest

from app.clients import circuit_breaker
from app.delivery.message_transport import DeliveryDeferred
from app.domain.errors import Rejected, Unavailable
from app.domain.events import Kind
from app.messaging.message_encryption import MessageEncryption
from app.persistence.claimed_messages import ClaimedMessage, SendQueue
from app.persistence.outgoing_messages import CLAIM_LEASE_SECONDS, OutgoingMessages
from tests.support.fakes import ManualClock
from tests.support.fixtures import insert_users, like_event, otp_event, unlike_event
from tests.support.mailer_harness import ENCRYPTION, MailerHarness, address
from tests.support.mailer_harness import mailer_harness as mailer_harness
from workers.mailer import SendSlots

pytestmark = pytest.mark.service


def test_code_is_sent_once_by_each_channel(mailer_harness: MailerHarness) -> None:
    event = mailer_harness.write_code()
    mailer_harness.run_until_idle()
    mailer_harness.writer.write(event)  # the copy from the priority topic
    mailer_harness.run_until_idle()

    [mail], [sms] = mailer_harness.mail.messages, mailer_harness.sms.messages
    assert mail == sms
    assert (mail.id, mail.recipient_address, mail.text) == (
        f"{event.event_id}-1",
        address(mailer_harness.sample_users.alice_id),
        "Your code is 000001",
    )
    assert mailer_harness.statuses() == mailer_harness.statuses("SMS") == [("delivered", 1, None)]


def test_ordinary_announcement_is_sent_once(mailer_harness: MailerHarness) -> None:
    mailer_harness.enable_channels(Kind.FOLLOW, "email")
    mailer_harness.add_follower()
    mailer_harness.run_until_idle()

    [mail] = mailer_harness.mail.messages
    assert "Ben" in mail.text
    assert mail.unsubscribe_url is not None
    assert (mailer_harness.sms.messages, mailer_harness.statuses()) == ([], [("delivered", 1, None)])


def test_announcement_adds_a_message_for_each_channel(mailer_harness: MailerHarness) -> None:
    mailer_harness.enable_channels(Kind.FOLLOW, "email", "sms")
    mailer_harness.write_code(kind=Kind.PASSWORD_RESET)
    mailer_harness.write_code()
    mailer_harness.add_follower()

    assert mailer_harness.writer.query(
        "select type, critical, extract(epoch from expires_at - created_at)::int, "
        "array_agg(channel order by channel) from outgoing_messages group by 1, 2, 3 order by 3"
    ) == [
        ("OTP", True, 5 * 60, ["EMAIL", "SMS"]),
        ("PASSWORD_RESET", True, 30 * 60, ["EMAIL", "SMS"]),
        ("FOLLOW", False, 24 * 3600, ["EMAIL", "SMS"]),
    ]


def test_change_of_an_announced_row_adds_no_message(mailer_harness: MailerHarness) -> None:
    mailer_harness.enable_channels(Kind.LIKE, "email")
    writer, sample_users = mailer_harness.writer, mailer_harness.sample_users
    bob_id, carol_id = sample_users.bob_id, sample_users.carol_id
    writer.write(like_event(bob_id, sample_users, 1), like_event(carol_id, sample_users, 2))
    writer.write(unlike_event(bob_id, sample_users, 3))
    writer.write(unlike_event(carol_id, sample_users, 4))
    writer.write(like_event(carol_id, sample_users, 4))  # a late copy

    sent = writer.query("select client_event from outgoing_messages join outbox using (user_id, client_seq)")
    assert sent == [("notification",), ("notification",)]
    events = [row[0] for row in writer.query("select client_event from outbox where client_seq is not null")]
    assert set(events) == {"notification", "notification_updated", "notification_removed"}


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
    mailer_harness.writer.execute(change)
    mailer_harness.run_until_idle()
    assert mailer_harness.mail.messages == []
    assert mailer_harness.statuses() == [(state, 0, None)]


def test_simulated_users_get_no_messages(mailer_harness: MailerHarness) -> None:
    mailer_harness.writer.execute("update users set is_simulated = true")
    mailer_harness.write_code()
    assert mailer_harness.writer.count_rows("outgoing_messages") == 0


def test_secret_of_a_message_is_in_no_toast(mailer_harness: MailerHarness) -> None:
    event = ENCRYPTION.encrypt_body(
        otp_event(mailer_harness.sample_users, 1, "token=abc"), "Look into your mailbox"
    )
    mailer_harness.writer.write(event)
    mailer_harness.run_until_idle()
    assert [message.text for message in mailer_harness.mail.messages] == ["token=abc"]
    assert mailer_harness.writer.announcement_messages == ["Look into your mailbox"]


def test_message_encrypted_with_another_key_uses_the_toast_text(
    mailer_harness: MailerHarness,
) -> None:
    event = MessageEncryption("another").encrypt_body(
        otp_event(mailer_harness.sample_users, 1, "token=abc"), "Look into your mailbox"
    )
    mailer_harness.writer.write(event)
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


def test_message_date_is_the_event_time_in_each_attempt(mailer_harness: MailerHarness) -> None:
    mailer_harness.mail.error = DeliveryDeferred("450 busy")
    mailer_harness.write_code(kind=Kind.SECURITY_ALERT)
    mailer_harness.run_until_idle()
    mailer_harness.mail.error = None
    mailer_harness.advance(30)
    [mail] = mailer_harness.mail.messages
    age = timedelta(seconds=mailer_harness.clock.now() - mail.created_at.timestamp())
    assert timedelta(seconds=29) < age < timedelta(seconds=31)
